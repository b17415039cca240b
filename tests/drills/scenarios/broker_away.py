"""Drill 6: the broker restarts, then stays away; publishing goes on into the publisher's buffer."""

import time
from collections.abc import Sequence

from ..conclusion import conclude
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..node import DrillNode
from ..report import Report
from ..sightings import Sighting
from ..site import Scale, Site, StreamSpec

__all__ = ["DRILL"]

NOTICED_WITHIN = 20.0
CAUGHT_UP_WITHIN = 20.0
FRESH = 2.0
"""Age (seconds) below which an event counts as live again: the slowest client's interval is 1 s."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK))
    nodes = site.start_nodes(2, sabotage="silent_outage" if scale.is_sabotaged else None)
    urls = [node.ws for node in nodes]
    publisher = site.publish(
        site.flow(TABLE, scale.pick(long=200, short=50), removals=0.05),
        site.flow(TALK, scale.pick(long=100, short=30), seed=2),
    )
    loads = [site.connect("clients", mixed(scale.pick(long=60, short=10), urls))]
    site.let_run(scale.pick(long=5.0, short=1.0))
    backs = []
    if not scale.is_short:
        site.say("the broker restarts")
        site.kafka.off()
        site.kafka.on()
        backs.append(_caught_up(site, nodes))
        site.let_run(5.0)
    site.say("the broker goes away")
    away_at, away_wall = time.monotonic(), time.time()
    site.kafka.off() if scale.is_short else site.kafka.kill()
    noticed = site.wait_for(
        lambda: _all_noticed(nodes, away_wall), "all nodes notice", within=NOTICED_WITHIN
    )
    late = mixed(scale.pick(long=10, short=5), urls, prefix="late")
    loads.append(site.connect("late", late))
    away = scale.pick(long=120.0, short=1.0)
    site.let_run(max(0.5, away - (time.monotonic() - away_at)), "the broker stays away")
    site.kafka.on()
    back_at = time.monotonic()
    backs.append(_caught_up(site, nodes))
    site.let_run(scale.pick(long=5.0, short=1.0))
    seen = conclude(site, report, publishers=[publisher], loads=loads)
    report.figure("away s", back_at - away_at)
    report.figure("noticed after s", noticed)
    report.figure("read again after s", max(backs))
    _judge(report, scale, seen, away_at=away_at, back_at=back_at)


def _judge(
    report: Report, scale: Scale, seen: Sequence[Sighting], *, away_at: float, back_at: float
) -> None:
    closed = sum(len(s.lost) for s in seen)
    report.require("no connection ended", closed == 0, f"{closed} ended")
    untold = [s.name for s in seen if not _was_told(s, away_at)]
    report.require("`stale`, then `live` told to everybody", not untold, f"{len(untold)} were not")
    gaps = sum(len(s.gaps) for s in seen) + sum(
        a.recovered == "gap" for s in seen for a in s.answers
    )
    report.require("no gap", gaps == 0, f"{gaps} gaps")
    levels = [_level_after(s, back_at) for s in seen if s.arrivals]
    report.figure("all level after s", max(levels, default=0.0))
    report.require(
        f"caught up within {CAUGHT_UP_WITHIN:g} s",
        max(levels, default=0.0) <= CAUGHT_UP_WITHIN,
        f"{max(levels, default=0.0):.1f} s",
        is_timing=True,
    )


def _was_told(sighting: Sighting, since: float) -> bool:
    """Whether a client heard `stale` in the outage and, as its last word, `live`."""
    states = sighting.states(since)
    return "stale" in states and states[-1] == "live"


def _level_after(sighting: Sighting, back_at: float) -> float:
    """Seconds from the broker's return until the client got an event that was fresh; infinite if never."""
    fresh = (a.at for a in sighting.arrivals if a.at >= back_at and a.newest <= FRESH)
    return next(fresh, float("inf")) - back_at


def _all_noticed(nodes: Sequence[DrillNode], since: float) -> bool:
    """Whether every node has said so since an instant (Unix seconds)."""
    return all(max(node.logged("broker does not answer"), default=0) >= since for node in nodes)


def _caught_up(site: Site, nodes: Sequence[DrillNode]) -> float:
    """Wait until every node delivers again; the seconds it took."""
    before = {node: node.metrics().total("frames_delivered_total") for node in nodes}
    return site.wait_for(
        lambda: all(
            node.metrics().total("frames_delivered_total") > written
            for node, written in before.items()
        ),
        "all nodes deliver again",
    )


DRILL = Drill(
    number=6,
    title="broker restart; broker away",
    sabotage="nodes tell nobody that the broker is away",
    run=run,
    switches_broker=True,
)
