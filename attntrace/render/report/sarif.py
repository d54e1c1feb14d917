"""The report as SARIF 2.1.0, for code scanning: a result a contract that does not hold.

GitHub refuses the whole file for one result without a physical location, so that each has one: the
line of the config that asks for it, else the beginning of the file that the config is named after.
`primaryLocationLineHash`, the one fingerprint by which GitHub follows a result over commits, is left
to its upload action: that works it out from the line of the file, and warns of every other value.
What else follows results has a fingerprint of the config and the contract, which no edit moves.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from attntrace.record.outcomes import Place, Report
from attntrace.render.report.breaches import Breach, breaches, plain
from attntrace.version import __version__

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
RULES = {
    "config": (
        "A config says what can be built",
        "The config cannot be read, or a setting in it means nothing.",
        "The message names the setting, its value and what is possible.",
    ),
    "runs": (
        "A config builds and runs",
        "The block cannot be built, or its forward raises.",
        "The message says where it stopped, with the shapes of what was given there.",
    ),
    "expect": (
        "What a config expects is true of its run",
        "A line of the config's `expect:` does not hold of its run.",
        "Change the config, or what it expects of itself.",
    ),
    "baseline": (
        "A run equals its baseline",
        "The run is not as its baseline says, or there is none that can be read.",
        "Where the run is as it should be, `attntrace check --update` writes its baseline.",
    ),
}
"""What each kind of contract promises, what is wrong where it is broken, and what to do."""


def to_sarif(report: Report) -> str:
    """Return a log of one run; what passes is no result."""
    left = ", ".join(plain(config) for config in report.left)
    invocation: dict[str, Any] = {"executionSuccessful": True}
    if left:
        message = {"text": f"Not run, as a config before did not pass: {left}."}
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": message}]
    run = {
        "tool": {
            "driver": {
                "name": "attntrace",
                "semanticVersion": __version__,
                "rules": [_rule(kind) for kind in RULES],
            }
        },
        "invocations": [invocation],
        "results": [_result(breach) for breach in breaches(report)],
        "columnKind": "unicodeCodePoints",
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(kind: str) -> dict[str, Any]:
    promise, wrong, fix = RULES[kind]
    return {
        "id": kind,
        "shortDescription": {"text": promise},
        "fullDescription": {"text": wrong},
        "help": {"text": f"{wrong} {fix}"},
        "defaultConfiguration": {"level": "error"},
    }


def _result(breach: Breach) -> dict[str, Any]:
    place = breach.verdict.place or Place(file=_file(breach.outcome.config))
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.line,
        "endColumn": place.column + 1,
    }
    identity = f"{breach.config}\n{breach.contract}"
    return {
        "ruleId": breach.kind,
        "ruleIndex": list(RULES).index(breach.kind),
        "level": "error",
        "message": {"text": "\n".join(breach.lines)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri(place.file)},
                    "region": region,
                }
            }
        ],
        "partialFingerprints": {"contract/v1": sha256(identity.encode()).hexdigest()[:16]},
    }


def _file(config: str) -> str:
    """Return the file of "model.py:Block", and other names as they are."""
    file, _, name = config.rpartition(":")
    return file if file and name.replace(".", "").isidentifier() else config


def uri(file: str) -> str:
    """Return a path as a reference: relative where it is, else from the root of the file system."""
    path = PurePath(plain(file))
    text = quote(path.as_posix())
    return f"file:///{text.lstrip('/')}" if path.is_absolute() else text
