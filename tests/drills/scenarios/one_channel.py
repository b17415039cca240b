"""Drill 12: one channel that everybody wants, 1,000 updates a second, beside a quiet one."""

import time
from collections.abc import Sequence

from ..conclusion import conclude
from ..crowd import TALK
from ..drill import Drill
from ..exposition import Exposition, quantile_bound
from ..load import Client
from ..report import Report
from ..sightings import Sighting, typical
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

BUSY = "ticker"
INTERVAL_MS = 100
MOST_LAG = 0.05
MOST_RATIO = 2.0
FRAMES_SPARE = 1.2
"""More frames than one an interval: the leading edge after an idle moment."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    site.make_streams(StreamSpec(BUSY, partitions=1, table=True), StreamSpec(TALK))
    sabotage = "no_coalescing" if scale.is_sabotaged else None
    (node,) = site.start_nodes(1, sabotage=sabotage)
    count = scale.pick(long=300, short=20)
    everybody = [
        Client(f"client-{n:03}", [node.ws], [{"channel": BUSY, "interval_ms": INTERVAL_MS}])
        for n in range(count)
    ]
    others = [
        Client(f"other-{n:02}", [node.ws], [{"channel": TALK, "mode": "every", "interval_ms": 100}])
        for n in range(scale.pick(long=30, short=5))
    ]
    loads = [site.connect("everybody", everybody), site.connect("others", others)]
    publishers = [site.publish(site.flow(TALK, 100))]
    site.let_run(1.0, "the other channels settle")
    begin = time.monotonic()
    site.let_run(scale.pick(long=12.0, short=1.0), "the other channels alone")
    busy_at = time.monotonic()
    before = node.metrics()
    publishers.append(site.publish(site.flow(BUSY, 1000, groups=1, entities=50, removals=0.02)))
    site.let_run(scale.pick(long=20.0, short=2.0), "1,000 updates a second")
    after = node.metrics()
    end = time.monotonic()
    seen = conclude(site, report, publishers=publishers, loads=loads)
    report.figure("clients", count)
    _judge_channel(report, seen, busy_at, end)
    _judge_loop(report, before, after)
    _judge_others(report, seen, begin, busy_at, end)


def _judge_channel(report: Report, seen: Sequence[Sighting], begin: float, end: float) -> None:
    arrivals = [
        a for s in seen if s.name.startswith("client") for a in s.arrivals if begin <= a.at <= end
    ]
    clients = sum(s.name.startswith("client") for s in seen)
    rate = len(arrivals) / clients / (end - begin)
    report.figure("frames a second and client", rate)
    report.figure("folded away", sum(a.coalesced for a in arrivals) / max(1, len(arrivals)))
    most = 1000 / INTERVAL_MS * FRAMES_SPARE
    report.require("coalesced", 0 < rate <= most, f"{rate:.1f} frames a second of {most:g}")


def _judge_loop(report: Report, before: Exposition, after: Exposition) -> None:
    lag = quantile_bound(before, after, "loop_lateness_seconds", 0.99)
    report.figure("loop lag p99 ≤ ms", lag * 1000)
    report.require(
        f"loop lag p99 below {MOST_LAG * 1000:g} ms",
        lag <= MOST_LAG,
        f"≤ {lag * 1000:g} ms",
        is_timing=True,
    )


def _judge_others(
    report: Report, seen: Sequence[Sighting], begin: float, busy_at: float, end: float
) -> None:
    arrivals = sorted(a for s in seen if s.name.startswith("other") for a in s.arrivals)
    alone = typical(arrivals, begin, busy_at, 0.99)
    beside = typical(arrivals, busy_at, end, 0.99)
    report.figure("others' p99 alone ms", alone * 1000)
    report.figure("others' p99 beside ms", beside * 1000)
    report.require(
        f"other channels' p99 within {MOST_RATIO:g}×",
        beside <= alone * MOST_RATIO,
        f"{beside / alone:.2f}×",
        is_timing=True,
    )


DRILL = Drill(
    number=12,
    title="one channel, every client, 1,000 updates/s",
    sabotage="a feed flushes at once, whatever its interval",
    run=run,
)
