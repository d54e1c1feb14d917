"""The report as JUnit XML: a suite a config, a test case a contract.

There is no standard, so this keeps to what the schemas in use have in common:

- Jenkins' xUnit plugin holds a report against its `junit-10.xsd`, and refuses one that breaks it.
- Azure DevOps and others document the format by Windy Road's `JUnit.xsd`, which is Ant's. It asks
  for a host and a time of beginning, and knows no attributes of `testsuites` and no `file` or
  `line` of a test case. So there are none: the place is the last line of the body.
- Jenkins' junit plugin, GitLab and the reporters of GitHub hold a report against no schema. GitLab
  shows nothing but the body, so that has all lines, and of two cases of one name takes the first.

Maven's `surefire-test-report.xsd` has no `testsuites` and forbids the time of beginning that Ant's
asks for: no report of many suites satisfies it, and nothing that reads reports holds them to it.
"""

from __future__ import annotations

from collections import Counter
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from attntrace.record.outcomes import Outcome, Report
from attntrace.render.report.breaches import Breach, plain

RESULTS = {"failure": "failures", "error": "errors", "skipped": "skipped"}
"""What a case that did not pass holds, and the attribute of its suite that counts them."""


def to_junit(report: Report) -> str:
    """Return one document in ASCII, whatever the names are made of.

    A contract that was judged and does not hold is a failure, one that nothing could judge is an
    error, and a config that was not run is a suite of one skipped case. Times are in seconds.
    """
    root = Element("testsuites")
    for outcome in report.outcomes:
        _add(root, outcome.config, _cases(outcome), _facts(outcome))
    for config in report.left:
        _add(root, config, [_left(config)], {})
    for suite in root if report.started else ():
        suite.set("timestamp", f"{report.started:%Y-%m-%dT%H:%M:%S}")
    indent(root)
    text = tostring(root, encoding="us-ascii", xml_declaration=False).decode("ascii")
    return f'<?xml version="1.0"?>\n{text}\n'


def _add(root: Element, config: str, cases: list[Element], facts: dict[str, object]) -> None:
    """Add a suite of these cases, in the order of elements that the schemas ask for."""
    suite = SubElement(root, "testsuite", name=plain(config), package="attntrace")
    suite.attrib |= {"id": str(len(root) - 1), "hostname": "localhost", "tests": str(len(cases))}
    for tag, attribute in RESULTS.items():
        suite.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    suite.set("time", _text(sum(float(case.attrib["time"]) for case in cases)))
    properties = SubElement(suite, "properties")
    for name, value in facts.items():
        SubElement(properties, "property", name=name, value=plain(str(value)))
    suite.extend([*cases, Element("system-out"), Element("system-err")])


def _facts(outcome: Outcome) -> dict[str, object]:
    names = ("status", "rows", "parameters", "wrote")
    values = {name: getattr(outcome, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _cases(outcome: Outcome) -> list[Element]:
    """Return a case a contract, each of another name; the first has the time of the whole run."""
    cases = [_case(Breach(outcome, verdict)) for verdict in outcome.verdicts]
    seen: Counter[str] = Counter()
    for case in cases:
        name = case.attrib["name"]
        seen[name] += 1
        if seen[name] > 1:
            case.set("name", f"{name} ({seen[name]})")
    for case in cases[:1]:
        case.set("time", _text(outcome.seconds))
    return cases


def _case(breach: Breach) -> Element:
    case = _empty(breach.config, breach.contract)
    if not breach.verdict.holds:
        tag = "error" if breach.is_error else "failure"
        found = SubElement(case, tag, message=breach.lines[0], type=breach.kind)
        found.text = "\n".join([*breach.lines, *breach.at])
    return case


def _left(config: str) -> Element:
    case = _empty(plain(config), "runs")
    SubElement(case, "skipped", message="not run: a config before it did not pass")
    return case


def _empty(config: str, contract: str) -> Element:
    return Element("testcase", name=contract, classname=config, time=_text(0))


def _text(seconds: float) -> str:
    return f"{seconds:.3f}"
