"""Groups of clients that together use every kind of subscription."""

from collections.abc import Sequence
from typing import Any

from .load import Client

__all__ = ["TABLE", "TALK", "mixed"]

TABLE = "prices"
TALK = "chat"
"""The streams that most drills flow: a table, and one for mode `every`."""

_KINDS: tuple[tuple[dict[str, Any], ...], ...] = (
    ({"channel": TABLE, "interval_ms": 100}, {"channel": f"{TALK}/g1", "mode": "every"}),
    ({"channel": f"{TABLE}/g0", "interval_ms": 50}, {"channel": TALK, "mode": "every"}),
    ({"channel": f"{TABLE}/g3", "interval_ms": 500}, {"channel": f"{TABLE}/g4"}),
    ({"channel": TALK, "mode": "every", "interval_ms": 250},),
    ({"channel": TABLE, "interval_ms": 1000}, {"channel": TALK, "mode": "latest"}),
)


def mixed(count: int, urls: Sequence[str], prefix: str = "client", **options: Any) -> list[Client]:
    """Clients of all kinds, spread over ``urls``; a lost one goes to the next."""
    return [
        Client(
            f"{prefix}-{number:04}",
            [*urls[number % len(urls) :], *urls[: number % len(urls)]],
            _KINDS[number % len(_KINDS)],
            **options,
        )
        for number in range(count)
    ]
