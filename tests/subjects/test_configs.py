"""Modules that are made with an object: a dataclass, built from what YAML has for it."""

from __future__ import annotations

import pytest

CODE = """
    from __future__ import annotations
    from dataclasses import dataclass, field
    from torch import nn

    @dataclass
    class Attention:
        heads: int
        width: int = 8

    @dataclass
    class Config:
        layers: int = 2
        attention: Attention = field(default_factory=lambda: Attention(2))

    class Net(nn.Module):
        def __init__(self, config: Config, more: Attention | None = None, extra: dict[str, int] = {}):
            super().__init__()
            self.held = config, more, extra
            width = config.attention.width
            self.layers = nn.Sequential(*(nn.Linear(width, width) for _ in range(config.layers)))

        def forward(self, x):
            return self.layers(x)

    class One(nn.Module):
        def __init__(self, part: Attention):
            super().__init__()

    class Bare(nn.Module):
        def __init__(self, config, dim):
            super().__init__()

    def of(config: Config, more: Attention = None, extra: dict = {}) -> Net:
        return Net(config, more, extra)
"""


@pytest.mark.parametrize(
    ("init", "layers", "width"),
    [
        ({"config": {}}, 2, 8),
        ({"config": {"layers": 3, "attention": {"heads": 2, "width": 4}}}, 3, 4),
        ({"config.layers": 1, "config.attention.heads": 2}, 1, 8),
        ({"config": {"layers": 3}, "config.layers": 1}, 1, 8),
        ({"config": {}, "more": {"heads": 1}, "extra": {"heads": 1}}, 2, 8),
    ],
)
@pytest.mark.parametrize("name", ["Net", "of"])
def test_a_mapping_becomes_the_class_that_the_annotation_names(
    name, init, layers, width, write, run
):
    """Nested, dotted, both on top of each other, and optional: a mapping alone stays one."""
    write(code=CODE)
    trace = run(f"code.py:{name}", init=init, inputs=[f"2,{width}"])
    assert [row.shape for row in trace] == [(2, width)] * (1 + layers)


@pytest.mark.parametrize(
    ("target", "init", "message"),
    [
        ("Net", {}, ("target: Net(config, more=None, extra={}) needs config; say what it is made "
         "with, such as\n        attntrace run code.py:Net --init 'config={}'")),
        ("One", {}, ("target: One(part) needs part; say what it is made with, such as\n        "
         "attntrace run code.py:One --init 'part={heads: 4}'")),
        ("Bare", {}, ("target: Bare(config, dim) needs config, dim; where config is an object, name "
         "a function that makes it, such as\n        def make(): return Bare(config=..., dim=...)")),
        ("Net", {"config.layer": 3}, ("init.config.layer: Config(layers=2, attention=<factory>) "
         "takes no 'layer'; did you mean 'layers'?")),
        ("One", {"part.width": 3}, ("init.part: Attention needs heads; such as "
         "--init part.heads=VALUE")),
    ],
)  # fmt: skip
def test_objects_that_cannot_be_made(target, init, message, write, refused):
    """What is missing or unknown in an object is said as for the module itself."""
    write(code=CODE)
    kind, text = refused(f"code.py:{target}", init=init)
    assert kind == "SettingsError"
    assert text.endswith(message.partition(": ")[2])
