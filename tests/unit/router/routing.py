"""Letters, places and records that the router's tests are written with."""

from collections.abc import Sequence

from tidewire.kafka.records import Header, Record
from tidewire.targeting.messages import COLLAPSE_KEY, TTL, Letter
from tidewire.targeting.registry import Place

__all__ = ["NOW_MS", "letter", "place", "targeted_record"]

NOW_MS = 1_800_000_000_000


def place(node: str, epoch: str = "") -> Place:
    """A node whose slot is the number in its name."""
    slot = int("".join(filter(str.isdigit, node)) or "0")
    return Place(node, slot, epoch or f"{node}-epoch", f"http://{node}", ("c1",))


def letter(
    user: str, offset: int, *, is_kept: bool = True, partition: int = 0, data: bytes = b"1"
) -> Letter:
    return Letter(
        user=user,
        id=f"{user}-{offset}",
        data=data,
        ts_ms=NOW_MS,
        expires_at_ms=NOW_MS + 60_000,
        partition=partition,
        offset=offset,
        prev=None,
        is_kept=is_kept,
    )


def targeted_record(
    user: bytes | None = b"ann",
    *,
    offset: int = 0,
    value: bytes | None = b'{"n":1}',
    ttl: bytes | None = None,
    collapse_key: bytes | None = None,
    more: Sequence[Header] = (),
    ts_ms: int = NOW_MS,
) -> Record:
    headers: list[Header] = [("ce_id", b"id-%d" % offset), *more]
    if ttl is not None:
        headers.append((TTL, ttl))
    if collapse_key is not None:
        headers.append((COLLAPSE_KEY, collapse_key))
    return Record("targeted", 0, offset, ts_ms, user, value, headers)
