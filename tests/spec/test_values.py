"""Every setting refuses what it cannot be, in a whole sentence."""

from __future__ import annotations

import re

import pytest

from attntrace.errors import SettingsError
from attntrace.spec import load
from attntrace.spec.fields import fields

WORDS = r"[\w.:+-]+(?:, [\w.:+-]+)*"
EXPECTED = (
    r"true or false,",
    r"a whole number(?: [<>]= \d+)?,",
    r"a finite number above 0,",
    r"(?:a number )?in [\[(]\d, \d[\])],",
    rf"(?:a finite number or )?one of {WORDS};",
    rf"none, or any of {WORDS};",
    r"two whole numbers such as 224x224;",
    r"a list of whole numbers >= [01] such as \[7, 3, 3\];",
)
SENTENCE = re.compile(rf"(?P<name>\w+) must be (?:{'|'.join(EXPECTED)}) got .+")
FIELDS = [pytest.param(field, id=path) for path, field in fields().items()]


def problem_of(path, value):
    """Return the one message about one setting."""
    section, _, name = path.rpartition(".")
    given = {section: {name: value}} if section else {name: value}
    with pytest.raises(SettingsError) as caught:
        load(**given)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.where == f"{path}={value!r}"
    return problem.message


@pytest.mark.parametrize("wrong", ["@", [None], {}, b"x", float("nan"), float("inf")], ids=repr)
@pytest.mark.parametrize("field", FIELDS)
def test_a_wrong_value(field, wrong):
    """Whatever is given that cannot be, the message has the name, what was expected and what came."""
    found = SENTENCE.fullmatch(problem_of(field.path, wrong))
    assert found
    assert found["name"] == field.name


@pytest.mark.parametrize("field", FIELDS)
def test_settings_below_a_setting(field):
    """A setting that is given as a section is a problem that says so."""
    section, _, name = field.path.rpartition(".")
    given = {name: {"a": 1}}
    with pytest.raises(SettingsError) as caught:
        load(**({section: given} if section else given))
    (problem,) = caught.value.problems
    assert problem.message == (
        f"{field.path} is a single setting, with nothing below it; leave '{field.path}.a' out"
    )


@pytest.mark.parametrize("field", FIELDS)
def test_nothing_means_not_given(field):
    """Null is as good as leaving a setting out: configs of other projects are full of it."""
    section, _, name = field.path.rpartition(".")
    given = {section: {name: None}} if section else {name: None}
    assert load(**given).spec == load().spec
    assert load(sets=[f"{field.path}=null"]).spec == load().spec


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("attention.dropout", 1.2, "dropout must be in [0, 1), got 1.2"),
        ("attention.dropout", 1, "dropout must be in [0, 1), got 1"),
        ("attention.dropout", "x", "dropout must be a number in [0, 1), got 'x'"),
        ("attention.dropout", True, "dropout must be a number in [0, 1), got true"),
        ("positions.fraction", 0.0, "fraction must be in (0, 1], got 0.0"),
        ("image.expansion", 2, "expansion must be in (0, 1], got 2"),
        ("norm.eps", 0, "eps must be a finite number above 0, got 0"),
        ("norm.eps", float("inf"), "eps must be a finite number above 0, got inf"),
        ("attention.softcap", -1.0, "softcap must be a finite number above 0, got -1.0"),
        ("image.size", "224", "size must be two whole numbers such as 224x224; got '224'"),
        ("image.size", "3x224x224", "size must be two whole numbers such as 224x224; got '3x224x224'"),
        ("image.size", [224], "size must be two whole numbers such as 224x224; got [224]"),
        ("image.size", "0x4", "size must be two whole numbers such as 224x224; got '0x4'"),
        ("image.size", 0, "size must be two whole numbers such as 224x224; got 0"),
        ("image.size", True, "size must be two whole numbers such as 224x224; got true"),
        ("image.map", "²x²", "map must be two whole numbers such as 224x224; got '²x²'"),
        ("image.kernels", [7, 0], "kernels must be a list of whole numbers >= 1 such as [7, 3, 3]; got [7, 0]"),
        ("image.pads", 1, "pads must be a list of whole numbers >= 0 such as [7, 3, 3]; got 1"),
        ("mask.lengths", "none", "lengths must be a list of whole numbers >= 1 such as [7, 3, 3]; got 'none'"),
        ("mask.lengths", [3, 0], "lengths must be a list of whole numbers >= 1 such as [7, 3, 3]; got [3, 0]; give each sequence 1 or more: a row whose keys are all hidden is a softmax of nothing, NaN in eager, zeros in sdpa"),
        ("mask.kind", "foo", "kind must be none, or any of causal, padding, sliding; got 'foo'"),
        ("mask.kind", "casual", "kind must be none, or any of causal, padding, sliding; got 'casual'; did you mean 'causal'?"),
        ("mask.kind", ["causal", "x"], "kind must be none, or any of causal, padding, sliding; got ['causal', 'x']"),
        ("mask.kind", "causal,", "kind must be none, or any of causal, padding, sliding; got 'causal,'; did you mean 'causal'?"),
        ("mask.fill", "max", "fill must be a finite number or one of -inf, min; got 'max'"),
        ("norm.parallel_norms", 3, "parallel_norms must be one of 1, 2; got 3"),
        ("norm.parallel_norms", True, "parallel_norms must be one of 1, 2; got true"),
        ("block", "enkoder", "block must be one of attention, encoder, decoder, encoder-decoder, patch-embed, t2t, psa, rnn-seq2seq; got 'enkoder'; did you mean 'encoder'?"),
        ("block", "encoder_decoder", "block must be one of attention, encoder, decoder, encoder-decoder, patch-embed, t2t, psa, rnn-seq2seq; got 'encoder_decoder'; did you mean 'encoder-decoder'?"),
        ("batch", 2**41, "batch must be a whole number <= 1099511627776, got 2199023255552"),
        ("cache.past", -1, "past must be a whole number >= 0, got -1"),
        ("attention.impl", "SDPA", "impl must be one of eager, sdpa, torch; got 'SDPA'; did you mean 'sdpa'?"),
        ("positions.kind", "rotary", "kind must be one of none, sinusoidal, learned, rope, alibi, t5, swin, sine-2d, learned-2d, conv; got 'rotary'; did you mean 'rope'?"),
    ],
)  # fmt: skip
def test_the_sentence(path, value, message):
    """Each kind of setting has its sentence, and a choice that was nearly right is proposed."""
    assert problem_of(path, value) == message


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("auto", "auto"),
        ("none", ()),
        ([], ()),
        ("causal", ("causal",)),
        ("causal, sliding", ("causal", "sliding")),
        (["causal", "padding"], ("causal", "padding")),
        (["causal", "causal"], ("causal",)),
        (("causal",), ("causal",)),
    ],
)
def test_masks_are_a_list_or_a_text(given, expected):
    """One mask, several with commas, a list, or none: all are read."""
    assert (
        load(mask={"kind": given, "window": 3 if "sliding" in given else None}).spec.mask.kind
        == expected
    )


@pytest.mark.parametrize("given", ["8x12", [8, 12], (8, 12)])
def test_a_pair_is_a_text_or_a_list(given):
    """Rows and columns are read from a text and from a list."""
    assert load(image={"map": given}).spec.image.map == (8, 12)


@pytest.mark.parametrize("given", ["-inf", float("-inf")])
def test_minus_infinity_is_a_word_and_a_number(given, write_yaml):
    """-inf means the same as a text, as Python's float, and as YAML's -.inf."""
    asked = {"kind": "causal", "fill": given}
    assert load(mask=asked).spec.mask.fill == "-inf"
    assert load(flags={"mask.kind": "causal", "mask.fill": "-inf"}).spec.mask.fill == "-inf"
    assert load(write_yaml("mask: {kind: causal, fill: -.inf}")).spec.mask.fill == "-inf"
