"""What commands print: results on stdout, everything about the way there on stderr."""

import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from ..errors import TidewireError

__all__ = ["console", "print_error", "print_json", "print_line", "print_table", "progress"]

_WIDEST = 1000


def console() -> Console:
    """Results for people, on stdout."""
    return Console(soft_wrap=True, highlight=False)


def progress() -> Console:
    """News for people, on stderr."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def print_line(text: str) -> None:
    """One line of a result on stdout, at once and exactly as it is."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def print_table(table: Table) -> None:
    """A table on stdout, with nothing cut off: a narrow terminal wraps its lines."""
    Console(width=_WIDEST, highlight=False).print(table)


def print_json(value: Any) -> None:
    """One JSON line on stdout, for scripts."""
    print_line(orjson.dumps(value).decode())


def print_error(error: TidewireError) -> None:
    """The error's own sentence on stderr."""
    sys.stderr.write(f"tidewire: {error}\n")
    sys.stderr.flush()
