"""From what the user wrote to a spec: flag over `--set` over file over default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attntrace.errors import Problem, SettingsError
from attntrace.spec.aliases import canonical
from attntrace.spec.block import Spec
from attntrace.spec.document import Setting, parse_value, read_yaml
from attntrace.spec.fields import fields
from attntrace.spec.presets import is_name, no_such, path_of
from attntrace.spec.problems import check, placed


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid spec, and the setting that each given path came from."""

    spec: Spec
    given: Mapping[str, Setting]

    def placed(self, error: SettingsError) -> SettingsError:
        """Return an error of the run with the user's own words for each setting."""
        return SettingsError([placed(problem, self.given) for problem in error.problems])


def load(
    file: str | Path | None = None,
    *,
    sets: Iterable[str] = (),
    flags: Mapping[str, str] | None = None,
    **settings: Any,
) -> Loaded:
    """Return the spec that a file, `path=value` texts, flags and Python settings describe.

    `file` is a path, or the name of a preset; a file of that name goes first. `flags` maps a
    dotted path to the text that the user typed; `settings` are nested values, as in
    `load(heads=4, attention={"impl": "sdpa"})`. The flags win, then `settings`, then `sets`, then
    the file. Each may use the names of other projects, such as `hidden_size`.

    Raises:
        SettingsError: with every problem at once, each with its place.

    """
    problems: list[Problem] = []
    layers = [
        _from_file(file, problems),
        _from_sets(sets, problems),
        list(_flatten(settings, ())),
        [_from_flag(path, text) for path, text in (flags or {}).items()],
    ]
    given: dict[str, Setting] = {}
    for layer in layers:
        settings_here, wrong = canonical(layer)
        problems += wrong
        given |= {setting.path: setting for setting in settings_here}
    given = {path: setting for path, setting in given.items() if not _says_nothing(setting)}
    spec, found = check(given)
    if spec is None or problems or found:
        raise SettingsError([*problems, *found])
    return Loaded(spec, given)


def _says_nothing(setting: Setting) -> bool:
    """Whether a setting is null where null means "not given"."""
    field = fields().get(setting.path)
    return setting.value is None and field is not None and field.nullable


def _from_file(file: str | Path | None, problems: list[Problem]) -> list[Setting]:
    if file is None:
        return []
    name = str(file)
    try:
        if Path(file).exists() or not is_name(name):
            return read_yaml(Path(file))
        preset = path_of(name)
        if preset is not None:
            return read_yaml(preset, shown=preset.name)
        problems.append(Problem("file", no_such(name), name))
    except SettingsError as error:
        problems.extend(error.problems)
    return []


def _from_sets(sets: Iterable[str], problems: list[Problem]) -> list[Setting]:
    found = []
    for text in sets:
        path, equals, value = text.partition("=")
        where = f"--set {text}"
        if not (equals and path):
            problems.append(
                Problem(path, "path=value was expected, such as attention.qkv_bias=true", where)
            )
            continue
        try:
            found.append(Setting(path.strip(), parse_value(value), where, "--set"))
        except ValueError as error:
            problems.append(Problem(path, f"the value is not YAML: {error}", where))
    return found


def _from_flag(path: str, text: str) -> Setting:
    name = path.rpartition(".")[2].replace("_", "-")
    return Setting(path, _scalar(text), f"--{name} {text}", "flag")


def _flatten(settings: Mapping[str, Any], above: tuple[str, ...]) -> Iterable[Setting]:
    for key, value in settings.items():
        path = (*above, key)
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, path)
        else:
            dotted = ".".join(path)
            yield Setting(dotted, value, f"{dotted}={value!r}", "python")


def _scalar(text: str) -> str | int | float | bool:
    """Read a flag's text as YAML would: a number or a bool where it looks like one."""
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
