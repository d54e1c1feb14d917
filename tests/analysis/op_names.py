"""A recorder of which ops ran, and of nothing that a nested tensor would not have."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class OpNames(TorchDispatchMode):
    """The names of the ops that were dispatched, without their overloads."""

    def __init__(self):
        super().__init__()
        self.names = set()

    @classmethod
    def _should_skip_dynamo(cls):
        return False

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(str(func).rpartition(".")[0])
        return func(*args, **(kwargs or {}))
