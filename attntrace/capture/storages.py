"""Which memory is alive when: storages by identity, with their births and deaths in order.

A storage is known by the identity of its Python object, which PyTorch keeps the same for as long as
the storage lives. A weak reference tells when it dies, so that nothing is kept alive by watching.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor, UntypedStorage
from torch import device as Device

from attntrace.capture.fence import is_view
from attntrace.record import Owner

if TYPE_CHECKING:
    from attntrace.capture.ledger import Op

_NONE = (NotImplementedError, RuntimeError, ValueError)
"""What torch raises for a tensor without a storage."""


class Life:
    """What is known so far of one storage. Fields as in `StorageRecord`."""

    __slots__ = (
        "born", "device", "died", "died_op", "id", "key", "name", "nbytes", "op", "owner", "ref", "row", "saved",
        "written",
    )  # fmt: skip

    def __init__(self, number: int, nbytes: int, owner: Owner, name: str | None) -> None:
        self.id, self.nbytes, self.owner, self.name = number, nbytes, owner, name
        self.device: Device | None = None
        self.ref: weakref.ref[UntypedStorage] | None = None
        self.key: int | None = None
        self.born: int | None = None
        self.died: int | None = None
        self.died_op: int | None = None
        """The last op that had run when it died."""
        self.op: int | None = None
        self.row: int | None = None
        self.saved: bool | None = None
        self.written = -1
        """The last op that wrote into it."""

    @property
    def is_number(self) -> bool:
        """Whether it holds a Python number, which torch wrapped and no op made."""
        return self.owner == "run" and self.op is None


class Storages:
    """Every storage that a run has touched."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.lives: list[Life] = []
        self.clock = 0
        """Counts births and deaths."""
        self.ops = ops
        self._alive: dict[int, Life] = {}
        self._heir: tuple[Life, Op] | None = None

    def find(self, tensor: Tensor) -> Life | None:
        """Return the life of a tensor's storage, None if it is new here or has no storage."""
        try:
            return self._alive.get(id(tensor.untyped_storage()))
        except _NONE:
            return None

    def adopt(self, tensor: Tensor, owner: Owner, name: str | None = None) -> Life | None:
        """Take in memory that was there before the run; return its life, None without storage."""
        storage = storage_of(tensor)
        if storage is None:
            return None
        return self._alive.get(id(storage)) or self._add(storage, tensor, owner, name)

    def born(self, tensor: Tensor, op: int) -> Life | None:
        """Take in memory that op number `op` has just allocated; None without storage."""
        storage = storage_of(tensor)
        if storage is None:
            return None
        life = self._add(storage, tensor, "run", None)
        self.clock += 1
        life.born, life.op = self.clock, op
        return life

    def take_over(self, tensor: Tensor, life: Life | None) -> None:
        """Let a life go on in the storage of another tensor, as if that had been written in place."""
        storage = storage_of(tensor)
        if storage is None or life is None or life.key is None:
            return
        del self._alive[life.key]
        self._watch(storage, life)

    def expect_heir(self, tensor: Tensor, op: Op) -> None:
        """Note that an op is about to add another gradient to `tensor`, out of place.

        Autograd's engine adds in place where it holds the only reference to a dense gradient, but
        never under a dispatch mode (see `can_accumulate_inplace` in ATen's input_buffer.cpp). Who
        held the only reference shows at once: the old gradient dies. Then it lives on instead.
        """
        old = self.find(tensor)
        alone = not is_view(tensor) and is_dense(tensor)  # a view's base holds the storage, too
        self._heir = (old, op) if old is not None and old.owner == "run" and alone else None

    def resized(self, life: Life, tensor: Tensor, op: int) -> Life | None:
        """Account for an in-place op that changed a storage's size: one life ends, one begins."""
        storage = storage_of(tensor)
        if storage is None or storage.nbytes() == life.nbytes:
            return None
        life.ref = None
        self._dead(id(storage))
        return self.born(tensor, op)

    def close(self) -> None:
        """Stop watching: deaths from now on are not of this run."""
        self._alive.clear()
        for life in self.lives:
            life.ref = None

    def _add(self, storage: UntypedStorage, tensor: Tensor, owner: Owner, name: str | None) -> Life:
        life = Life(len(self.lives), storage.nbytes(), owner, name)
        life.device = tensor.device
        self.lives.append(life)
        self._watch(storage, life)
        return life

    def _watch(self, storage: UntypedStorage, life: Life) -> None:
        life.key = id(storage)
        life.ref = weakref.ref(storage, partial(self._dead, life.key))
        self._alive[life.key] = life

    def _dead(self, key: int, _: object = None) -> None:
        life = self._alive.pop(key)
        heir, self._heir = self._heir, None
        if heir is not None and heir[0] is life and self.ops[-1] is heir[1]:
            self._inherit(*heir)
            return
        self.clock += 1
        life.died, life.died_op = self.clock, len(self.ops) - 1

    def _inherit(self, old: Life, op: Op) -> None:
        """Let `old` live on in what was born last, as if that op had added to it in place."""
        new = self.lives.pop()
        self.clock -= 1
        old.key, old.ref, old.nbytes = new.key, new.ref, new.nbytes
        assert old.key is not None, "what was just born is watched"
        self._alive[old.key] = old
        op.outputs = [(*output[:3], old, "in place") for output in op.outputs]


def is_dense(tensor: Tensor) -> bool:
    """Return whether a tensor fills its storage without gaps, in whatever order."""
    pairs = sorted(zip(tensor.stride(), tensor.shape, strict=True))
    expected = 1
    for stride, size in pairs:
        if size != 1 and stride != expected:
            return False
        expected *= size
    return True


def storage_of(tensor: Tensor) -> UntypedStorage | None:
    """Return a tensor's storage, None for one that has none (sparse, lazy, opaque)."""
    try:
        return tensor.untyped_storage()
    except _NONE:
        return None
