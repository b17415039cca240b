"""Entries of a lock file that someone needs: ``python locked.py LOCK NEEDED_BY…``.

The lock tells with each entry who needs it ("via"), packages of the lock among them.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Entry", "entries_of", "needed_by"]

_NAME = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """``text`` is what stands in the lock; ``via`` who needs it."""

    name: str
    text: str
    via: frozenset[str]


def entries_of(lock: str) -> list[Entry]:
    """An entry begins where a line does; what belongs to it is indented."""
    blocks = re.split(r"\n(?=\S)", lock.strip("\n"))
    return [_entry(block) for block in blocks if not block.startswith("#")]


def needed_by(entries: Sequence[Entry], roots: Iterable[str]) -> list[Entry]:
    """What ``roots`` need, and what that needs, in the lock's order. Raises ``ValueError`` for a root that needs nothing."""
    wanted = set(roots)
    idle = wanted - {via for entry in entries for via in entry.via}
    if idle:
        raise ValueError(f"nothing in the lock is there for {', '.join(sorted(idle))}")
    found: list[Entry] = []
    while more := [entry for entry in entries if entry.via & wanted and entry not in found]:
        found += more
        wanted |= {entry.name for entry in more}
    return [entry for entry in entries if entry in found]


def _entry(block: str) -> Entry:
    named = _NAME.match(block)
    assert named, block
    comments = [line.strip().lstrip("# ") for line in block.splitlines() if "#" in line[:8]]
    told = [comment.removeprefix("via").strip() for comment in comments]
    return Entry(named[0], block, frozenset(who for who in told if who))


def main(arguments: Sequence[str]) -> int:
    path, *roots = arguments
    try:
        found = needed_by(entries_of(Path(path).read_text(encoding="utf-8")), roots)
    except ValueError as error:
        sys.stderr.write(f"{path}: {error}; was it locked for something else?\n")
        return 2
    sys.stdout.write("".join(f"{entry.text}\n" for entry in found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
