"""A difference as plain facts, for JSON: complete, however long it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from attntrace.record.difference import Difference, ModuleChange
from attntrace.render.difference.sentence import difference_sentence


def difference_facts(difference: Difference) -> dict[str, Any]:
    """Return the fields of a difference, of each figure whether it differs, and the sentence."""
    before, after = difference.subjects
    return {
        "differs": bool(difference),
        "sentence": difference_sentence(difference),
        "subjects": {"before": before, "after": after},
        "rows": [asdict(change) for change in difference.rows],
        "modules": [_module(change) for change in difference.modules],
        "figures": [{**asdict(of), "differs": of.differs} for of in difference.figures],
    }


def _module(change: ModuleChange) -> dict[str, Any]:
    """Return the fields of a change, parameters and settings of the module by name."""
    sides = {
        side: module
        and {**asdict(module), "own": dict(module.own), "settings": dict(module.settings)}
        for side, module in (("before", change.before), ("after", change.after))
    }
    return {**asdict(change), **sides}
