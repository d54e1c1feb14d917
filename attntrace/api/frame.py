"""The rows as a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import TYPE_CHECKING

from attntrace.record import TensorRecord

if TYPE_CHECKING:
    from pandas import DataFrame

NO_PANDAS = "to_pandas() needs pandas: pip install 'attntrace[pandas]'"


def frame_of(rows: Iterable[TensorRecord]) -> DataFrame:
    """Return a line a row and a column a field; a number that may be missing is an `Int64`.

    Raises:
        ImportError: pandas is not installed.

    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(NO_PANDAS, name="pandas") from error
    kinds = {item.name: str(item.type) for item in fields(TensorRecord)}
    lines = [[getattr(row, name) for name in kinds] for row in rows]
    optional = {name: "Int64" for name, kind in kinds.items() if kind == "int | None"}
    return pd.DataFrame(lines, columns=list(kinds)).astype(optional)
