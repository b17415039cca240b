"""Drill 16: a crowd resumes one partition from before what the node holds."""

from ..conclusion import conclude, keep_log
from ..crowd import TALK
from ..drill import Drill
from ..load import Client
from ..report import Report
from ..sightings import recovered
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

AGE = 600.0
"""Seconds: older than anything that a node reads by itself."""
PER_PROCESS = 500


def run(site: Site, report: Report) -> None:
    scale = site.scale
    events = scale.pick(long=1000, short=300)
    count = scale.pick(long=2000, short=60)
    site.make_streams(StreamSpec(TALK, partitions=1))
    topic = site.streams[TALK].topic
    site.publish(site.flow(TALK, 5000, most=events, backdated=AGE)).wait()
    sabotage = "no_sharing" if scale.is_sabotaged else None
    (node,) = site.start_nodes(1, sabotage=sabotage)
    since = {"epoch": site.topics.epoch(topic), "offsets": {"0": 0}}
    wanted = [{"channel": TALK, "mode": "every", "interval_ms": 250}]
    clients = [
        Client(
            f"client-{n:04}",
            [node.ws],
            wanted,
            since=since,
            begins_after=n / count * scale.pick(long=4.0, short=1.0),
            backoff=(0.5, 5.0),
        )
        for n in range(count)
    ]
    publisher = site.publish(site.flow(TALK, 20, seed=2))
    loads = site.connect_all(
        "clients", [clients[i : i + PER_PROCESS] for i in range(0, count, PER_PROCESS)]
    )
    site.let_run(2.0)
    keep_log(site, TALK)
    seen = conclude(site, report, publishers=[publisher], loads=loads)
    backfills = site.total("backfills_total")
    read = site.total("backfill_records_total")
    outcomes = recovered(seen)
    answered = [a.at for s in seen for a in s.answers]
    report.figure("clients", count)
    report.figure("events each", events)
    report.figure("backfills", backfills)
    report.figure("records read", read)
    report.figure("resumed", " ".join(f"{k} {n}" for k, n in sorted(outcomes.items())))
    report.figure("all answered within s", max(answered) - min(s.opened[0].at for s in seen))
    report.require("one backfill", backfills == 1, f"{backfills:g}")
    report.require("each record read once", read <= 2 * events, f"{read:g} of {events}")
    report.require("every resume exact", outcomes["exact"] == outcomes.total() >= count, outcomes)


DRILL = Drill(
    number=16,
    title="2,000 clients resume one cold partition",
    sabotage="what was read for some is forgotten before others ask",
    run=run,
)
