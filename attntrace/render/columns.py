"""The columns of a table: what each holds, its unit, and which go first where room is short."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `drop` says how early it goes on a narrow terminal, 0 never."""

    key: str
    meaning: str
    align: Literal["left", "right"] = "left"
    drop: int = 0


COLUMNS = {
    column.key: column
    for column in (
        Column("#", "number of the row, in execution order", "right", 1),
        Column("tensor", "name: the tap's in our blocks, the author's own elsewhere"),
        Column("op", "the call that returned it, as it stands in the code", drop=4),
        Column("shape", "size of each dimension"),
        Column("axes", "what each dimension is", drop=3),
        Column("dtype", "number format", drop=5),
        Column("memory", "elements times element size, whoever owns the bytes", "right", 1),
        Column("from", "where the bytes are: new, or a view of an earlier row", drop=2),
        Column("formula", "what it is, in terms of the rows above", drop=6),
        Column("bytes", "memory, to the byte", "right", 7),
        Column("new", "bytes of the storage that the row is the first to show", "right", 7),
        Column("hidden", "bytes inside the call that no row shows, such as copies", "right", 7),
        Column(
            "saved", "bytes that autograd keeps of what the row shows first or hides", "right", 2
        ),
        Column("grad", "bytes of the tensor's gradient", "right", 3),
        Column("alive", "until which row the storage lives that it shows first", drop=7),
        Column("scratch", "bytes that kernels took for themselves, where measured", "right", 7),
        Column("flops", "2 per multiply-add of matrix products", "right", 7),
        Column("stride", "distance between neighbours along each dimension, in elements", drop=8),
        Column("device", "where the tensor lives", drop=8),
        Column("module", "path of the module whose forward made it", drop=8),
        Column("source", "file and line of the call", drop=8),
        Column("line", "the text of that line", drop=8),
        Column("inputs", "the rows that the call took", drop=8),
        Column("seen_by", "hook, function mode, dispatch mode", drop=9),
    )
}
