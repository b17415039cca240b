"""Drill 10: a router joins, leaves, is killed, stands still until it counts as dead and wakes up."""

import signal
import time
from collections.abc import Sequence
from itertools import pairwise

from tidewire.kafka.partitioning import partition_of

from ..drill import Drill
from ..part import Part
from ..report import Report
from ..sightings import Sighting
from ..site import Site
from ..users import Users
from ..users_conclusion import conclude_users
from ..users_log import OWN

__all__ = ["DRILL"]

SESSION_TIMEOUT = 6.0
"""Seconds: the least that brokers allow by default."""
PAUSE = SESSION_TIMEOUT + 10.0
KEPT_PAUSE = 3.0
"""Seconds: every rebalance takes all partitions away for as long as it lasts, which is half the time a dead router costs."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    users = Users(
        site,
        count=scale.pick(long=500, short=40),
        lease=scale.pick(long=9.0, short=2.0),
        lookup_ttl=scale.pick(long=5.0, short=0.5),
        router_sabotage="hasty_commits" if scale.is_sabotaged else None,
    )
    nodes = users.start(scale.pick(long=3, short=2))
    (first,) = users.routers
    load, connections = users.connect("users", nodes)
    users.wait_until_announced(connections)
    publisher = site.publish(users.flow())
    site.let_run(scale.pick(long=3.0, short=0.5))
    pauses: dict[str, tuple[float, float]] = {}

    def during(name: str, began: float) -> None:
        pauses[name] = began, time.monotonic()

    began = time.monotonic()
    second = users.start_router()
    _wait_until_shared(site, [first, second], users.topic.partitions)
    site.let_run(scale.pick(long=3.0, short=0.3), "two routers share the work")
    during("join", began)
    if not scale.is_short:
        began = time.monotonic()
        site.say("the second router is told to end")
        second.leave()
        _wait_until_shared(site, [first], users.topic.partitions)
        site.let_run(3.0)
        during("leave", began)
        began = time.monotonic()
        second = users.start_router()
        _wait_until_shared(site, [first, second], users.topic.partitions)
        site.let_run(3.0)
        site.say("the second router stands still")
        began = time.monotonic()
        second.signal(signal.SIGSTOP)
        _wait_until_shared(site, [first], users.topic.partitions)
        site.let_run(3.0)
        site.say("it wakes up")
        second.signal(signal.SIGCONT)
        _wait_until_shared(site, [first, second], users.topic.partitions)
        site.let_run(3.0)
        during("zombie", began)
    site.say("kill -9 the first router" if scale.is_short else "kill -9 the second router")
    began = time.monotonic()
    victim, survivor = (first, second) if scale.is_short else (second, first)
    victim.kill()
    _wait_until_shared(site, [survivor], users.topic.partitions)
    site.let_run(scale.pick(long=3.0, short=0.3))
    during("kill", began)
    seen = conclude_users(
        site, report, users, publishers=[publisher], loads=[load], connections=connections
    )
    for name, (begin, end) in pauses.items():
        longest = _longest_pauses(seen, users, begin, end)
        report.figure(f"{name}: pauses of partitions s", " ".join(f"{p:.1f}" for p in longest))
        kept = longest[: len(longest) // 2]
        report.require(
            f"{name}: half of the partitions, which do not move, pause for {KEPT_PAUSE:g} s at most",
            max(kept) <= KEPT_PAUSE,
            f"{max(kept):.1f} s",
            is_timing=True,
        )
    lost = sum(len(s.lost) for s in seen)
    report.require("no connection ended", lost == 0, f"{lost} ended")


def _wait_until_shared(site: Site, routers: Sequence[Part], partitions: int) -> None:
    """Until these have all partitions between them, and each has some."""
    site.wait_for(
        lambda: _are_sharing(routers, partitions),
        f"{len(routers)} routers have all partitions",
        within=PAUSE + 30.0,
    )


def _are_sharing(routers: Sequence[Part], partitions: int) -> bool:
    held = [int(router.metrics().total("router_partitions")) for router in routers]
    return sum(held) == partitions and all(held)


def _longest_pauses(
    seen: Sequence[Sighting], users: Users, begin: float, end: float
) -> list[float]:
    """The longest time without a message to any user of a partition, by partition, shortest first."""
    count = users.topic.partitions
    arrivals: list[list[float]] = [[begin, end] for _ in range(count)]
    for sighting in seen:
        user = next((u for u in users.names if f"-{u}-" in sighting.name), None)
        if user is not None:
            arrivals[partition_of(user.encode(), count)] += [
                a.at for a in sighting.arrivals if a.channel == OWN and begin <= a.at < end
            ]
    return sorted(
        max(later - earlier for earlier, later in pairwise(at)) for at in map(sorted, arrivals)
    )


DRILL = Drill(
    number=10,
    title="routers join, leave, die, wake up",
    sabotage="routers commit what they have read, and write it a second later",
    run=run,
)
