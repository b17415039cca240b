"""Drill 11: readers at 1 kB/s and readers that stop, beside healthy ones."""

import time
from collections.abc import Sequence

from histories.writing import write_samples

from ..conclusion import conclude
from ..crowd import TABLE
from ..drill import Drill
from ..load import Client
from ..report import Report
from ..sightings import Sighting, quantile, typical
from ..site import Site, StreamSpec
from ..watch import Watch

__all__ = ["DRILL"]

HIGH_WATER = 64 * 1024
FRAME_OUT = 256 * 1024
MOST_QUEUED = HIGH_WATER + FRAME_OUT
RECEIVE_BUFFER = 2048
LONGEST_FRAME = 6.0
"""Seconds that a slow reader takes for a frame, so that nothing for longer means that nothing is to come."""
MOST_AGE = 10.0
"""Seconds that the newest value of a frame may be old when a slow reader has it, once the node knows that it
is slow: a state takes 3 to 4 s, and its own kernel holds as much again."""
MOST_RATIO = 1.2
UNPROTECTED = {
    "LIMITS__HIGH_WATER": str(256 * 1024 * 1024),
    "LIMITS__UNSENT_TIMEOUT": "3600",
    "LIMITS__STALL_TIMEOUT": "3600",
}


def run(site: Site, report: Report) -> None:
    scale = site.scale
    stall = scale.pick(long=10.0, short=2.0)
    site.make_streams(StreamSpec(TABLE, table=True))
    protected = {"LIMITS__STALL_TIMEOUT": str(stall)}
    (node,) = site.start_nodes(1, UNPROTECTED if scale.is_sabotaged else protected)
    rate = scale.pick(long=1000, short=600)
    # One group's channel flows at some 4 kB/s (short: 10), its whole state is some 3 kB.
    groups = scale.pick(long=20, short=5)
    publisher = site.publish(site.flow(TABLE, rate, groups=groups, removals=0.02))
    wanted = [{"channel": f"{TABLE}/g0", "interval_ms": 100}]
    healthy = [Client(f"healthy-{n:02}", [node.ws], wanted) for n in range(20)]
    slow = [
        Client(
            f"slow-{n}",
            [node.ws],
            wanted,
            read_rate=scale.pick(long=1000.0, short=4000.0),
            receive_buffer=RECEIVE_BUFFER,
        )
        for n in range(3)
    ]
    deaf_for = stall + scale.pick(long=15.0, short=3.0)
    whole = [{"channel": TABLE, "interval_ms": 100}]
    stopped = [
        Client(
            f"stopped-{n}", [node.ws], whole, deaf=(1.0, deaf_for), receive_buffer=RECEIVE_BUFFER
        )
        for n in range(3)
    ]
    with Watch([node]) as watch:
        loads = [site.connect("healthy", healthy)]
        begin = time.monotonic()
        site.let_run(scale.pick(long=12.0, short=1.5), "healthy readers alone")
        disturbed = time.monotonic()
        loads += [
            site.connect("slow", slow, quiet=scale.pick(long=LONGEST_FRAME, short=2.0)),
            site.connect("stopped", stopped),
        ]
        site.let_run(deaf_for + scale.pick(long=5.0, short=1.0), "beside slow and stopped ones")
        end = time.monotonic()
    report.figure("aborted", site.total("slow_closes_total"))
    write_samples(site.histories, watch.samples())
    seen = conclude(site, report, publishers=[publisher], loads=loads, most_bytes=MOST_QUEUED)
    report.figure("most queued kB", watch.most_queued() / 1000)
    report.figure("memory grown MB", watch.grown(begin, end) / 1e6)
    _judge_slow(report, seen, end)
    _judge_stopped(report, seen)
    _judge_healthy(report, seen, begin, disturbed, end)


def _judge_slow(report: Report, seen: Sequence[Sighting], end: float) -> None:
    slow = [s for s in seen if s.name.startswith("slow")]
    first = [a.newest for s in slow for a in s.arrivals if a.at < _known_at(s)]
    ages = [a.newest for s in slow for a in s.arrivals if _known_at(s) <= a.at <= end]
    report.figure("slow ones' newest value at first max s", max(first, default=0.0))
    report.figure("then p50 s", quantile(ages, 0.5))
    report.figure("then max s", max(ages, default=float("inf")))
    report.require(
        f"slow ones' newest value at most {MOST_AGE:g} s old",
        max(ages, default=float("inf")) <= MOST_AGE,
        f"{max(ages, default=float('inf')):.1f} s",
    )
    told = [s for s in slow if "lagging" in s.states()]
    report.require(
        "slow ones told `lagging`", len(told) == len(slow), f"{len(told)} of {len(slow)}"
    )
    lost = sum(len(s.lost) for s in slow)
    report.require("slow ones stay connected", lost == 0, f"{lost} ends")


def _known_at(sighting: Sighting) -> float:
    """When the client first heard that it lags."""
    return next((at for at, state in sighting.statuses if state == "lagging"), float("inf"))


def _judge_stopped(report: Report, seen: Sequence[Sighting]) -> None:
    stopped = [s for s in seen if s.name.startswith("stopped")]
    back = [s for s in stopped if s.lost and len(s.opened) > 1 and s.answers[-1].has_since]
    report.require(
        "stopped ones are aborted and resume",
        len(back) == len(stopped),
        f"{len(back)} of {len(stopped)}",
    )


def _judge_healthy(
    report: Report, seen: Sequence[Sighting], begin: float, disturbed: float, end: float
) -> None:
    healthy = [s for s in seen if s.name.startswith("healthy")]
    arrivals = sorted(a for s in healthy for a in s.arrivals)
    before = typical(arrivals, begin, disturbed, 0.99)
    beside = typical(arrivals, disturbed, end, 0.99)
    report.figure("others' p99 before ms", before * 1000)
    report.figure("others' p99 beside ms", beside * 1000)
    report.figure("ratio", beside / before)
    report.require(
        f"others' p99 within {MOST_RATIO:g}×",
        beside <= before * MOST_RATIO,
        f"{beside / before:.2f}×",
        is_timing=True,
    )
    lost = sum(len(s.lost) for s in healthy)
    report.require("healthy ones stay connected", lost == 0, f"{lost} ends")


DRILL = Drill(
    number=11,
    title="readers at 1 kB/s, readers that stop",
    sabotage="high_water 256 MiB; unsent_timeout and stall_timeout an hour",
    run=run,
)
