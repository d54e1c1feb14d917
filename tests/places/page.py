"""docs/check.md taken apart: its sections, the files that it shows, and the commands with output."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "check.md"
TEXT = PAGE.read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$|^<!-- \$ (?P<hidden>.*) -->$", re.DOTALL | re.MULTILINE
)
_NAMED = re.compile(r"# ([\w./-]+\.\w+)\n")
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One thing that a reader of the page does: writes a file, or types a command."""

    kind: str
    """"file" or "command"; "hidden" for a command that the page does not show."""
    name: str
    """The file, or the command."""
    text: str
    """What is in the file, or what the command prints."""


def sections():
    """Return the steps of each section, by its title."""
    titles = re.split(r"^## (.*)$", TEXT, flags=re.MULTILINE)
    return {
        title: list(_steps(body)) for title, body in zip(titles[1::2], titles[2::2], strict=True)
    }


def _steps(body):
    for found in _BLOCK.finditer(body):
        kind, text = found["kind"], found["body"]
        if found["hidden"]:
            yield Step("hidden", found["hidden"], "")
        elif kind == "text":
            yield from (Step("command", *command) for command in _COMMAND.findall(text))
        else:
            named = _NAMED.match(text)
            yield Step("file" if named else kind, named[1] if named else "", text)


def portable(text):
    """Return output without what is another in each run: seconds, commits, widths of lines."""
    text = re.sub(r"\d+\.\d+ ?s\b", "N s", text)
    text = re.sub(r"\([0-9a-f]{7}\)", "(COMMIT)", text)
    text = re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)
    return re.sub(r"=+( .* )=+$", r"=\1=", text, flags=re.MULTILINE)


def shows(shown, printed):
    """Whether a block shows what was printed; "..." on a line of its own stands for lines left out."""
    parts = portable(shown).split("...\n")
    pattern = r"(?:.*\n)+?".join(map(re.escape, parts))
    return re.fullmatch(pattern, portable(printed)) is not None
