"""Drill 9: thousands of new channels in one second, beside channels that flow on."""

from collections.abc import Sequence
from itertools import pairwise

from ..conclusion import conclude
from ..crowd import TALK
from ..drill import Drill
from ..load import Client
from ..report import Report
from ..sightings import Arrival, Sighting, quantile
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

WIDE = "wide"
CALM = "calm"
TRICKLE = 0.15
"""Seconds between two new channels before the storm: quick changes, if the node made one for each."""
SHORTEST = 0.95
"""Seconds between two changes as the log tells them: a second, less what a log line may be late."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    connections = scale.pick(long=50, short=10)
    channels = scale.pick(long=100, short=30)
    site.make_streams(
        StreamSpec(WIDE, partitions=scale.pick(long=256, short=64)),
        StreamSpec(CALM, partitions=64),
        StreamSpec(TALK, partitions=8),
    )
    sabotage = "eager_assignment" if scale.is_sabotaged else None
    (node,) = site.start_nodes(1, {"LINGER": "2"}, sabotage=sabotage)
    kept = [
        Client(
            f"kept-{n}",
            [node.ws],
            [{"channel": TALK, "mode": "every"}, {"channel": f"{WIDE}/g{n}", "mode": "every"}],
        )
        for n in range(4)
    ]
    keeping = site.connect("kept", kept)
    publisher = site.publish(
        site.flow(TALK, scale.pick(long=300, short=100)),
        site.flow(WIDE, scale.pick(long=500, short=200), groups=connections * channels, entities=1),
    )
    trickle = [
        Client(
            f"trickle-{n:02}",
            [node.ws],
            [{"channel": f"{CALM}/g{n}", "mode": "every"}],
            begins_after=n * TRICKLE,
        )
        for n in range(scale.pick(long=30, short=10))
    ]
    trickling = site.connect("trickle", trickle)
    before = len(list(node.logged("partitions assigned")))
    storm = [
        Client(
            f"storm-{n:03}",
            [node.ws],
            [{"channel": f"{WIDE}/g{n * channels + i}", "mode": "every"} for i in range(channels)],
            begins_after=n / connections,
        )
        for n in range(connections)
    ]
    storming = site.connect("storm", storm, quiet=0.0)
    site.let_run(scale.pick(long=8.0, short=1.5))
    storming.finish()
    site.let_run(scale.pick(long=6.0, short=3.0), "linger and let go")
    seen = conclude(site, report, publishers=[publisher], loads=[keeping, trickling])
    changes = list(node.logged("partitions assigned"))
    _judge(report, seen, changes, storm=changes[before:])
    report.figure("channels", connections * channels)


def _judge(
    report: Report, seen: Sequence[Sighting], changes: Sequence[float], *, storm: Sequence[float]
) -> None:
    storming = [s for s in seen if s.name.startswith("storm")]
    kept = [s for s in seen if s.name.startswith("kept")]
    asked_at = [a.at for s in storming for a in s.asked]
    answers = [a for s in storming for a in s.answers]
    report.figure("asked for within s", max(asked_at) - min(asked_at))
    report.figure("answered p99 s", quantile([a.at - a.asked_at for a in answers], 0.99))
    report.figure("assignment changes", len(storm))
    shortest = min((b - a for a, b in pairwise(changes)), default=float("inf"))
    report.figure("shortest between changes s", shortest)
    report.require("the assignment changed", bool(storm), f"{len(storm)} changes")
    report.require(
        "≤ 1 assignment change a second", shortest >= SHORTEST, f"{shortest:.2f} s between"
    )
    refused = len(asked_at) - len(answers)
    report.require("every channel answered", refused == 0, f"{refused} were not")
    disturbed = sum(len(s.gaps) + len(s.lost) for s in kept)
    disturbed += sum("stale" in s.states(min(asked_at)) for s in kept)
    report.require(
        "kept partitions undisturbed", disturbed == 0, f"{disturbed} gaps, `stale` or ends"
    )
    pauses = [b.at - a.at for s in kept for a, b in pairwise(_of(s, TALK))]
    report.figure("longest pause on kept s", max(pauses, default=float("inf")))


def _of(sighting: Sighting, channel: str) -> list[Arrival]:
    return [a for a in sighting.arrivals if a.channel == channel]


DRILL = Drill(
    number=9,
    title="5,000 new channels in one second",
    sabotage="no pause between two changes of the assignment",
    run=run,
)
