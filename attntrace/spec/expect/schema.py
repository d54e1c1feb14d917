"""`expect:` as JSON Schema: what an editor completes and checks it with."""

from __future__ import annotations

from typing import Any

from attntrace.notation.dtypes import ALIASES, DTYPES
from attntrace.spec.expect.bounds import BYTES, COUNT
from attntrace.spec.expect.read import KERNELS

Schema = dict[str, Any]
SHAPE: Schema = {"$ref": "#/definitions/expected"}
"""Of one tensor, or of those of a module."""
_NUMBER = r"([0-9]{1,3}(,[0-9]{3})+|[0-9]+(_[0-9]+)*)"
_POWER = r"([eE]\+?[0-9]{1,2})?"
"""Of `<= 1e9`; a plain 1e9 is a number of YAML's."""
_SIGN = r"^\s*(<=|>=|==|<|>|=)?\s*"
_DTYPE: Schema = {
    "anyOf": [
        {"enum": [*DTYPES, *ALIASES]},
        {"type": "string", "pattern": rf"^torch\.({'|'.join((*DTYPES, *ALIASES))})$"},
    ]
}
_KERNEL: Schema = {"type": "string", "pattern": rf"^({'|'.join(KERNELS)})( .*)?$"}


def _bound(described: str, such_as: str, end: str) -> Schema:
    texts = {"type": "string", "pattern": f"{_SIGN}{_NUMBER}{end}$"}
    numbers = {"type": "integer", "minimum": 0}
    return {"description": f"{described}: {such_as}", "anyOf": [numbers, texts]}


def _nbytes(described: str) -> Schema:
    return _bound(described, BYTES, rf"(\.[0-9]+)?{_POWER}\s*([KMGT]i?B|kB|B)?\s*")


def _count(described: str) -> Schema:
    return _bound(described, COUNT, rf"{_POWER}\s*")


SECTION: Schema = {
    "description": "what must be true of the run: these, and shapes by name, path.name or name@op",
    "type": ["object", "null"],
    "properties": {
        "dtype": {
            "description": "number formats by name of a tensor",
            "type": ["object", "null"],
            "additionalProperties": {"$ref": "#/definitions/expected_dtype"},
        },
        "tensors": {
            "description": "shapes of tensors that are called as one of these words",
            "type": ["object", "null"],
            "additionalProperties": SHAPE,
        },
        "peak_memory": _nbytes("the most that is alive at once in the forward"),
        "training_peak_memory": _nbytes("the most that is alive at once in forward and backward"),
        "saved_for_backward": _nbytes("what autograd keeps"),
        "parameters": _count("scalars in all parameters"),
        "flops": _count("2 per multiply-add of the forward, matrix products only"),
        "kernel": {
            "description": "the attention kernel that runs, or any of several",
            "anyOf": [_KERNEL, {"type": "array", "items": _KERNEL, "minItems": 1}],
        },
        "warnings": {
            "description": "none: nothing that ran is hardly meant so",
            "enum": ["none", []],
        },
    },
    "additionalProperties": SHAPE,
}
DEFINITIONS: dict[str, Schema] = {
    "expected": {
        "anyOf": [
            {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"type": "integer", "minimum": 0},
                        {"type": "string", "minLength": 1},
                        {"type": "null"},
                    ]
                },
            },
            {"type": "string"},
            {"type": "object", "additionalProperties": SHAPE},
        ]
    },
    "expected_dtype": {
        "anyOf": [
            _DTYPE,
            {
                "type": "object",
                "additionalProperties": {"$ref": "#/definitions/expected_dtype"},
            },
        ]
    },
}
