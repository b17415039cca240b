"""Drill 4: the registry is killed; what it keeps is removed; Redis stands still, and is killed; streams do not mind."""

import math
import signal
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..crowd import TABLE
from ..drill import Drill
from ..load import Client
from ..report import Report
from ..sightings import Sighting
from ..site import Site, StreamSpec
from ..users import Users
from ..users_conclusion import conclude_users
from ..users_log import OWN

__all__ = ["DRILL"]

ANNOUNCED_WITHIN = 10.0
SILENCE = 3.0
"""Seconds without an event that a stream's subscription may see on a busy machine."""
STREAM_RATE = 50


class _Trouble(NamedTuple):
    """``seconds``: between its begin and its end."""

    name: str
    begin: Callable[[], None]
    seconds: float
    end: Callable[[], None]


def run(site: Site, report: Report) -> None:
    scale = site.scale
    users = Users(
        site,
        count=scale.pick(long=500, short=40),
        lease=scale.pick(long=9.0, short=2.0),
        lookup_ttl=scale.pick(long=5.0, short=0.5),
        sabotage="announced_once" if scale.is_sabotaged else None,
    )
    site.make_streams(StreamSpec(TABLE, table=True))
    nodes = users.start(scale.pick(long=3, short=2))
    load, connections = users.connect("users", nodes)
    streams = [Client(f"beside-{n.spec.name}", [n.ws], [{"channel": TABLE}]) for n in nodes]
    beside = site.connect("beside", streams)
    users.wait_until_announced(connections)
    publishers = [
        site.publish(users.flow()),
        site.publish(site.flow(TABLE, STREAM_RATE)),
    ]
    site.let_run(scale.pick(long=3.0, short=0.5))
    away = time.monotonic()
    took = {
        trouble.name: _suffer(site, users, trouble, connections)
        for trouble in _troubles(site, users)
    }
    for name, seconds in took.items():
        report.figure(f"announced again after s, {name}", seconds)
    longest = max(took.values())
    report.require("everybody is announced again", longest < math.inf, f"{longest:.1f} s")
    if longest == math.inf:
        return  # nothing could be told of the rest
    report.require(
        f"announced again within {ANNOUNCED_WITHIN:g} s",
        longest <= ANNOUNCED_WITHIN,
        f"{longest:.1f} s",
        is_timing=True,
    )
    loads = [load, beside]
    seen = conclude_users(
        site, report, users, publishers=publishers, loads=loads, connections=connections
    )
    _judge(report, seen, away, away + scale.pick(long=20.0, short=1.0))


def _troubles(site: Site, users: Users) -> Sequence[_Trouble]:
    """What the registry keeps is not removed with the mailboxes: nothing could bring these back."""
    pick = site.scale.pick
    registry, store = users.registry, users.redis
    troubles = [
        _Trouble("registry killed", registry.kill, pick(long=20.0, short=1.0), registry.start),
        _Trouble("its keys removed", users.forget_registry, 0.0, lambda: None),
        _Trouble(
            "Redis stopped",
            lambda: store.signal(signal.SIGSTOP),
            pick(long=20.0, short=1.5),
            lambda: store.signal(signal.SIGCONT),
        ),
    ]
    if not site.scale.is_short:
        troubles.append(_Trouble("Redis killed", store.kill, 60.0, store.start))
    return troubles


def _suffer(site: Site, users: Users, trouble: _Trouble, connections: int) -> float:
    """The seconds from its end until everybody is announced; infinite where that never came."""
    site.say(trouble.name)
    trouble.begin()
    site.let_run(trouble.seconds, trouble.name)
    trouble.end()
    over_at = time.monotonic()
    if not site.reaches(
        lambda: users.are_announced(connections), within=2 * ANNOUNCED_WITHIN + users.lease
    ):
        return math.inf
    took = time.monotonic() - over_at
    site.let_run(site.scale.pick(long=3.0, short=0.3))
    return took


def _judge(report: Report, seen: Sequence[Sighting], began: float, until: float) -> None:
    lost = sum(len(s.lost) for s in seen)
    report.require("no connection ended", lost == 0, f"{lost} ended")
    served = sum(
        arrival.events
        for sighting in seen
        for arrival in sighting.arrivals
        if arrival.channel == OWN and began <= arrival.at < until
    )
    report.figure("delivered without the registry", served)
    report.require("known users are served without the registry", served > 0, f"{served} events")
    beside = [s for s in seen if s.name.startswith("beside")]
    told = sum(len(s.statuses) for s in beside)
    silences = [b.at - a.at for s in beside for a, b in pairwise(s.arrivals)]
    longest = max(silences, default=float("inf"))
    report.figure("longest silence of a stream s", longest)
    report.require("streams are told nothing", told == 0, f"{told} `status`")
    report.require(
        f"streams are silent for {SILENCE:g} s at most",
        longest <= SILENCE,
        f"{longest:.1f} s",
        is_timing=True,
    )


DRILL = Drill(
    number=4,
    title="registry killed and emptied; Redis away",
    sabotage="nodes tell the registry but once who is here",
    run=run,
)
