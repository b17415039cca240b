"""When leases end, and when so many would end at once that none does (pure)."""

from collections.abc import Mapping, Set
from dataclasses import dataclass

__all__ = ["LeaseRules", "Settlement", "is_live", "settle"]


@dataclass(frozen=True, slots=True)
class LeaseRules:
    """Milliseconds and counts.

    Expiry freezes where more than ``freeze_share`` of the leases, and at least ``freeze_count``, ran out within one
    ``lease_ms``: the registry is probably the sick one. A frozen lease goes on for ``freeze_ms``, or until it is renewed.
    """

    lease_ms: int = 10_000
    slots: int = 16
    freeze_ms: int = 60_000
    freeze_share: float = 0.3
    freeze_count: int = 5


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the passing of time did to the leases, by node.

    ``ended``: are over since the last settlement; ``frozen``: get ``frozen_until_ms`` as their end, whether they had ended
    before or not; ``forgotten``: are over for so long that nothing brings them back.
    """

    now_ms: int
    ended: tuple[str, ...]
    frozen: tuple[str, ...]
    frozen_until_ms: int
    forgotten: tuple[str, ...]


def is_live(end_ms: int, settled_ms: int) -> bool:
    """A lease ends when a settlement says so, and not before: ``settled_ms`` is the last one's time."""
    return end_ms > settled_ms


def settle(
    ends: Mapping[str, int],
    frozen: Set[str],
    settled_ms: int | None,
    now_ms: int,
    rules: LeaseRules,
) -> Settlement:
    """Let time pass until ``now_ms``.

    ``ends``: every lease's end, those of the recent past included; ``frozen``: nodes whose end was put off;
    ``settled_ms``: when this was done last, None for never.
    While nobody settled, no lease ended: they all count as ending now, however long ago they ran out.
    """
    before = now_ms if settled_ms is None else settled_ms
    floor = min(before, now_ms) - rules.lease_ms
    silent = {node for node, end in ends.items() if floor < end <= now_ms and node not in frozen}
    put_off = sum(end > now_ms for node, end in ends.items() if node in frozen)
    counted = len(silent) + sum(end > now_ms for end in ends.values())
    missing = len(silent) + put_off
    is_freezing = missing >= rules.freeze_count and missing > rules.freeze_share * counted
    now_frozen = silent if is_freezing else set()
    return Settlement(
        now_ms=now_ms,
        ended=tuple(
            sorted(
                node
                for node, end in ends.items()
                if end <= now_ms
                and (settled_ms is None or settled_ms < end)
                and node not in now_frozen
            )
        ),
        frozen=tuple(sorted(now_frozen)),
        frozen_until_ms=now_ms + rules.freeze_ms,
        forgotten=tuple(sorted(n for n, end in ends.items() if end <= floor)),
    )
