"""Number formats by name, and what else they are called."""

from __future__ import annotations

from difflib import get_close_matches

DTYPES = (
    "float64", "float32", "bfloat16", "float16", "float8_e4m3fn", "float8_e5m2",
    "int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "complex128",
)  # fmt: skip
ALIASES = {
    "double": "float64", "float": "float32", "half": "float16", "bf16": "bfloat16",
    "fp16": "float16", "fp32": "float32", "long": "int64", "int": "int32", "short": "int16",
}  # fmt: skip


def dtype_of(word: object) -> str | None:
    """Return the name of a number format that may be given in other words; None of None.

    Raises:
        ValueError: there is none of that name.

    """
    if word is None:
        return None
    if not isinstance(word, str):
        raise ValueError(f"dtype must be text such as int64; got {word}")  # noqa: TRY004 - as others
    name = word.removeprefix("torch.")
    name = ALIASES.get(name, name)
    if name in DTYPES:
        return name
    near = get_close_matches(name, (*DTYPES, *ALIASES), n=1, cutoff=0.6)
    end = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(DTYPES)}"
    raise ValueError(f"no number format {word!r}; {end}")
