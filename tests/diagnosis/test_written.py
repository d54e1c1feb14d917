"""How a call is written: its text, its arguments in it, their names, and the mark in the line."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attntrace.capture.failed.call.written import written
from attntrace.capture.failed.stack.frames import Frames
from attntrace.capture.source import line_of

Q, K, WRONG = torch.ones(2, 3), torch.ones(2, 3), torch.ones(7)


class Model(nn.Module):
    """Has names that tensors have, too: norm."""

    def __init__(self):
        super().__init__()
        self.norm, self.table = nn.LayerNorm(7), torch.ones(3)


MODEL = Model()


def site_of(function):
    """Return the place of the author's call that raises in a function."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
        function()
    return Frames.of(caught.value).innermost.site


def product():
    return (Q @ K) / 2


def method():
    return Q.view(4, 5)


def joined():
    return torch.cat([Q, K.T], dim=-1)


def unpacked():
    a, b, c = Q.shape
    return a, b, c


def indexed():
    return Q[0, :, 7]


def stored():
    Q[0] = torch.ones(5)


def added():
    sum_ = Q
    sum_ += WRONG


def module():
    return MODEL.norm(Q)


def in_parentheses():
    return (K.T) @ (Q.T)


def in_a_call():
    return torch.add((Q), other=(WRONG))


def starred():
    return Q.view(*(2, 7))


def in_a_comprehension():
    return [part @ Q for part in (K,)]


def in_a_text():
    return f"{Q @ K}"


def in_a_lambda():
    times_k = lambda u: u @ K  # noqa: E731
    return times_k(Q)


def with_walrus():
    return (turned := K.T).view(7), turned


def behind_other_letters():
    é = Q  # noqa: PLC2401
    return é @ K


def looked_at():
    if Q > K:
        pass


@pytest.mark.parametrize(
    ("function", "text", "names", "spans"),
    [
        (product, "Q @ K", {0: "Q", 1: "K"}, None),
        (method, "Q.view(4, 5)", {0: "Q", 1: "4", 2: "5"}, None),
        (joined, "torch.cat([Q, K.T], dim=-1)", {0: "[Q, K.T]", "dim": "-1"}, None),
        (unpacked, "a, b, c = Q.shape", {0: "Q.shape"}, None),
        (indexed, "Q[0, :, 7]", {0: "Q", 1: "0, :, 7"}, None),
        (stored, "Q[0] = torch.ones(5)", {0: "Q", 1: "0", 2: "torch.ones(5)"}, None),
        (added, "sum_ += WRONG", {0: "sum_", 1: "WRONG"}, None),
        (in_parentheses, "(K.T) @ (Q.T)", {0: "K.T", 1: "Q.T"}, {0: "(K.T)", 1: "(Q.T)"}),
        (
            in_a_call,
            "torch.add((Q), other=(WRONG))",
            {0: "Q", "other": "WRONG"},
            {0: "(Q)", "other": "(WRONG)"},
        ),
        (starred, "Q.view(*(2, 7))", {0: "Q"}, None),
        (in_a_comprehension, "part @ Q", {0: "part", 1: "Q"}, None),
        (in_a_text, "Q @ K", {0: "Q", 1: "K"}, None),
        (in_a_lambda, "u @ K", {0: "u", 1: "K"}, None),
        (
            with_walrus,
            "(turned := K.T).view(7)",
            {0: "turned := K.T", 1: "7"},
            {0: "(turned := K.T)", 1: "7"},
        ),
        (behind_other_letters, "é @ K", {0: "é", 1: "K"}, None),
        (looked_at, "Q > K", {0: "Q > K"}, None),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_each_form_of_a_call(function, text, names, spans):
    """The text, what each argument is called, and where it stands with its parentheses."""
    site = site_of(function)
    found = written(site)
    assert (found.text, found.names) == (text, names)
    assert {key: found.text[slice(*span)] for key, span in found.spans.items()} == spans or names
    assert line_of(site)[slice(*found.mark)] == text


def test_the_parts_of_a_list():
    """What stands in a list has names of its own; what does not goes by its place."""
    found = written(site_of(joined))
    assert found.parts == {0: ("Q", "K.T")}
    assert (found.name(0, 1), found.name("dim"), found.name(4)) == ("K.T", "-1", None)
    assert written(site_of(method)).name(0, 1, "h") == "Q[1]['h']"


def test_a_method_or_a_module():
    """What is called can be said; else it goes by the look, in which `self.norm` is no method."""
    site = site_of(module)
    assert written(site, method=False).names == {0: "Q"}
    assert written(site, method=True).names == {0: "MODEL", 1: "Q"}


def over_lines():
    return F.scaled_dot_product_attention(
        Q,
        K, WRONG,
        attn_mask=None,
    )  # fmt: skip


def chained():
    return (
        Q
        .transpose(0, 1)
        .view(7, 3)
        .sum()
    )  # fmt: skip


def test_a_call_on_several_lines():
    """Its text is on one line, and the mark is the part on the line that is shown."""
    site = site_of(over_lines)
    found = written(site)
    assert found.text == "F.scaled_dot_product_attention(Q, K, WRONG, attn_mask=None)"
    assert found.name(2) == "WRONG"
    assert line_of(site)[slice(*found.mark)] == "F.scaled_dot_product_attention("
    site = site_of(chained)
    found = written(site)
    assert found.text == "Q.transpose(0, 1).view(7, 3)"
    assert line_of(site)[slice(*found.mark)] == ".view(7, 3)"


def test_code_without_source():
    """There is nothing to say of it, and nothing raises."""
    names = {"q": Q, "k": K}
    code = compile("def f():\n    return q @ k\n", "<nowhere>", "exec")
    exec(code, names)  # noqa: S102 - that is the case
    found = written(site_of(names["f"]))
    assert (found.text, found.spans, found.mark) == ("", {}, None)


def test_hundreds_of_terms(tmp_path):
    """However long an expression is, nothing raises."""
    file, names = tmp_path / "long.py", {"q": Q, "k": WRONG}
    file.write_text(f"def f():\n    return {' + '.join(['q'] * 900)} + k\n", encoding="utf-8")
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)  # noqa: S102
    assert written(site_of(names["f"])).text[-5:] in ("q + k", "")
