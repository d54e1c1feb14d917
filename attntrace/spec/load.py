"""From what the user wrote to a spec: flag over `--set` over file over default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attntrace.errors import Problem, SettingsError
from attntrace.spec.aliases import canonical
from attntrace.spec.block import Spec
from attntrace.spec.document import Setting, parse_value, read_yaml, says_null
from attntrace.spec.expect.model import Expectation
from attntrace.spec.expect.read import read, without_expected
from attntrace.spec.fields import fields
from attntrace.spec.left_out import without_meaningless
from attntrace.spec.presets import is_name, no_such, path_of
from attntrace.spec.problems import check, placed
from attntrace.spec.shapeless import without_shapeless
from attntrace.spec.symbols import symbols_of
from attntrace.spec.target import is_target


@dataclass(frozen=True, slots=True)
class Loaded:
    """A valid spec, the setting that each given path came from, and what was left out."""

    spec: Spec
    given: Mapping[str, Setting]
    notes: tuple[str, ...] = ()
    """What was given and means nothing here: another project's name, or a preset's overruled."""
    expect: tuple[Expectation, ...] = ()
    """What the file expects of a run; nothing that only runs it looks at it."""

    @property
    def input_sizes(self) -> dict[str, int]:
        """The sizes of what goes in, which may be larger or smaller in the same block."""
        return {"batch": self.spec.batch, "tokens": self.spec.tokens}

    def placed(self, error: SettingsError) -> SettingsError:
        """Return an error of the run with the user's own words for each setting."""
        return SettingsError([placed(problem, self.given) for problem in error.problems])

    def changed(self, settings: Mapping[str, Any]) -> Spec:
        """Return the spec with some settings changed, by path, and all that follows from them.

        Raises:
            SettingsError: the rules refuse it.

        """
        changed = {
            path: Setting(path, value, f"{path} {value}", "python")
            for path, value in settings.items()
        }
        spec, problems = check({**self.given, **changed})
        if spec is None or problems:
            raise SettingsError(problems)
        return spec


def load(
    file: str | Path | None = None,
    *,
    sets: Iterable[str] = (),
    flags: Mapping[str, str] | None = None,
    defaults: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Loaded:
    """Return the spec that a file, `path=value` texts, flags and Python settings describe.

    `file` is a path, or the name of a preset; a file of that name goes first. `flags` maps a
    dotted path to the text that the user typed; `settings` are nested values, as in
    `load(heads=4, attention={"impl": "sdpa"})`. The flags win, then `settings`, then `sets`, then
    the file, then `defaults`, nested as `settings` are. Each may use the names of other projects, such as `hidden_size`. Null is as good as
    not given. What means nothing to the block is a problem, but is left out with a note where it
    is in another project's words, or where only something stronger than the file made it so.

    Raises:
        SettingsError: with every problem at once, each with its place.

    """
    problems: list[Problem] = []
    layers = [
        _from_file(file, problems),
        from_sets(sets, problems),
        list(_flatten(settings, ())),
        [from_flag(path, text) for path, text in (flags or {}).items()],
    ]
    notes: list[str] = []
    expected = list[Setting]()
    given = {setting.path: setting for setting in _flatten(defaults or {}, ())}
    of_file: dict[str, Setting] | None = None
    for layer in layers:
        shaping, wrong, silent = without_shapeless(without_expected(layer, expected))
        settings_here, twice = canonical(shaping)
        problems += [*wrong, *twice]
        notes += silent
        given |= {setting.path: setting for setting in settings_here}
        of_file = _said(given) if of_file is None else of_file
    given, left_out = without_meaningless(_said(given), of_file or {})
    spec, found = check(given)
    as_written = all(s.path.startswith("run.") for layer in layers[1:] for s in layer)
    expect, unmet = read(expected, symbols_of(spec.sizes) if spec and as_written else None)
    problems += [*found, *unmet]
    if spec is None or problems:
        raise SettingsError(problems)
    return Loaded(spec, given, (*notes, *left_out), expect)


def _said(given: Mapping[str, Setting]) -> dict[str, Setting]:
    """Return the settings without those that are null, which is as good as not given."""
    return {path: setting for path, setting in given.items() if not _says_nothing(setting)}


def _says_nothing(setting: Setting) -> bool:
    """Whether a setting is null; nothing at all after a key of ours is a slip of the pen."""
    field = fields().get(setting.path)
    if setting.value is not None or field is None:
        return False
    return field.nullable or setting.foreign or not setting.empty


def _from_file(file: str | Path | None, problems: list[Problem]) -> list[Setting]:
    if file is None:
        return []
    name = str(file)
    try:
        if is_target(name):
            problems.append(Problem("file", _CODE, name))
            return []
        if Path(file).exists() or not is_name(name):
            return [_of_a_block(setting) for setting in read_yaml(Path(file))]
        preset = path_of(name)
        if preset is not None:
            return read_yaml(preset, shown=preset.name)
        problems.append(Problem("file", no_such(name), name))
    except SettingsError as error:
        problems.extend(error.problems)
    return []


_CODE = "this is code of your own; a preset or a YAML file of settings was expected"


def _of_a_block(setting: Setting) -> Setting:
    if setting.path == "target":
        raise SettingsError([Problem("target", _CODE, setting.where)])
    return setting


def from_sets(sets: Iterable[str], problems: list[Problem]) -> list[Setting]:
    """Return the settings of `path=value` texts; what is none of these goes to the problems."""
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
            said = parse_value(value)
            empty = said is None and not says_null(value.strip())
            found.append(Setting(path.strip(), said, where, "--set", empty=empty))
        except ValueError as error:
            problems.append(Problem(path, f"the value is not YAML: {error}", where))
    return found


_FLAGS = {"mask.kind": "mask", "run.as_device": "as"}
"""Flags that are not called as the field is."""


def flag_of(path: str) -> str:
    """Return what the flag of a setting is called: "kv-heads", "mask", "as"."""
    return _FLAGS.get(path) or path.rpartition(".")[2].replace("_", "-")


def from_flag(path: str, text: str) -> Setting:
    """Return the setting of a path that was given as a flag with a text."""
    return Setting(path, _scalar(text), f"--{flag_of(path)} {text}", "flag")


def _flatten(settings: Mapping[str, Any], above: tuple[str, ...]) -> Iterable[Setting]:
    for key, value in settings.items():
        path = (*above, str(key))
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, path)
        else:
            dotted = ".".join(path)
            yield Setting(dotted, value, f"{dotted}={value!r}", "python")


def _scalar(text: str) -> str | int | float | bool | None:
    """Read a flag's text as YAML would: null, a bool or a number where it looks like one."""
    if text == "null":
        return None
    if text in ("true", "false"):
        return text == "true"
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text
