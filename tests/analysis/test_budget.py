"""What a run takes altogether, and what the text of a budget means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attntrace.analysis.budget import total_of
from attntrace.notation.units import UNITS, nbytes_of
from tests.builders import fake_environment, fake_storage, fake_trace

EXPECTED = (
    "a size with a unit was expected, such as 80GiB or 80GB (units B, KiB, MiB, GiB, TiB, KB, kB, "
    "MB, GB, TB); got "
)


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("80GiB", 85_899_345_920),
        ("80GB", 80_000_000_000),
        ("1.5 MiB", 1_572_864),
        (" 24 TB ", 24 * 10**12),
        ("0.3KiB", 307),
        ("7B", 7),
        ("1kB", 1000),
    ],
)
def test_sizes(text, nbytes):
    """A number and a unit are bytes, powers of 1024 with an i and of 1000 without."""
    assert nbytes_of(text) == nbytes


@given(st.integers(1, 10**15), st.sampled_from(sorted(UNITS)))
def test_whole_numbers_are_exact(number, unit):
    """No figure is rounded on its way through a float."""
    assert nbytes_of(f"{number}{unit}") == number * UNITS[unit]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("80", "; did you mean 80GiB?"),
        ("80G", "; did you mean 80GiB?"),
        ("80gb", "; did you mean 80GB?"),
        ("1.5 mib", "; did you mean 1.5MiB?"),
        ("12 bytes", "; did you mean 12B?"),
        ("80GiBs", ""),
        ("-3GiB", ""),
        ("0GiB", ""),
        ("0.2B", ""),
        ("1e9B", ""),
        ("GiB", ""),
        ("", ""),
    ],
)
def test_what_is_no_size(text, hint):
    """Anything else is refused, with what was meant where that can be told."""
    with pytest.raises(ValueError, match="unit") as caught:
        nbytes_of(text)
    assert str(caught.value) == f"{EXPECTED}{text!r}{hint}"


def test_the_total_of_a_run():
    """Parameters, inputs and the peak of the run's own storages add up."""
    total = total_of(fake_trace())
    assert total.parts == {"parameters": 37_632, "inputs": 254_800, "peak": 1_851_200}
    assert total.nbytes == 37_632 + 254_800 + 1_851_200


def test_what_was_there_before_is_counted_by_owner():
    """Buffers, optimizer state and constants from outside are parts of their own."""
    owners = ("parameter", "buffer", "optimizer", "input", "outside")
    storages = tuple(fake_storage(at, 10**at, owner) for at, owner in enumerate(owners))
    assert total_of(fake_trace(storages=storages, ops=())).parts == {
        "parameters": 1, "buffers": 10, "optimizer": 100, "inputs": 1000, "outside": 10_000
    }  # fmt: skip


def test_cuda_takes_whole_blocks():
    """Where the run speaks for CUDA, each storage is rounded up to 512 bytes; the host's are not its."""
    sizes = enumerate((1, 512, 513))
    storages = tuple(fake_storage(at, size, "parameter", device="meta") for at, size in sizes)
    storages += (fake_storage(3, 4, "optimizer", device="cpu"),)
    trace = fake_trace(storages=storages, ops=(), environment=fake_environment(as_device="cuda"))
    assert total_of(trace).nbytes == 512 + 512 + 1024
