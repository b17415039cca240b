"""Drill 14: links fall silent under load, both ways and without a word; both sides must find out."""

import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from ..conclusion import conclude
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..report import Report
from ..sightings import Sighting
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

HEARTBEATS = 2
SPARE = 1.5
"""Intervals beyond those: until the first ping after the silence, and what a late timer costs."""
FREED_WITHIN = 10.0
"""After that a peer that answers no close frame has none of the node's memory."""
NEVER = "1000000"


def run(site: Site, report: Report) -> None:
    scale = site.scale
    interval = scale.pick(long=4.0, short=1.0)
    settings = {"LIMITS__PING_INTERVAL": str(interval), "LIMITS__STALL_TIMEOUT": "600"}
    if scale.is_sabotaged:
        settings["LIMITS__UNANSWERED_PINGS"] = NEVER
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK))
    node, refuge = site.start_nodes(2, settings)
    proxy = site.half_open_proxy(urlsplit(node.ws).port or 0)
    publisher = site.publish(
        site.flow(TABLE, scale.pick(long=200, short=50), removals=0.05),
        site.flow(TALK, scale.pick(long=100, short=30), seed=2),
    )
    through = f"ws://127.0.0.1:{proxy.said['port']}/v1/ws"
    cut_off = [
        replace(client, urls=[through, refuge.ws])
        for client in mixed(scale.pick(long=20, short=5), [through], prefix="cut-off")
    ]
    others = mixed(scale.pick(long=20, short=5), [node.ws])
    loads = [site.connect("others", others)]
    served = node.metrics().total("subscriptions")
    loads.append(site.connect("cut-off", cut_off))
    site.let_run(interval * scale.pick(long=2.0, short=1.5))
    site.say("the links of `cut-off` fall silent")
    proxy.signal(signal.SIGUSR1)
    silent_at = time.monotonic()
    most = interval * (HEARTBEATS + SPARE)
    found = site.reaches(
        lambda: node.metrics().total("subscriptions") == served, within=most + 2 * interval
    )
    took = time.monotonic() - silent_at
    freed = site.reaches(
        lambda: node.metrics().total("connections") == len(others), within=FREED_WITHIN
    )
    site.let_run(interval, "everybody goes on")
    seen = conclude(site, report, publishers=[publisher], loads=loads)
    report.figure("links", len(cut_off))
    report.figure("heartbeat s", interval)
    report.figure("all found after s", took)
    report.require(
        f"found within {HEARTBEATS} heartbeats of the first unanswered ping",
        found and took <= most,
        f"{took:.1f} s of {most:g}",
    )
    report.require("their sockets are freed", freed, f"within {FREED_WITHIN:g} s")
    _judge(report, seen)


def _judge(report: Report, seen: Sequence[Sighting]) -> None:
    cut_off = [s for s in seen if s.name.startswith("cut-off")]
    back = [s for s in cut_off if s.lost and s.answers[-1].has_since]
    report.require("clients find out and resume", len(back) == len(cut_off), f"{len(back)}")
    lost = sum(len(s.lost) for s in seen if not s.name.startswith("cut-off"))
    report.require("other connections stand", lost == 0, f"{lost} ended")


DRILL = Drill(
    number=14,
    title="half-open TCP",
    sabotage="a connection counts as alive however many pings stay unanswered",
    run=run,
)
