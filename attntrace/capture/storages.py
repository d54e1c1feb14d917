"""Which memory is alive when: storages by identity, with their births and deaths in order.

A storage is known by the identity of its Python object, which PyTorch keeps the same for as long as
the storage lives. A weak reference tells when it dies, so that nothing is kept alive by watching.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, UntypedStorage
from torch import device as Device

from attntrace.capture.fence import is_view, unasked
from attntrace.record import Owner

if TYPE_CHECKING:
    from attntrace.capture.drafts import Op

NO_STORAGE = (NotImplementedError, RuntimeError, ValueError)
"""What torch raises for a tensor without a storage."""


class Life:
    """What is known so far of one storage. Fields as in `StorageRecord`; what is not set has its
    default on the class, because one is made for every allocation.
    """

    owner: Owner = "run"
    name: str | None = None
    ref: _Ref | None = None
    born: int | None = None
    died: int | None = None
    died_op: int | None = None
    """The last op that had run when it died."""
    op: int | None = None
    row: int | None = None
    saved: bool | None = None
    written = -1
    """The last op that wrote into it."""

    def __init__(self, number: int, storage: UntypedStorage, device: Device) -> None:
        self.id, self.nbytes, self.device = number, storage.nbytes(), device
        self.key = id(storage)

    @property
    def is_number(self) -> bool:
        """Whether it holds a Python number, which torch wrapped and no op made."""
        return self.owner == "run" and self.op is None


class _Ref(weakref.ref[UntypedStorage]):
    """A weak reference to a storage that knows whose death it tells of."""

    __slots__ = ("life",)
    life: Life


class Storages:
    """Every storage that a run has touched."""

    def __init__(self, ops: Sequence[Op]) -> None:
        self.lives: list[Life] = []
        self.clock = 0
        """Counts births and deaths."""
        self.ops = ops
        self.alive: dict[int, Life] = {}
        """By the identity of the storage's object."""
        self._heir: tuple[Life, Op] | None = None
        self._on_death = self._dead

    def find(self, tensor: Tensor) -> Life | None:
        """Return the life of a tensor's storage, None if it is new here or has no storage."""
        try:
            return self.alive.get(id(tensor.untyped_storage()))
        except NO_STORAGE:
            return None

    def adopt(self, tensor: Tensor, owner: Owner, name: str | None = None) -> Life | None:
        """Take in memory that was there before the run; return its life, None without storage."""
        with unasked():
            storage = storage_of(tensor)
            device = tensor.device
        if storage is None:
            return None
        life = self.alive.get(id(storage))
        if life is None:
            life = Life(len(self.lives), storage, device)
            life.owner, life.name = owner, name
            self.lives.append(life)
            self._watch(storage, life)
        return life

    def born(self, storage: UntypedStorage, device: Device) -> Life:
        """Take in memory that the last op has just allocated."""
        life = Life(len(self.lives), storage, device)
        self.lives.append(life)
        life.ref = ref = _Ref(storage, self._on_death)
        ref.life = self.alive[life.key] = life
        self.clock = life.born = self.clock + 1
        life.op = len(self.ops) - 1
        return life

    def take_over(self, tensor: Tensor, life: Life | None) -> None:
        """Let a life go on in the storage of another tensor, as if that had been written in place."""
        storage = storage_of(tensor)
        if storage is None or life is None or life.key is None:
            return
        del self.alive[life.key]
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

    def resized(self, life: Life, tensor: Tensor) -> Life | None:
        """Account for an in-place op that changed a storage's size: one life ends, one begins."""
        storage = storage_of(tensor)
        if storage is None or storage.nbytes() == life.nbytes:
            return None
        assert life.ref is not None, "what is written to is alive"
        self._dead(life.ref)
        return self.born(storage, tensor.device)

    def close(self) -> None:
        """Stop watching: deaths from now on are not of this run."""
        self.alive.clear()
        for life in self.lives:
            life.ref = None

    def _watch(self, storage: UntypedStorage, life: Life) -> None:
        life.key = id(storage)
        life.ref = ref = _Ref(storage, self._on_death)
        ref.life = life
        self.alive[life.key] = life

    def _dead(self, ref: weakref.ref[UntypedStorage]) -> None:
        assert isinstance(ref, _Ref), "we made it"
        life = ref.life
        life.ref = None
        del self.alive[life.key]
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
        assert old.ref is not None, "what was just born is watched"
        old.ref.life = old
        self.alive[old.key] = old
        op.outputs = tuple((*output[:3], old, "in place") for output in op.outputs)


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
    except NO_STORAGE:
        return None
