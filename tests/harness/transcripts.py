"""Console blocks of documents: commands, and whether what they printed is what stands below them (pure)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Step", "difference", "steps_of"]

ANYTHING: Final = "…"
_VOLATILE: Final = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?:127\.0\.0\.1|localhost):\d+"), "<host>"),
    (re.compile(r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b"), "<time>"),
    (re.compile(r"\b1[67]\d{11}\b"), "<ms>"),
    (re.compile(r'("epoch": ?)"[^"]*"'), r'\1"<epoch>"'),
    (re.compile(r'("connection": ?)"[^"]*"'), r'\1"<connection>"'),
    (re.compile(r'("offset": ?\[\d+, ?)\d+'), r"\1<offset>"),
    (re.compile(r'("offset": ?)\d+'), r"\1<offset>"),
    (re.compile(r'("offsets": ?\{)[^}]*\}'), r"\1<offsets>}"),
    (re.compile(r"\boffset \d+"), "offset <offset>"),
    (re.compile(r"\b(\d+):\d+$"), r"\1:<offset>"),
    (re.compile(r"\b\d+\.\d+ s\b"), "<seconds>"),
    (re.compile(r"\bprocess \d+"), "process <pid>"),
    (re.compile(r"\s+"), " "),
)
"""What differs from run to run. All else has to be as it stands, partitions included: keys choose them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command, and the lines below it. ``line`` counts from the block's first, from 0."""

    line: int
    command: str
    expected: tuple[str, ...]


def steps_of(text: str) -> list[Step]:
    """The commands of a console block; raises `ValueError` for output that no command stands above."""
    steps: list[Step] = []
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        if not lines[number].startswith("$ "):
            raise ValueError(f"{lines[number]!r} stands below no command: commands begin with `$ `")
        begun = number
        command = [lines[number][2:]]
        while command[-1].endswith("\\"):
            number += 1
            command.append(lines[number])
        number += 1
        expected = []
        while number < len(lines) and not lines[number].startswith("$ "):
            expected.append(lines[number])
            number += 1
        while expected and not expected[-1].strip():
            expected.pop()
        steps.append(Step(begun, "\n".join(command), tuple(expected)))
    return steps


def difference(expected: Sequence[str], printed: str) -> str | None:
    """How output differs from what was expected; None where it does not.

    `…` stands for any text within a line, and alone on its line for any number of lines. Of what varies from run to
    run (ports, times, offsets, ids) only the kind is compared. What is printed beyond the last line expected is told, too.
    """
    wanted = [_plain(line) for line in expected if line.strip()]
    got = [_plain(line) for line in printed.splitlines() if line.strip()]
    if _matches(wanted, got):
        return None
    return "\n  ".join(["expected:", *wanted]) + "\n" + "\n  ".join(["printed:", *got])


def _plain(line: str) -> str:
    for pattern, replacement in _VOLATILE:
        line = pattern.sub(replacement, line.strip())
    return line


def _matches(wanted: Sequence[str], got: Sequence[str]) -> bool:
    if not wanted:
        return not got
    if wanted[0] == ANYTHING:
        return any(_matches(wanted[1:], got[skipped:]) for skipped in range(len(got) + 1))
    return bool(got) and _line_matches(wanted[0], got[0]) and _matches(wanted[1:], got[1:])


def _line_matches(wanted: str, got: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in wanted.split(ANYTHING))
    return re.fullmatch(pattern, got) is not None
