"""The lines of constructors that set a size, read off their source and held against the module."""

import importlib.util
import re
import sys

import pytest
import torch
from torch import nn

from attntrace.capture.failed.origin.constructors import parameter_set_by, set_by
from attntrace.capture.failed.values.settings import constructor_settings

HEAD = "import functools\nfrom dataclasses import dataclass\nimport torch\nfrom torch import nn\n"
STYLES = {
    "literals": """
class Inner(nn.Module):
    def __init__(self, dim, chan, heads=2):
        super().__init__()
        self.qkv = nn.Linear(dim, chan * 3)
        self.out = nn.Linear(in_features=chan, out_features=chan)

class Model(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.inner = Inner(14, width)
""",
    "loops": """
class Model(nn.Module):
    def __init__(self, widths=(6, 10, 22), classes=4):
        super().__init__()
        layers, before = [], 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 3), nn.ReLU()]
            before = width
        self.body = nn.Sequential(*layers)
        self.pairs = nn.ModuleList([nn.Linear(a, b) for a, b in zip(widths[:-1], widths[1:])])
        self.heads = nn.ModuleDict({"a": nn.Linear(before, classes)})
        self.more = nn.ModuleList()
        for i in range(2):
            self.more.append(nn.Linear(2 ** i * 8, 6))
            self.add_module(f"extra{i}", nn.Linear(i + 2, 6))
""",
    "config": """
@dataclass
class Config:
    hidden: int = 24
    heads: int = 6
    ratio: float = 2.0

class Layer(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.cfg = cfg
        self.head_dim = cfg.hidden // cfg.heads
        self.q = nn.Linear(cfg.hidden, self.head_dim * cfg.heads)
        self.mlp = nn.Sequential(nn.Linear(cfg.hidden, int(cfg.hidden * cfg.ratio)), nn.GELU())

class Model(nn.Module):
    def __init__(self, cfg=None):
        super().__init__()
        cfg = cfg or Config()
        self.layers = nn.ModuleList(Layer(cfg) for _ in range(2))
""",
    "inheritance": """
class Base(nn.Module):
    def __init__(self, dim, out):
        nn.Module.__init__(self)
        self.dim = dim
        self.proj = self.layer(dim, out)

    def layer(self, a, b):
        return nn.Linear(a, b)

class Wide(nn.Linear):
    def __init__(self, dim):
        super().__init__(dim, 4 * dim)

class Child(Base):
    def __init__(self, dim, *, scale=2):
        super(Child, self).__init__(dim, scale * dim)
        self.extra = nn.Linear(self.dim, 6)

class Stack(nn.Sequential):
    def __init__(self, dim):
        super().__init__(Wide(dim), nn.Linear(4 * dim, dim))

class Model(nn.Module):
    def __init__(self, dim=22):
        super().__init__()
        self.child = Child(dim)
        self.stack = Stack(dim)
""",
    "factories": """
def divisible(value, by=8):
    low = max(by, int(value + by / 2) // by * by)
    if low < 0.9 * value:
        low += by
    return low

def block(a, b, norm_layer=None):
    norm_layer = norm_layer or nn.LayerNorm
    return nn.Sequential(nn.Linear(a, b), norm_layer(b), nn.GELU())

class Model(nn.Module):
    def __init__(self, dim=20, depth=2, norm_layer=functools.partial(nn.LayerNorm, eps=1e-6)):
        super().__init__()
        make = lambda a: nn.Linear(a, dim)
        linear = functools.partial(nn.Linear, bias=False)
        hidden = divisible(dim * 1.5)
        self.blocks = nn.Sequential(*[block(dim, hidden, norm_layer), block(hidden, dim)])
        self.first, self.last = make(14), linear(dim, 6)
        self.norm = norm_layer(dim) if depth > 1 else nn.Identity()
        layer = nn.TransformerEncoderLayer(dim, 2, hidden, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.attn = nn.utils.parametrizations.weight_norm(nn.Linear(dim, 14))
""",
}
PARAMETERS = """
class Model(nn.Module):
    def __init__(self, image=64, patch=8, dim=24, length=50, base=10.0):
        super().__init__()
        n_patches = (image // patch) ** 2
        self.pos = nn.Parameter(torch.zeros(1, n_patches + 1, dim))
        self.scale = nn.Parameter(torch.randn(dim, 6) * 0.02)
        nn.init.trunc_normal_(self.pos, std=0.02)
        mask = torch.tril(torch.ones(length, length, dtype=torch.bool))
        self.register_buffer("mask", mask.view(1, 1, length, length), persistent=False)
        rate = 1.0 / base ** (torch.arange(0, dim, 2).float() / dim)
        self.table = torch.outer(torch.arange(length).float(), rate).cos()
"""


@pytest.fixture
def load(tmp_path):
    """Return a function that imports a text as a file and gives its classes."""
    names = []

    def imported(text):
        name = f"constructors_{len(names)}_{tmp_path.name}"
        path = tmp_path / f"{name}.py"
        path.write_text(HEAD + text)
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield imported
    for name in names:
        sys.modules.pop(name)


def sizes(root):
    """Yield each whole number that a module of torch's in a module was built with."""
    for path, module in root.named_modules():
        for setting, value in constructor_settings(module).items():
            if type(value) is int and value > 3 and setting not in ("kdim", "vdim"):
                yield path, setting, value


def told(steps):
    """Return what is said and the line that it is said of."""
    return [(step.said, step.line) for step in steps]


@pytest.mark.parametrize("style", STYLES)
def test_another_number_on_the_last_line_gives_another_size(load, style):
    """The line that is said to have set a size sets it: with another number there it is another."""
    module = load(STYLES[style])
    root = module.Model()
    checked = 0
    for path, setting, value in sizes(root):
        steps = set_by(root, path, setting, value)
        assert steps, (path, setting)
        assert str(value) in steps[0].said
        line = int(steps[-1].source.rpartition(":")[2])
        lines = (HEAD + STYLES[style]).splitlines()
        assert lines[line - 1].strip() == steps[-1].line
        numbers = re.findall(r"(?<![\w.])(\d+)(?![\w.])", lines[line - 1])
        changed = False
        for number in dict.fromkeys(numbers):
            other = [*lines]
            other[line - 1] = re.sub(
                rf"(?<![\w.]){number}(?![\w.])", str(2 * int(number)), other[line - 1]
            )
            try:
                again = load("\n".join(other).removeprefix(HEAD)).Model()
                changed |= constructor_settings(again.get_submodule(path)).get(setting) != value
            except (AssertionError, AttributeError, ValueError, KeyError):
                continue
        assert changed, (path, setting, told(steps))
        checked += 1
    assert checked >= 4


def test_the_way_through_constructors_is_told(load):
    """Each line says what it gave, from the layer out to the literal and to the default."""
    root = load(STYLES["literals"]).Model()
    assert told(set_by(root, "inner.qkv", "in_features", 14)) == [
        (
            "`inner.qkv` is built with in_features = dim = 14.",
            "self.qkv = nn.Linear(dim, chan * 3)",
        ),
        ("`Inner(14, width)` gives it dim=14.", "self.inner = Inner(14, width)"),
    ]
    assert [said for said, _ in told(set_by(root, "inner.qkv", "out_features", 72))] == [
        "`inner.qkv` is built with out_features = chan * 3 = 72, with chan=24.",
        "`Inner(14, width)` gives it chan = width = 24.",
        "width=24 is the default of Model.",
    ]


def test_what_the_outermost_module_was_given_is_worked_out_from_inside(load):
    """No call is known that built it: the layers in it tell, and it is said to be an argument."""
    module = load(STYLES["literals"])
    said = [one for one, _ in told(set_by(module.Inner(10, 26), "qkv", "out_features", 78))]
    assert said == [
        "`qkv` is built with out_features = chan * 3 = 78, with chan=26.",
        "chan=26 was given to Inner, the outermost module: `--init` in a command.",
    ]
    called = load(STYLES["literals"] + "\ndef make():\n    return Model(width=40)\n")
    assert told(set_by(called.make(), "inner.out", "in_features", 40))[-1] == (
        "`Model(width=40)` gives it width=40.",
        "return Model(width=40)",
    )
    other = called.Model(width=44)
    assert told(set_by(other, "inner.out", "in_features", 44))[-1][0].startswith(
        "width=44 was given"
    )


def test_a_config_is_named_with_what_it_holds(load):
    """A config of the author's own that was passed in is looked at, and its class's default named."""
    module = load(STYLES["config"])
    default = module.Model(module.Config())
    assert told(set_by(default.layers[1], "q", "in_features", 24))[-1] == (
        "hidden=24 is the default of Config.",
        "hidden: int = 24",
    )
    given = module.Layer(module.Config(hidden=36))
    assert told(set_by(given, "q", "in_features", 36)) == [
        (
            "`q` is built with in_features = cfg.hidden = 36.",
            "self.q = nn.Linear(cfg.hidden, self.head_dim * cfg.heads)",
        ),
        ("hidden=36 is what the Config holds.", None),
    ]


def test_the_sizes_of_parameters_and_buffers_are_followed(load):
    """A table made in the constructor is followed size by size through locals and arithmetic."""
    root = load(PARAMETERS).Model()
    assert told(parameter_set_by(root, "pos", 1, 65)) == [
        (
            "`pos` is built with axis 1 = n_patches + 1 = 65, with n_patches=64.",
            "self.pos = nn.Parameter(torch.zeros(1, n_patches + 1, dim))",
        ),
        (
            "n_patches = (image // patch) ** 2 = 64, with image=64, patch=8.",
            "n_patches = (image // patch) ** 2",
        ),
        (
            "image=64 and patch=8 are defaults of Model.",
            "def __init__(self, image=64, patch=8, dim=24, length=50, base=10.0):",
        ),
    ]
    for name, dim, value, end in (
        ("pos", 2, 24, "dim=24"), ("scale", 0, 24, "dim=24"), ("mask", 3, 50, "length=50"),
        ("table", 0, 50, "length=50"), ("table", 1, 12, "dim=24"),
    ):  # fmt: skip
        assert told(parameter_set_by(root, name, dim, value))[-1][0].startswith(end)
    assert parameter_set_by(root, "pos", 0, 65) == parameter_set_by(root, "pos", 1, 65)
    literals = load(STYLES["literals"]).Model()
    weight = parameter_set_by(literals, "inner.qkv.weight", 1, 14)
    assert weight == set_by(literals, "inner.qkv", "in_features", 14) != ()


def test_another_number_is_never_claimed(load):
    """Where the source, the module and the number that is asked for disagree, nothing is said."""
    module = load(STYLES["literals"])
    root = module.Model()
    assert set_by(root, "inner.qkv", "in_features", 15) == ()
    root.inner.qkv = nn.Linear(15, 72)
    assert set_by(root, "inner.qkv", "in_features", 15) == ()
    root.inner.out = nn.Identity()
    assert set_by(root, "inner.out", "in_features", 24) == ()
    assert set_by(root, "nowhere.at.all", "in_features", 24) == ()
    assert parameter_set_by(root, "inner.gone", 0, 24) == ()


TRAPS = """
class Loud:
    width = 24
    def __getattr__(self, name):
        raise AssertionError("ran")
    def __eq__(self, other):
        raise AssertionError("ran")
    def __bool__(self):
        raise AssertionError("ran")
    __hash__ = None
    @property
    def hidden(self):
        raise AssertionError("ran")

SEEN = []
LOUD = Loud()

def helper(width, store=SEEN):
    store.append(width)
    return nn.Linear(width, width)

class Model(nn.Module):
    def __init__(self, width=24, loud=LOUD):
        super().__init__()
        self.loud = loud
        SEEN.append(width)
        self.a = helper(width)
        self.b = nn.Linear(width, len(SEEN) + 4)
        self.c = nn.Linear(loud.width if loud is not None else 1, 6)
        while width < 2:
            width += 1
        try:
            with torch.no_grad():
                self.d = nn.Linear(width, [6, 8][-1])
        except ValueError as error:
            raise error
        if width % 5:
            self.e = nn.Linear(6, 7)
        else:
            raise ValueError
    @property
    def answer(self):
        raise AssertionError("ran")
"""


def test_no_code_of_the_authors_runs_and_nothing_of_theirs_changes(load):
    """Properties, operators and helpers are read, not run, and lists stay as they were."""
    module = load(TRAPS)
    root = module.Model()
    before = list(module.SEEN)
    for path, setting, value in sizes(root):
        found = set_by(root, path, setting, value)
        assert found or (path, setting) == ("b", "out_features")
    assert told(set_by(root, "c", "in_features", 24))[-1][0] == "width=24 is the default of Loud."
    assert before == module.SEEN


def test_without_source_nothing_is_said(load):
    """Code that was executed from a text, or whose file is broken since, leaves nothing to read."""
    space = {}
    exec("from torch import nn\n" + STYLES["literals"], space)  # noqa: S102
    assert set_by(space["Model"](), "inner.qkv", "in_features", 14) == ()
    module = load(STYLES["literals"])
    root = module.Model()
    with open(module.__file__, "w") as file:  # noqa: PTH123
        file.write("def broken(:\n")
    assert set_by(root, "inner.qkv", "in_features", 14) == ()


def test_a_loop_without_an_end_is_left(load):
    """A constructor that would take too long on paper is given up, and nothing is said."""
    module = load(
        "class Model(nn.Module):\n    def __init__(self, n=10):\n        super().__init__()\n"
        "        for _ in range(4000):\n            n = sum([n + i - i for i in range(400)]) // 400\n"
        "        self.a = nn.Linear(n, 6)\n"
    )
    assert set_by(module.Model(), "a", "out_features", 6) == ()


def test_layers_inside_torchs_own_are_told_in_the_authors_lines(load):
    """What torch's TransformerEncoder builds is followed to the line that built its layer."""
    root = load(STYLES["factories"]).Model()
    steps = told(set_by(root, "encoder.layers.1.linear1", "out_features", 32))
    assert steps[0][1] == "layer = nn.TransformerEncoderLayer(dim, 2, hidden, batch_first=True)"
    assert steps[1][0] == "hidden = divisible(dim * 1.5) = 32, with dim=20."
    assert all(
        "nn/modules" not in step.source
        for step in set_by(root, "encoder.layers.1.linear1", "out_features", 32)
    )


def test_a_model_of_transformers_is_explained_whole():
    """Every size of a BERT leads back to its config, with nothing run and nothing raised."""
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        num_hidden_layers=2,
        hidden_size=48,
        num_attention_heads=4,
        intermediate_size=96,
        vocab_size=99,
    )
    with torch.device("meta"):
        root = transformers.BertModel(config)
    wanted = [one for one in sizes(root) if "layer.1" in one[0]]
    assert len(wanted) == 12
    for path, setting, value in wanted[:2]:
        steps = set_by(root, path, setting, value)
        assert steps[-1].said.endswith("is what the BertConfig holds.")
