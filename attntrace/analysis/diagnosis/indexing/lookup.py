"""Embeddings: which rows a table has, and which are looked up."""

from __future__ import annotations

import re

from attntrace.analysis.diagnosis.call import Culprit, Explained, FailedCall, Given, Key, Proposal
from attntrace.analysis.diagnosis.layers.layer import assigned, layer
from attntrace.analysis.diagnosis.text import plain
from attntrace.analysis.diagnosis.writing import amended, instead

IDS = ("int64", "int32")
_IDS = re.compile(r"id|tok|word|text|src|tgt|source|target|input|prompt|caption|seq|^x$")
"""Names of ids of a vocabulary."""


def explain(call: FailedCall) -> Explained | None:
    """Return why a table of embeddings was not read."""
    return _embedding(call) if plain(call.op) in ("embedding", "embedding_bag") else None


def held(ids: Given) -> str:
    """Return what is known of whole numbers: "values from 0 to 79"."""
    if ids.least == ids.most:
        return f"the value {ids.most}"
    return f"values from {ids.least} to {ids.most}"


def outside(ids: Given, size: int, low: int = 0) -> bool:
    """Return whether some of the ids that were looked at are no rows."""
    return ids.least is not None and ids.most is not None and (ids.least < low or ids.most >= size)


def into_range(call: FailedCall, key: Key, ids: Given, size: int) -> list[Proposal]:
    """Return ids counted from 0, or held within the rows that there are."""
    least, most, fixes = ids.least or 0, ids.most or 0, []
    if least == 1 and most == size:
        said = f"count {ids.name} from 0, so that {most} becomes {most - 1}"
        fixes.append(amended(call, said, {key: ids.then("sub", 1)}))
    if least < 0 and most - least < size:
        said = f"move {ids.name} up by {-least}, so that {least} becomes 0"
        fixes.append(amended(call, said, {key: ids.then("add", -least)}))
    clamped = ids.then("clamp", 0, size - 1)
    said = f"clamp {ids.name} to 0 to {size - 1}"
    return [*fixes, amended(call, said, {key: clamped})]


def _embedding(call: FailedCall) -> Explained | None:
    ids, table = call.argument(0, "input"), call.argument(1, "weight")
    places = (call.key(0, "input"), call.key(1, "weight"))
    if not isinstance(ids, Given) or not isinstance(table, Given):
        return None
    if "float" in ids.dtype and ids.rank == 2 and table.dtype in IDS:
        ids, table, places = table, ids, (places[1], places[0])
    if table.rank != 2 or ids.shape is None:
        return None
    one = _Table(call, ids, table, places)
    if ids.dtype not in IDS:
        return one.no_ids()
    if plain(call.op) == "embedding_bag" and ids.rank == 1 and call.argument(2, "offsets") is None:
        rule = (
            f"{layer(call)} needs offsets for {ids.name} of 1 axis, {ids.shape}, which say where "
        )
        fix = amended(call, "hand over one bag a row", {places[0]: ids.then("unsqueeze", 0)})
        return Explained(rule=f"{rule}each bag begins.", proposals=(fix,))
    return one.out_of_range()


class _Table:
    """A table of rows, and the numbers that they are looked up by."""

    def __init__(self, call: FailedCall, ids: Given, table: Given, places: tuple[Key, Key]) -> None:
        self.call, self.ids, self.table, self.places = call, ids, table, places
        self.rows, self.width = table.shape or (0, 0)

    def no_ids(self) -> Explained:
        """Return why numbers that are not whole look nothing up."""
        ids, call, shape = self.ids, self.call, self.ids.shape or ()
        rule = (
            f"{layer(call)} looks rows up by whole numbers, int64, and {ids.name} is {ids.dtype}."
        )
        as_ids = "make them ids" if "float" in ids.dtype else "make them int64"
        fixes = [amended(call, as_ids, {self.places[0]: ids.then("long")})]
        if "float" in ids.dtype and ids.rank:
            weight = self.table.of_shape(self.width, shape[-1])
            said = f"take a linear layer for features: `nn.Linear({shape[-1]}, {self.width})`"
            features = instead(call, "linear", (ids, weight), said)
            fixes = [features, *fixes] if ids.rank > 2 else [*fixes, features]
        if ids.rank > 1 and shape[-1] == self.rows:
            said = f"find the ids in the one-hot rows of {self.rows}"
            fixes = [amended(call, said, {self.places[0]: ids.then("argmax", -1)}), *fixes]
        return Explained(rule=rule, proposals=tuple(fixes))

    def out_of_range(self) -> Explained | None:
        """Return which ids are no rows of the table."""
        ids, table, rows = self.ids, self.table, self.rows
        if ids.least is None or ids.most is None:
            return self._unseen()
        if not outside(ids, rows):
            return None
        rule = f"{layer(self.call)} has {rows} rows, 0 to {rows - 1} (num_embeddings={rows}), and "
        rule += f"{ids.name} holds {held(ids)}."
        *counted, clamped = into_range(self.call, self.places[0], ids, rows)
        fixes = self._longer(ids.most + 1) + self._cropped(ids.most + 1)
        padded = self._padded(ids.least)
        moved = [*padded, *counted] if ids.least in (-1, -100) else [*counted, *padded]
        fixes = [*moved, *fixes, clamped]
        if ids.least >= 0:
            fixes = [*fixes[len(moved) : -1], *counted, clamped]
        own = Culprit(tensor=table, dim=0, setting="num_embeddings")
        is_position = ids.rank > 0 and (ids.shape or ())[-1] == ids.most + 1
        given = [Culprit(tensor=ids, dim=ids.rank - 1)] if is_position else []
        return Explained(rule=rule, culprits=(own, *given), proposals=tuple(fixes))

    def _longer(self, rows: int) -> list[Proposal]:
        """Return a table with a row for each id."""
        if rows <= self.rows:
            return []
        new = self.call.at({self.places[1]: self.table.of_shape(rows, self.width)})
        kind = "EmbeddingBag" if plain(self.call.op) == "embedding_bag" else "Embedding"
        made = f"nn.{kind}({rows}, {self.width})"
        said = f"build {layer(self.call)} with num_embeddings={rows} or more: `{made}`"
        positions = f", which makes max_len {rows}"
        vocabulary = f", one row for each of 0 to {rows - 1}"
        if _IDS.search(self.ids.name.lower()):
            vocabulary = ", one row for each id of the vocabulary"
        said += positions if self._are_positions(rows) else vocabulary
        return [Proposal(said=said, code=assigned(self.call, made), call=new)]

    def _are_positions(self, count: int) -> bool:
        """Return whether the ids count the steps: their largest is the length less one."""
        return bool(self.ids.shape) and (self.ids.shape or ())[-1] == count

    def _cropped(self, count: int) -> list[Proposal]:
        """Return positions of an input that was cut to what the table holds."""
        if not self._are_positions(count) or count <= self.rows:
            return []
        cut = self.ids.then("narrow", -1, 0, self.rows)
        said = f"crop the input to the {self.rows} positions that there are, truncate its {count}"
        return [amended(self.call, said, {self.places[0]: cut})]

    def _padded(self, least: int) -> list[Proposal]:
        """Return the ids with those that mark nothing put on row 0."""
        said = f"if {least} marks padding, look up row 0 for it (padding_idx=0)"
        clamped = self.ids.then("clamp", 0)
        return [amended(self.call, said, {self.places[0]: clamped})] if least < 0 else []

    def _unseen(self) -> Explained | None:
        """Return what is known where nobody looked at the ids, as on a GPU."""
        if self.call.error not in ("IndexError", "AcceleratorError"):
            return None
        rule = f"{layer(self.call)} has {self.rows} rows and needs {self.ids.name}, "
        rule += f"{self.ids.shape}, to hold 0 to {self.rows - 1} only."
        most = max(self.ids.shape or (0,))
        fixes = self._longer(most) if most > self.rows else []
        own = Culprit(tensor=self.table, dim=0, setting="num_embeddings")
        return Explained(rule=rule, culprits=(own,), proposals=tuple(fixes))
