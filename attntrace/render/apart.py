"""Rich, imported so that the author's `random` goes on as if it were not: its import draws from it."""

import random

_state = random.getstate()
import rich.style  # noqa: E402, F401

random.setstate(_state)
