"""A session as the stores keep it, and which of a user's have to go (pure)."""

from collections.abc import Mapping
from typing import Final, NamedTuple

__all__ = ["CONNECTIONS_PER_USER", "Row", "row_of", "surplus", "text_of"]

CONNECTIONS_PER_USER: Final = 16


class Row(NamedTuple):
    """One connection of a user, announced under a node's ``epoch``; ``since_ms`` is Unix milliseconds."""

    epoch: str
    since_ms: int
    device: str | None


def text_of(row: Row) -> str:
    """``epoch since device``: short, since a hash of values beyond 64 bytes costs Redis thrice the memory."""
    text = f"{row.epoch} {row.since_ms}"
    return f"{text} {row.device}" if row.device else text


def row_of(text: str) -> Row:
    epoch, _, rest = text.partition(" ")
    since, _, device = rest.partition(" ")
    return Row(epoch, int(since), device or None)


def surplus(rows: Mapping[str, Row], most: int = CONNECTIONS_PER_USER) -> list[str]:
    """The connections beyond ``most``, oldest first; of two of one age, the one whose name comes first."""
    by_age = sorted(rows, key=lambda connection: (rows[connection].since_ms, connection))
    return by_age[: max(0, len(by_age) - most)]
