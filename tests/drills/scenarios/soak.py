"""Drill 19: the same load for half an hour, with a little coming and going; nothing grows, and nobody is miscounted."""

import json
import os
import time
from collections.abc import Mapping, Sequence

from histories.writing import write_log

from ..conclusion import conclude
from ..crowd import TABLE, TALK
from ..drill import Drill
from ..node import DrillNode
from ..report import Report
from ..sightings import Sighting, recovered
from ..site import Site, StreamSpec
from ..staying import SETTLED_WITHIN, Check, Crowd
from ..trend import trend
from ..vitals import Vital, Vitals, vital_of

__all__ = ["DRILL"]

MINUTES = "DRILL_SOAK"
"""Variable of the environment: minutes of a long drill, where half an hour is too long; short of ten they say little."""
WARM_UP = 0.27
"""Share of the time after which memory is judged: of half an hour 8 minutes, four times what nodes and mailboxes keep."""
MOST_SLOPE = 0.5
"""MB a minute. A hundred bytes kept of each frame are 1.7, of each record 1.3, twenty kilobytes of each connection that
has ended 0.5. What waits for the collector is 0.6 for some 17 minutes, until it has come by once."""
MOST_LATE_SLOPE = 0.1
"""MB a minute in the last third, when it has: what is freed is used again, and nothing grows any more."""
ALLOCATOR = 16.0
"""MB that a process may take more in a short drill, which is too short to tell a slope."""
SPARE_DESCRIPTORS = 20
"""For connections to Kafka, Redis and registry, of which there are as many as were ever needed at once."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK))
    crowd = Crowd(site)
    loads = crowd.connect()
    publisher = crowd.publish()
    seconds = scale.pick(long=float(os.environ.get(MINUTES, "30")) * 60, short=9.0)
    every = scale.pick(long=120.0, short=3.0)
    checks, acts = [crowd.check()], 0
    began_at = time.monotonic()
    with Vitals(crowd.processes(), scale.pick(long=5.0, short=0.25)) as vitals:
        while (now := time.monotonic()) < began_at + seconds:
            acts += crowd.unrest(loads, min(now + every, began_at + seconds))
            checks.append(crowd.check())
            site.say(_progress(crowd, vitals, checks[-1]))
    _keep(site, vitals)
    publisher.finish()
    crowd.users.wait_until_routed()
    crowd.users.settle()
    write_log(site.histories, crowd.users.log())
    seen = conclude(site, report, publishers=[], loads=loads)
    judged_from = began_at + WARM_UP * seconds
    report.figure("minutes", seconds / 60)
    report.figure("clients", crowd.count)
    report.figure("visitors", crowd.welcomed)
    _judge_unrest(report, seen, acts)
    _judge_memory(report, vitals.since(judged_from), is_short=scale.is_short)
    _judge_checks(report, crowd, checks, seen)
    judged = [check for check in checks if check.at >= judged_from]
    _judge_descriptors(report, judged)
    _judge_end(site, report, crowd.nodes, judged[0])


def _progress(crowd: Crowd, vitals: Vitals, check: Check) -> str:
    held = ", ".join(
        f"{n} {seen[-1].own / 1e6:.1f}" for n, seen in vitals.by_process.items() if seen
    )
    counts = f"{len(check.rows)} rows, {sum(check.sockets.values())} sockets"
    others = ", ".join(f"{name} {count}" for name, count in check.others.items())
    return f"{counts} of {crowd.count}; MB: {held}; other descriptors: {others}; {check.keys} keys"


def _keep(site: Site, vitals: Vitals) -> None:
    with (site.folder / "vitals.jsonl").open("w") as file:
        for name, seen in vitals.by_process.items():
            for vital in seen:
                file.write(json.dumps({"process": name, **vital._asdict()}) + "\n")


def _judge_unrest(report: Report, seen: Sequence[Sighting], acts: int) -> None:
    own = sum(closed.is_own for s in seen for closed in s.closed) - len(seen)
    lost = sum(len(s.lost) for s in seen)
    resumed = recovered(seen)
    refreshed = sum(s.said["refreshed"] for s in seen)
    rates = sum(map(_rates, seen))
    report.figure("left and came back", own)
    report.figure("tokens refreshed", refreshed)
    report.figure("rates changed", rates)
    report.figure("resumed", " ".join(f"{k} {n}" for k, n in sorted(resumed.items())))
    report.require("there was unrest", min(own, refreshed, rates) > 0, f"{acts} acts")
    report.require("no other connection ended", lost == 0, f"{lost} did")
    gaps = sum(len(s.gaps) for s in seen)
    is_whole = not gaps and set(resumed) <= {"exact", "changes"}
    report.require("who comes back lacks nothing", is_whole, f"{gaps} gaps, {dict(resumed)}")


def _rates(seen: Sighting) -> int:
    """How often it stood at another interval than that it began with."""
    first = {asked.subscription: asked.interval_ms for asked in reversed(seen.asked)}
    return sum(asked.interval_ms != first[asked.subscription] for asked in seen.asked)


def _judge_memory(report: Report, vitals: Mapping[str, Sequence[Vital]], *, is_short: bool) -> None:
    for name, seen in vitals.items():
        found = trend([(vital.at, vital.own / 1e6) for vital in seen])
        report.figure(f"{name} MB first", found.first)
        report.figure(f"{name} MB last", found.last)
        if is_short:
            grown = found.last - found.first
            said = f"{grown:.1f} MB more"
            report.require(f"memory of {name} stays", grown <= ALLOCATOR, said)
            continue
        report.figure(f"{name} MB a minute", found.slope)
        report.figure(f"{name} MB a minute at last", found.late_slope)
        said = f"{found.slope:.2f} MB a minute, in the last third {found.late_slope:.2f}"
        is_flat = found.slope <= MOST_SLOPE and found.late_slope <= MOST_LATE_SLOPE
        report.require(f"memory of {name} stays", is_flat, said)


def _judge_checks(
    report: Report, crowd: Crowd, checks: Sequence[Check], seen: Sequence[Sighting]
) -> None:
    unequal = [
        (len(c.rows), sum(c.sockets.values()), c.connections)
        for c in checks
        if not c.is_level(crowd.count)
    ]
    report.figure("quiet points", len(checks))
    report.require(
        f"registry rows = sockets = {crowd.count} at every quiet point",
        not unequal,
        f"rows, sockets, connections: {unequal}",
    )
    strange = [c.rows ^ {s.connection_at(c.at) for s in seen} for c in checks]
    report.require(
        "the rows are the connections that clients have",
        not any(strange),
        f"{sum(map(len, strange))} are not",
    )
    members = [c.members for c in checks]
    report.require("the router's group is the router", set(members) == {1}, members)
    keys = [c.keys for c in checks]
    report.figure("keys in Redis", f"{keys[0]} {keys[-1]}")


def _judge_descriptors(report: Report, checks: Sequence[Check]) -> None:
    """Those that are no client's connection."""
    for name, first in checks[0].others.items():
        counts = [check.others[name] for check in checks]
        report.figure(f"{name} other descriptors", f"{counts[0]} {counts[-1]}")
        report.require(
            f"descriptors of {name} stay", max(counts) <= first + SPARE_DESCRIPTORS, counts
        )


def _judge_end(site: Site, report: Report, nodes: Sequence[DrillNode], early: Check) -> None:
    names = ("connections", "subscriptions", "feeds")
    site.reaches(lambda: not any(site.total(name) for name in names), within=SETTLED_WITHIN)
    left = {name: site.total(name) for name in names}
    report.require("nothing is left of clients that went", not any(left.values()), left)
    after = {node.spec.name: vital_of(node.pid).descriptors for node in nodes}
    are_free = all(after[name] <= early.others[name] + SPARE_DESCRIPTORS for name in after)
    report.require("no descriptor of theirs either", are_free, f"{after} after {early.others}")


DRILL = Drill(
    number=19,
    title="steady load, a little coming and going",
    sabotage="nodes keep 128 bytes of each frame to a client, and a descriptor of who has gone",
    run=run,
)
