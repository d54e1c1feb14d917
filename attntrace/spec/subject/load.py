"""From what the user wrote to a subject: flag over `--set` over file, as for a spec."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from attntrace.errors import Problem, SettingsError
from attntrace.spec.aliases import canonical
from attntrace.spec.document import Setting, parse_value, read_yaml, says_null
from attntrace.spec.expect.model import Expectation
from attntrace.spec.expect.read import read, without_expected
from attntrace.spec.load import from_flag, from_sets
from attntrace.spec.problems import placed
from attntrace.spec.subject.check import check_subject, sizes_named
from attntrace.spec.subject.model import Subject
from attntrace.spec.subject.tensors import quoted
from attntrace.spec.target import HF, code_of, is_target

_NAMED = re.compile(r"([A-Za-z_][\w.]*)=(.*)", re.DOTALL)
_SUCH_AS = {"init": "dim=64", "size": "batch=13", "input": "x=2,128,512"}


class Typed(NamedTuple):
    """The texts of `--init`, `--input` and `--size`."""

    inits: Sequence[str] = ()
    inputs: Sequence[str] = ()
    sizes: Sequence[str] = ()


_NOTHING = Typed()


@dataclass(frozen=True, slots=True)
class LoadedSubject:
    """A valid subject, and the setting that each given path came from."""

    spec: Subject
    given: Mapping[str, Setting]
    notes: tuple[str, ...] = ()
    """What was left out, as of a block: nothing."""
    expect: tuple[Expectation, ...] = ()
    """What the file expects of a run; nothing that only runs it looks at it."""

    @property
    def input_sizes(self) -> dict[str, int]:
        """The sizes that inputs name, which may be larger or smaller in the same code."""
        named = sizes_named(self.given)
        return {name: size for name, size in self.spec.sizes.items() if name in named}

    def changed(self, settings: Mapping[str, Any]) -> Subject:
        """Return the subject with some settings changed: by path in `run.`, else by name of size.

        Raises:
            SettingsError: the rules refuse it.

        """
        given = dict(self.given)
        for name, value in settings.items():
            path = name if name.startswith("run.") else f"sizes.{name}"
            given[path] = Setting(path, value, f"{name} {value}", "python")
        spec, problems = check_subject(given)
        if spec is None or problems:
            raise SettingsError(problems)
        return spec

    def placed(self, error: SettingsError) -> SettingsError:
        """Return an error of the run with the user's own words for each setting."""
        return SettingsError([placed(problem, self.given) for problem in error.problems])


def asks_for_subject(file: str | Path | None) -> bool:
    """Whether an argument means code of the user's own: a target, or a YAML file that has one."""
    if file is None or is_target(str(file)):
        return file is not None
    path = Path(file)
    try:
        return path.is_file() and any(setting.path == "target" for setting in read_yaml(path))
    except SettingsError:  # the one who reads it in earnest says so
        return False


def load_subject(
    file: str | Path | None = None,
    *,
    sets: Iterable[str] = (),
    flags: Mapping[str, str] | None = None,
    typed: Typed = _NOTHING,
    defaults: Mapping[str, Any] | None = None,
    **settings: Any,
) -> LoadedSubject:
    """Return the subject that a target or a YAML file, texts, flags and Python settings describe.

    `flags` maps a path of a spec to the text that the user typed: those of the run section are
    settings, and sizes are named sizes where an input has them. `settings` are `init`, `inputs` (a
    mapping, or a list in order), `sizes` and `run`; so are `defaults`, which all else overrules.

    Raises:
        SettingsError: with every problem at once, each with its place.

    """
    problems: list[Problem] = []
    layers = [
        list(_from_python(defaults or {})),
        _from_file(file, problems),
        from_sets(sets, problems),
        list(_from_python(settings)),
        [*_from_typed(typed, problems), *_from_flags(flags or {})],
    ]
    given: dict[str, Setting] = {}
    expected = list[Setting]()
    for layer in layers:
        kept = without_expected(layer, expected)
        opened, twice = canonical([one for setting in kept for one in _opened(setting)])
        problems += twice
        given |= {setting.path: setting for setting in opened}
    given = _with_sizes({p: s for p, s in given.items() if not _says_nothing(s)}, flags or {})
    spec, found = check_subject(given)
    expect, unmet = read(expected)
    problems += [*found, *unmet]
    if spec is None or problems:
        raise SettingsError(problems)
    return LoadedSubject(spec, given, expect=expect)


def _says_nothing(setting: Setting) -> bool:
    """Whether a setting is null, which is as good as not given but for an argument."""
    return setting.value is None and setting.path.partition(".")[0] not in ("init", "inputs")


def _from_file(file: str | Path | None, problems: list[Problem]) -> list[Setting]:
    if file is None:
        return []
    text = str(file)
    if is_target(text):
        return [Setting("target", text, text, "flag")]
    try:
        return [_beside(setting, Path(file).parent) for setting in read_yaml(Path(file))]
    except SettingsError as error:
        problems.extend(error.problems)
        return []


def _beside(setting: Setting, folder: Path) -> Setting:
    """Return a setting of a YAML file: a file that it names lies where the YAML file does."""
    text = str(setting.value) if setting.path == "target" else ""
    if text.startswith(HF):
        return replace(setting, value=f"{HF}{folder / text.removeprefix(HF)}")
    code = code_of(text)
    if code is None or code.file is None or code.file.is_absolute():
        return setting
    end = f":{code.name}" if code.name else ""
    return replace(setting, value=f"{folder / code.file}{end}")


def _from_python(settings: Mapping[str, Any]) -> Iterator[Setting]:
    for name, value in settings.items():
        for key, item in value.items() if isinstance(value, Mapping) and value else [("", value)]:
            path = f"{name}.{key}" if key != "" else name
            yield Setting(path, item, f"{path}={item!r}", "python")


def _opened(setting: Setting) -> Iterator[Setting]:
    """Yield a setting; inputs in order each on their own."""
    if setting.path == "inputs" and isinstance(setting.value, list | tuple):
        for number, value in enumerate(setting.value):
            yield replace(setting, path=f"inputs.{number}", value=value)
    else:
        yield setting


def _from_typed(typed: Typed, problems: list[Problem]) -> Iterator[Setting]:
    for flag, part, texts in (("init", "init", typed.inits), ("size", "sizes", typed.sizes)):
        for text in texts:
            named = _NAMED.fullmatch(text)
            if named is None:
                message = f"name=value was expected, such as {_SUCH_AS[flag]}"
                problems.append(Problem(part, message, f"--{flag} {text}"))
            else:
                yield from _value(flag, f"{part}.{named[1]}", named[2], text, problems)
    number = 0
    for text in typed.inputs:
        named = _NAMED.fullmatch(text)
        name, value = (named[1], named[2]) if named else (str(number), text)
        number += named is None
        yield from _value("input", f"inputs.{name}", value, text, problems)


def _value(
    flag: str, path: str, value: str, text: str, problems: list[Problem]
) -> Iterator[Setting]:
    where = f"--{flag} {text}"
    try:
        read = parse_value(quoted(value) if flag == "input" else value)
    except ValueError as error:
        problems.append(Problem(path, f"the value is not YAML: {error}", where))
        return
    if read is None and not says_null(value.strip()):
        problems.append(Problem(path, f"a value was expected, such as {_SUCH_AS[flag]}", where))
        return
    yield Setting(path, read, where, "flag")


def _from_flags(flags: Mapping[str, str]) -> list[Setting]:
    """Return the flags of the run section; the others are of a block, or sizes."""
    return [from_flag(path, text) for path, text in flags.items() if path.startswith("run.")]


def _with_sizes(given: Mapping[str, Setting], flags: Mapping[str, str]) -> dict[str, Setting]:
    """Return the settings with those flags as sizes that an input or `sizes` names."""
    known = {*sizes_named(given), *(p.removeprefix("sizes.") for p in given if p[:6] == "sizes.")}
    more = {}
    for path, text in flags.items():
        if not path.startswith("run."):
            key = f"sizes.{path}" if path in known else path
            more[key] = replace(from_flag(path, text), path=key)
    return {**given, **more}
