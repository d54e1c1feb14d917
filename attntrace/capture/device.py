"""Whether a device is there, and how much memory it has left."""

from __future__ import annotations

from pathlib import Path

import torch


def missing_device(name: str) -> str | None:
    """Return why a device cannot be used, None if it can."""
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if count == 0:
            return "CUDA is not there: this torch sees no GPU; use device cpu or meta"
        if (device.index or 0) >= count:
            last = f"cuda:{count - 1}"
            return f"device {name} is not there: this machine has cuda:0 to {last}; use {last}"
    if device.type == "mps" and not torch.backends.mps.is_available():
        return "mps is not there: this torch sees no Apple GPU; use device cpu or meta"
    return None


def available_nbytes(name: str) -> int | None:
    """Return the bytes that a device can still give, None for meta, which needs none."""
    device = torch.device(name)
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "meta":
        return None
    import psutil  # only large runs need it

    host = int(psutil.virtual_memory().available)
    return min([host, *_container_limits()])


def _container_limits() -> list[int]:
    """Return what the control group of a container leaves, for version 2 and version 1."""
    root = Path("/sys/fs/cgroup")
    old = root / "memory"
    places = [
        (root / "memory.max", root / "memory.current", root / "memory.stat"),
        (old / "memory.limit_in_bytes", old / "memory.usage_in_bytes", old / "memory.stat"),
    ]
    left = []
    for limit, used, stat in places:
        try:
            left.append(int(limit.read_text()) - int(used.read_text()) + _file_cache(stat))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return left


def _file_cache(stat: Path) -> int:
    """Return the bytes of a control group that hold copies of files, and give way."""
    pairs = (line.split() for line in stat.read_text().splitlines())
    return sum(int(size) for name, size in pairs if name in ("inactive_file", "active_file"))
