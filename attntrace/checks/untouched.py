"""Settings of the process that the user's code may change: put back for the next config."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

Setting = tuple[Callable[[], Any], Callable[[Any], object]]
"""How a setting of the process is read, and how it is put back."""


@contextmanager
def without_numpy() -> Iterator[None]:
    """Let torch be silent in the block where there is no NumPy, which attntrace does not need.

    Filters of warnings that are set in it are gone afterwards.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Failed to initialize NumPy")
        yield


@contextmanager
def untouched() -> Iterator[None]:
    """Run a block on one thread of torch's; then settings of the process are what they were.

    These are torch's defaults, modes and random state, the current folder, the environment,
    sys.path, warning filters and what Ctrl-C and SIGTERM do. One thread, because what kernels allocate
    depends on how many there are, and a baseline must not depend on the cores of a machine.
    """
    with ExitStack() as stack:
        stack.enter_context(without_numpy())
        import torch

        for read, put_back in (*_of_torch(torch), *_of_python()):
            stack.callback(put_back, read())
        torch.set_num_threads(1)
        yield


def _of_torch(torch: Any) -> list[Setting]:
    def put_device(device: Any) -> None:
        # on "cpu" its mode would stay, which takes nn.MultiheadAttention off its fast path
        torch.set_default_device(None if device.type == "cpu" else device)

    return [
        (torch.get_num_threads, torch.set_num_threads),
        (torch.get_default_device, put_device),
        (torch.get_default_dtype, torch.set_default_dtype),
        (torch.is_grad_enabled, torch.set_grad_enabled),
        (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
        (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        (torch.get_rng_state, torch.set_rng_state),
    ]


def _of_python() -> list[Setting]:
    found: list[Setting] = [
        (random.getstate, random.setstate),
        (os.getcwd, os.chdir),
        (lambda: dict(os.environ), _put_environment),
        (lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path)),
    ]
    if threading.current_thread() is threading.main_thread():
        found += [_on(number) for number in (signal.SIGINT, signal.SIGTERM)]
    return found


def _on(number: signal.Signals) -> Setting:
    return lambda: signal.getsignal(number), lambda handler: signal.signal(number, handler)


def _put_environment(before: dict[str, str]) -> None:
    if dict(os.environ) != before:
        os.environ.clear()
        os.environ.update(before)
