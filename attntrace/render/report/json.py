"""The report as JSON, as `docs/check-json.md` describes it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.difference import difference_facts
from attntrace.render.report.breaches import counts

SCHEMA_VERSION = 1


def to_json(report: Report) -> str:
    """Return every fact of the report; the same of two runs, but for the seconds."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "summary": {
            **counts(report),
            "left": len(report.left),
            "seconds": round(report.seconds, 3),
        },
        "exit_code": report.exit_code,
        "outcomes": [_outcome(outcome) for outcome in report.outcomes],
        "left": report.left,
        "command": report.command,
    }
    return json.dumps(document, indent=1) + "\n"


def _outcome(outcome: Outcome) -> dict[str, Any]:
    difference = outcome.difference
    return {
        "config": outcome.config,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "seconds": round(outcome.seconds, 3),
        "rows": outcome.rows,
        "parameters": outcome.parameters,
        "wrote": outcome.wrote,
        "verdicts": [asdict(verdict) for verdict in outcome.verdicts],
        "difference": difference and difference_facts(difference),
    }
