"""Drill 8: under running nodes a topic is recreated, its log cut below a reader, its partitions added to."""

import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..conclusion import conclude, keep_log
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..node import DrillNode
from ..report import Report
from ..sightings import Sighting
from ..site import Site, StreamSpec
from ..workers import Worker

__all__ = ["DRILL"]

NOTICED_WITHIN = 40.0
GROWN_BY = 2


def run(site: Site, report: Report) -> None:
    scale = site.scale
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK))
    sabotage = "unwatched_topics" if scale.is_sabotaged else None
    settings = {"TOPIC_POLL_INTERVAL": str(scale.pick(long=10.0, short=1.0))}
    nodes = site.start_nodes(2, settings, sabotage=sabotage)
    urls = [node.ws for node in nodes]
    load = site.connect("clients", mixed(scale.pick(long=60, short=10), urls))
    talking = _publish(site, TALK, 1)
    pricing = _publish(site, TABLE, 2)
    site.let_run(scale.pick(long=5.0, short=1.0))

    changes = {}
    talking = _recreate(site, TALK, talking, seed=3)
    changes["recreated"] = _noticed(site, report, nodes, "recreated", 1)
    if not scale.is_short:
        pricing = _recreate(site, TABLE, pricing, seed=4)
        changes["table recreated"] = _noticed(site, report, nodes, "recreated", 2)
    site.let_run(scale.pick(long=5.0, short=1.0))
    _cut_below(site, nodes[1], pause=scale.pick(long=15.0, short=2.0))
    site.let_run(scale.pick(long=5.0, short=1.0))
    talking.finish()
    talking = _grow(site)
    changes["grown"] = _noticed(site, report, nodes, "repartitioned", 1)
    site.let_run(scale.pick(long=5.0, short=1.0))
    before_end = time.monotonic()
    site.let_run(scale.pick(long=4.0, short=2.0), "does everybody still get events")
    seen = conclude(site, report, publishers=[talking, pricing], loads=[load])
    for name, took in changes.items():
        report.figure(f"{name} noticed after s", took)
    _judge(report, seen, before_end)


def _publish(site: Site, stream: str, seed: int) -> Worker:
    rate = site.scale.pick(long=200, short=60)
    removals = 0.05 if stream == TABLE else 0.0
    return site.publish(site.flow(stream, rate, removals=removals, seed=seed))


def _recreate(site: Site, stream: str, publisher: Worker, *, seed: int) -> Worker:
    """Delete the topic while nobody publishes to it, and make it anew; publishing goes on at once."""
    publisher.finish()
    keep_log(site, stream)
    spec = site.streams[stream]
    site.say(f"the topic of {stream} is deleted and made anew")
    site.topics.delete(spec.topic)
    site.topics.create(spec.topic, spec.partitions, spec.to_config())
    return _publish(site, stream, seed)


def _noticed(
    site: Site, report: Report, nodes: Sequence[DrillNode], change: str, times: int
) -> float:
    """Seconds until every node knows."""
    begun = time.monotonic()
    is_noticed = site.reaches(
        lambda: all(
            node.metrics().total("topic_changes_total", change=change) >= times for node in nodes
        ),
        within=NOTICED_WITHIN if not site.scale.is_sabotaged else 12.0,
    )
    report.require(f"every node notices: {change} ({times})", is_noticed, "within its time")
    return time.monotonic() - begun


def _cut_below(site: Site, node: DrillNode, *, pause: float) -> None:
    """Stop a node, and take away what it has not read by the time it goes on."""
    spec = site.streams[TALK]
    node.signal(signal.SIGSTOP)
    site.let_run(pause, f"{node.spec.name} stands still")
    ends = {p: end for p, (_, end) in site.topics.bounds(spec.topic).items()}
    keep_log(site, TALK)
    site.topics.truncate(spec.topic, ends)
    site.say("the log is cut below it")
    node.signal(signal.SIGCONT)


def _grow(site: Site) -> Worker:
    spec = site.streams[TALK]
    grown = spec.partitions + GROWN_BY
    site.say(f"{TALK} gets {GROWN_BY} partitions more")
    site.topics.grow(spec.topic, grown)
    site.streams[TALK] = replace(spec, partitions=grown)
    return _publish(site, TALK, 5)


def _judge(report: Report, seen: Sequence[Sighting], before_end: float) -> None:
    gaps = Counter(reason or "gap" for s in seen for _, reason in s.gaps)
    gaps += Counter(f"{a.recovered}:{a.reason}" for s in seen for a in s.answers if a.reason)
    report.figure("gaps told", " ".join(f"{k} {n}" for k, n in sorted(gaps.items())))
    behind = [s.name for s in seen for channel in s.epochs if not _has_moved(s, channel)]
    report.require("everybody is in the new epoch", not behind, f"{len(behind)} never saw it")
    report.require("`recreated` was told", gaps["recreated"] > 0, dict(gaps))
    report.require("`retention` was told", gaps["retention"] > 0, dict(gaps))
    silent = [s.name for s in seen if not any(a.at > before_end for a in s.arrivals)]
    report.require("nobody stalls", not silent, f"{len(silent)} got nothing any more")


def _has_moved(sighting: Sighting, channel: str) -> bool:
    """Whether a channel of the recreated stream was seen in two epochs."""
    return not channel.startswith(TALK) or len(sighting.epochs[channel]) > 1


DRILL = Drill(
    number=8,
    title="topic recreated, cut, grown under running nodes",
    sabotage="nodes look at their topics once only",
    run=run,
)
