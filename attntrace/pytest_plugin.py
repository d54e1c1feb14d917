"""`pytest --attntrace configs/`: each contract of each config is a test, and `assert_shapes`.

pytest imports this file at every start, with or without the flag: whatever is heavy waits until a
config is collected (pydantic) or run (torch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attntrace.record.outcomes import BASELINE, RUNS

if TYPE_CHECKING:
    from attntrace import Trace
    from attntrace.checks.options import Options
    from attntrace.record.outcomes import Outcome

YAML = ("*.yaml", "*.yml")
WROTE = "attntrace_wrote"
"""The property of a report under which a baseline that was written reaches the last lines."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flags."""
    group = parser.getgroup("attntrace", "attntrace: attention configs as tests")
    group.addoption("--attntrace", action="store_true", help="Run YAML configs as tests.")
    group.addoption(
        "--attntrace-files",
        action="append",
        metavar="GLOB",
        help="Which files are configs, such as 'configs/*'; by default *.yaml and *.yml.",
    )
    group.addoption(
        "--attntrace-baselines",
        metavar="DIR",
        help="The folder of the baselines; by default .attntrace in pytest's rootdir.",
    )
    group.addoption(
        "--attntrace-no-baselines",
        action="store_true",
        help="Check only that configs run and what they expect.",
    )
    group.addoption(
        "--attntrace-update", action="store_true", help="Write baselines that are missing or old."
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ConfigFile | None:
    """Return what collects a config; None without the flag, and of any other file."""
    config = parent.config
    if not config.getoption("--attntrace"):
        return None
    globs = config.getoption("--attntrace-files") or YAML
    hidden = file_path.name.startswith(".")
    if hidden or not any(file_path.match(glob) for glob in globs):
        return None
    return ConfigFile.from_parent(parent, path=file_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each baseline that was written, also those that other processes wrote."""
    reports = [r for every in terminalreporter.stats.values() for r in every]
    properties = [p for r in reports for p in getattr(r, "user_properties", ())]
    for path in dict.fromkeys(value for name, value in properties if name == WROTE):
        terminalreporter.write_line(f"wrote {path}")


class ConfigFile(pytest.File):
    """A config: an item a contract, and one run for all of them."""

    contracts: tuple[str, ...] = ()

    def collect(self) -> Iterator[Contract]:
        """Yield its contracts; of a config that cannot be read only that it runs."""
        self.contracts = tuple(self._contracts())
        for contract in self.contracts:
            yield Contract.from_parent(self, name=contract)

    def _contracts(self) -> Iterator[str]:
        from attntrace.errors import SettingsError
        from attntrace.spec import asks_for_subject, load, load_subject

        yield RUNS
        try:
            loaded = load_subject(self.path) if asks_for_subject(self.path) else load(self.path)
        except SettingsError:  # the run says what is wrong
            return
        yield from (f"expect.{one.name}" for one in loaded.expect)
        if not self.config.getoption("--attntrace-no-baselines"):
            yield BASELINE

    @cached_property
    def outcome(self) -> Outcome:
        """What came of the config, which runs when the first item asks."""
        from attntrace.checks.find import Checked
        from attntrace.checks.one import outcome_of

        return outcome_of(Checked(_shown(self.path), "file"), _options(self.config))


class Contract(pytest.Item):
    """One thing that must be true of a config."""

    parent: ConfigFile

    def runtest(self) -> None:
        """Fail with the sentences of what does not hold."""
        outcome = self.parent.outcome
        if outcome.wrote and self.name == BASELINE:
            self.user_properties.append((WROTE, outcome.wrote))
        if wrong := list(self._wrong()):
            pytest.fail("\n".join(wrong), pytrace=False)

    def _wrong(self) -> Iterator[str]:
        """Yield what does not hold. "runs" also has what no item was collected for."""
        from attntrace.render.report.human import verdict_lines

        every, items = self.parent.outcome.verdicts, self.parent.contracts
        mine = [
            verdict
            for verdict in every
            if self.name == (verdict.contract if verdict.contract in items else RUNS)
        ]
        for verdict in mine:
            yield from () if verdict.holds else verdict_lines(verdict)
        if not mine:
            why = next(verdict for verdict in every if not verdict.holds)
            yield f"not judged: {next(verdict_lines(why))}"

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the file, no line, and what the item is called above its failure."""
        return self.path, None, f"{_shown(self.path)}: {self.name}"


def _shown(path: Path) -> str:
    """Return a path from the working directory on, if it is below that."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _options(config: pytest.Config) -> Options:
    from attntrace.checks.options import FOLDER, Options

    named = config.getoption("--attntrace-baselines")
    folder = Path(named) if named else Path(_shown(config.rootpath / FOLDER))
    without = config.getoption("--attntrace-no-baselines")
    update = config.getoption("--attntrace-update")
    return Options(baselines=None if without else folder, update=update)


@pytest.fixture(scope="session")
def assert_shapes() -> Callable[..., Trace]:
    """Return `attntrace.checks.shapes.assert_shapes`: call a model, hold it to shapes by name.

    assert_shapes(model, x, {"x": "batch tokens dim", "scores": "batch heads tokens tokens"})
    """

    def called(*args: Any, **kwargs: Any) -> Trace:
        __tracebackhide__ = True
        from attntrace.checks.untouched import without_numpy
        from attntrace.errors import AttntraceError

        try:
            with without_numpy():
                from attntrace.checks.shapes import assert_shapes

                return assert_shapes(*args, **kwargs)
        except AttntraceError as error:
            said = str(error)
        pytest.fail(said)  # not in there, where pytest would show how we came to it

    return called
