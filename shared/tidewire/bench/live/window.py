"""The measured time: marked, waited out or published through, and looked at from both ends."""

import time
from collections.abc import Callable, Sequence
from typing import Final

from ..errors import BenchError
from ..load_report import Report
from .figures import Sample, Spent
from .holding import Held
from .sites import Usage

__all__ = ["Spend", "measure", "settled"]

Spend = Callable[[float], None]
"""Lets so many seconds pass, or uses them."""
SETTLE_TIMEOUT: Final = 30.0
_LOOK: Final = 0.05


def measure(
    held: Sequence[Held],
    seconds: float,
    spend: Spend,
    settle: Callable[[], list[Report]] | None = None,
) -> tuple[list[Sample], bool]:
    """Samples of ``seconds``, and whether an interrupt cut them short.

    ``settle`` waits for what is still on its way, and gives the reports with it.
    """
    before = [one.site.usage() for one in held]
    for one in held:
        one.client.mark()
    is_interrupted = False
    try:
        spend(seconds)
    except KeyboardInterrupt:
        is_interrupted = True
    windows = [one.client.report() for one in held]
    used = [_spent(one, then) for one, then in zip(held, before, strict=True)]
    last = windows if settle is None else settle()
    samples = [
        Sample(one.site, one.connections, window, report, spent, why)
        for one, window, report, (spent, why) in zip(held, windows, last, used, strict=True)
    ]
    return samples, is_interrupted


def settled(held: Sequence[Held], events: int, quiet: float) -> list[Report]:
    """The reports once ``events`` have arrived since the mark, or none came for ``quiet`` seconds."""
    deadline = time.monotonic() + SETTLE_TIMEOUT
    arrived, changed_at = -1, time.monotonic()
    while True:
        reports = [one.client.report() for one in held]
        now, before = time.monotonic(), arrived
        arrived = sum(report.events for report in reports)
        if arrived != before:
            changed_at = now
        if arrived >= events or now - changed_at > quiet or now > deadline:
            return reports
        time.sleep(_LOOK)


def _spent(one: Held, before: Usage | None) -> tuple[Spent | None, str]:
    """What the site's nodes used since ``before``; a node that went away meanwhile has no usage."""
    try:
        after = one.site.usage()
    except BenchError as error:
        return None, str(error)
    if before is None or after is None or one.idle is None or one.full is None:
        return None, one.site.unmetered
    used = after.cpu_seconds - before.cpu_seconds
    return Spent(used, one.idle.resident_bytes, one.full.resident_bytes), ""
