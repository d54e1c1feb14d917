"""Which memory is alive when: storages by identity, with their births and deaths in order.

A storage is known by the identity of its Python object, which PyTorch keeps the same for as long as
the storage lives. A weak reference tells when it dies, so that nothing is kept alive by watching.
"""

from __future__ import annotations

import weakref
from functools import partial

from torch import Tensor, UntypedStorage
from torch import device as Device

from attntrace.record import Owner

_NONE = (NotImplementedError, RuntimeError, ValueError)
"""What torch raises for a tensor without a storage."""


class Life:
    """What is known so far of one storage. Fields as in `StorageRecord`."""

    __slots__ = (
        "born", "device", "died", "id", "key", "name", "nbytes", "op", "owner", "ref", "row", "saved",
        "written",
    )  # fmt: skip

    def __init__(self, number: int, nbytes: int, owner: Owner, name: str | None) -> None:
        self.id, self.nbytes, self.owner, self.name = number, nbytes, owner, name
        self.device: Device | None = None
        self.ref: weakref.ref[UntypedStorage] | None = None
        self.key: int | None = None
        self.born: int | None = None
        self.died: int | None = None
        self.op: int | None = None
        self.row: int | None = None
        self.saved: bool | None = None
        self.written = -1
        """The last op that wrote into it."""


class Storages:
    """Every storage that a run has touched."""

    def __init__(self) -> None:
        self.lives: list[Life] = []
        self._clock = 0
        self._alive: dict[int, Life] = {}

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
        self._clock += 1
        life.born, life.op = self._clock, op
        return life

    def take_over(self, tensor: Tensor, life: Life | None) -> None:
        """Let a life go on in the storage of another tensor, as if that had been written in place."""
        storage = storage_of(tensor)
        if storage is None or life is None or life.key is None:
            return
        del self._alive[life.key]
        self._watch(storage, life)

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
        self._clock += 1
        life.died = self._clock


def storage_of(tensor: Tensor) -> UntypedStorage | None:
    """Return a tensor's storage, None for one that has none (sparse, lazy, opaque)."""
    try:
        return tensor.untyped_storage()
    except _NONE:
        return None
