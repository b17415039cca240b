"""What must not stand in a log: tokens, bearer headers, payloads (pure)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

__all__ = ["CANARY", "Leak", "leaks_in"]

CANARY: Final = "canary-5b1e0f7c93"
"""Stands in what tests publish, and so in no log. It needs no escaping anywhere, so it looks the same everywhere."""

_SHOWN: Final = 400
_PATTERNS: Final = {
    "a token": re.compile(r"eyJ[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\."),
    "a bearer header": re.compile(
        r"authorization[\s'\",:=b\\]{1,8}bearer(?: |\+|%20)+[\w.~+/=-]"
        r"|\bbearer(?: |\+|%20)+[\w.~+/=-]{16,}",
        re.IGNORECASE,
    ),
    "a payload": re.compile(re.escape(CANARY)),
}


@dataclass(frozen=True, slots=True)
class Leak:
    """A line that must not be; ``source`` is who wrote it, ``number`` counts its lines from 1."""

    source: str
    number: int
    what: str
    line: str

    def __str__(self) -> str:
        return f"{self.source}, line {self.number}: {self.what}: {self.line[:_SHOWN]}"


def leaks_in(source: str, lines: Iterable[str], *, first: int = 1) -> list[Leak]:
    """Each thing that a line gives away; ``first`` is the number of the first line."""
    return [
        Leak(source, number, what, line.strip())
        for number, line in enumerate(lines, first)
        for what, pattern in _PATTERNS.items()
        if pattern.search(line)
    ]
