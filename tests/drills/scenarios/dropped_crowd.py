"""Drill 13: all clients lose their connections at once, and a node that takes so many a second gets them back."""

import os
import signal
import time
from collections.abc import Sequence
from typing import NamedTuple

from ..conclusion import conclude
from ..crowd import TABLE
from ..drill import Drill
from ..load import Client
from ..report import Report
from ..sightings import Sighting, quantile
from ..site import Site, StreamSpec
from ..watch import Watch

__all__ = ["DRILL"]

CROWD = "DRILL_CROWD"
"""Variable of the environment: clients of a long drill, where the machine cannot bear as many as it should."""
PER_PROCESS = 500
GROUPS = 8
SDK_BACKOFF = (0.5, 20.0)
"""What the SDKs have where nobody says otherwise."""
NO_BACKOFF = (0.01, 0.01)
SHARE = 0.95
IN_TIME = 1.3
MOST_ATTEMPTS = 3
MOST_GROWTH = 0.1
ALLOCATOR = 16e6
"""Bytes that a node may have more in any case: what its allocator keeps for itself."""
GIVEN_UP_AFTER = 4.0
"""Times the time that all of them need at least."""


class _Back(NamedTuple):
    """One client's way back: seconds until it was served again, and how often it knocked."""

    seconds: float
    attempts: int


def run(site: Site, report: Report) -> None:
    scale = site.scale
    count, rate = scale.pick(long=(int(os.environ.get(CROWD, "5000")), 200), short=(200, 40))
    needed = count / rate
    site.make_streams(StreamSpec(TABLE, table=True))
    settings = {"LIMITS__HANDSHAKES_PER_SECOND": str(rate), "LIMITS__HANDSHAKES_BURST": str(rate)}
    sabotage = "hasty_return" if scale.is_sabotaged else None
    (node,) = site.start_nodes(1, settings, sabotage=sabotage)
    publisher = site.publish(site.flow(TABLE, scale.pick(long=1, short=20), groups=GROUPS))
    clients = [
        Client(
            f"client-{n:04}",
            [node.ws],
            [{"channel": f"{TABLE}/g{n % GROUPS}", "interval_ms": 1000}],
            begins_after=n / rate,
            backoff=NO_BACKOFF if scale.is_sabotaged else SDK_BACKOFF,
        )
        for n in range(count)
    ]
    groups = [clients[first :: _processes(count)] for first in range(_processes(count))]
    loads = site.connect_all("clients", groups, within=60.0 + 2 * needed)
    site.let_run(scale.pick(long=12.0, short=2.0), "everybody is connected")
    with Watch([node]) as watch:
        before, refused = node.resident_bytes(), _refused(site)
        site.say(f"{count} connections are dropped")
        dropped_at = time.monotonic()
        for load in loads:
            load.signal(signal.SIGUSR1)
        site.let_run(1.0, "they come back")
        are_back = site.reaches(
            lambda: site.total("subscriptions") == count, within=GIVEN_UP_AFTER * needed + 10
        )
        refused = _refused(site) - refused
    most = max([look.resident for look in watch.looks if look.at >= dropped_at], default=before)
    seen = conclude(site, report, publishers=[publisher], loads=loads)
    report.figure("clients", count)
    report.figure("admission a second", rate)
    report.figure("refused", int(refused))
    report.require("they came faster than they are let in", refused > 0, f"{refused:g} refused")
    report.require("everybody is back", are_back, f"within {GIVEN_UP_AFTER:g} × N/A")
    _judge_return(report, [_back(s, dropped_at) for s in seen], needed)
    _judge_memory(report, before, most)


def _processes(count: int) -> int:
    return max(2, count // PER_PROCESS)


def _refused(site: Site) -> float:
    return site.total("handshakes_total", outcome="overloaded_rate")


def _back(sighting: Sighting, dropped_at: float) -> _Back:
    served_at = min((a.at for a in sighting.answers if a.at > dropped_at), default=float("inf"))
    tried_at = [entry.at for entry in (*sighting.opened, *sighting.refused)]
    attempts = sum(dropped_at < at <= served_at for at in tried_at)
    return _Back(served_at - dropped_at, attempts)


def _judge_return(report: Report, returned: Sequence[_Back], needed: float) -> None:
    seconds = [back.seconds for back in returned]
    most = IN_TIME * needed
    in_time = sum(each <= most for each in seconds) / len(seconds)
    report.figure(f"back within {most:g} s %", in_time * 100)
    report.figure("back p50 s", quantile(seconds, 0.5))
    report.figure("back p95 s", quantile(seconds, 0.95))
    report.figure("back last s", max(seconds))
    report.require(
        f"{SHARE:.0%} are back within {IN_TIME:g} × N/A",
        in_time >= SHARE,
        f"{in_time:.1%} within {most:g} s",
        is_timing=True,
    )
    tries = [back.attempts for back in returned]
    report.figure("attempts", " ".join(f"{n}: {tries.count(n)}" for n in sorted(set(tries))))
    often = sum(n > MOST_ATTEMPTS for n in tries)
    report.require(f"at most {MOST_ATTEMPTS} attempts each", often == 0, f"{often} needed more")


def _judge_memory(report: Report, before: int, most: int) -> None:
    report.figure("node MB before", before / 1e6)
    report.figure("node MB at most after", most / 1e6)
    bound = before * (1 + MOST_GROWTH) + ALLOCATOR
    report.require("memory stays flat", most <= bound, f"{most / 1e6:.0f} of {bound / 1e6:.0f} MB")


DRILL = Drill(
    number=13,
    title="all clients dropped at once",
    sabotage="whoever is refused is told to come back in a second, and does so at once, every time",
    run=run,
)
