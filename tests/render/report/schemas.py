"""Schemas to hold reports against: this project's own, and published ones where they are given."""

from __future__ import annotations

import json
import os
from pathlib import Path

from jsonschema import Draft4Validator, Draft202012Validator
from lxml import etree

OWN = Path(__file__).parents[2] / "schemas"
PUBLISHED = os.environ.get("ATTNTRACE_SCHEMAS")
"""A folder with the files that `tests/schemas/README.md` names."""


def xsd(path):
    """Return the XML schema of a file."""
    return etree.XMLSchema(etree.parse(path))


JUNIT = [xsd(OWN / "junit.xsd")]
SARIF = [Draft202012Validator(json.loads((OWN / "sarif.json").read_text()))]
if PUBLISHED:
    folder = Path(PUBLISHED)
    JUNIT += [xsd(folder / "junit-10.xsd"), xsd(folder / "JUnit.xsd")]
    published = json.loads((folder / "sarif-schema-2.1.0.json").read_text())
    SARIF.append(Draft4Validator(published, format_checker=Draft4Validator.FORMAT_CHECKER))


def valid_junit(text):
    """Return the document, which every schema accepts."""
    document = etree.fromstring(text.encode())
    for schema in JUNIT:
        schema.assertValid(document)
    return document


def valid_sarif(text):
    """Return the one run of the log, which every schema accepts."""
    log = json.loads(text)
    for schema in SARIF:
        schema.validate(log)
    return log["runs"][0]
