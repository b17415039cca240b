"""Drill 3: a node stands still for longer than its lease, its inbox goes to another, and it wakes up."""

import signal
import time
from collections.abc import Mapping
from typing import Any

from ..drill import Drill
from ..node import DrillNode
from ..report import Report
from ..site import Site
from ..users import Users
from ..users_conclusion import conclude_users

__all__ = ["DRILL"]

FLEETING = 0.3
"""The share of messages that no mailbox has: such a one can come from an inbox alone."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    users = Users(
        site,
        count=scale.pick(long=500, short=40),
        lease=scale.pick(long=6.0, short=2.0),
        lookup_ttl=scale.pick(long=5.0, short=0.5),
        sabotage="no_epoch_check" if scale.is_sabotaged else None,
    )
    nodes = users.start(scale.pick(long=3, short=2))
    load, connections = users.connect("users", nodes)
    users.wait_until_announced(connections)
    publisher = site.publish(users.flow(fleeting=FLEETING))
    slots = []
    rounds = scale.pick(long=2, short=1)
    for number in range(rounds):
        site.let_run(scale.pick(long=3.0, short=0.5))
        slots.append(_stand_still(site, users, nodes[number], scale.pick(long=15.0, short=3.0)))
        site.say(f"registered again {_came_back(site, users, nodes[number]):.1f} s after SIGCONT")
    users.wait_until_announced(connections)
    site.let_run(scale.pick(long=3.0, short=0.5))
    seen = conclude_users(
        site, report, users, publishers=[publisher], loads=[load], connections=connections
    )
    report.figure("stood still", rounds)
    report.require("its slot went to another node", all(slots), f"{sum(slots)} of {rounds}")
    fenced = users.counted["fenced"]
    report.require("letters of another epoch were refused, and counted", fenced > 0, f"{fenced}")
    lost = sum(len(s.lost) for s in seen)
    report.require("no connection ended", lost == 0, f"{lost} ended")


def _stand_still(site: Site, users: Users, node: DrillNode, seconds: float) -> bool:
    """Returns whether a new node got its slot meanwhile."""
    before = _lease(users, node)
    site.say(f"SIGSTOP {node.spec.name}, which holds slot {before['slot']}")
    node.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    site.wait_for(
        lambda: not users.view.knows(node.spec.name),
        "its slot is free",
        within=3 * users.lease + 10,
    )
    successor = users.start_nodes(1)[0]
    slot = _lease(users, successor)["slot"]
    site.say(f"{successor.spec.name} holds slot {slot}")
    site.let_run(max(0.2, seconds - (time.monotonic() - stopped_at)), "it stands still")
    node.signal(signal.SIGCONT)
    return bool(slot == before["slot"])


def _came_back(site: Site, users: Users, node: DrillNode) -> float:
    return site.wait_for(
        lambda: users.view.lease_of(node.spec.name) is not None, "it holds a lease again"
    )


def _lease(users: Users, node: DrillNode) -> Mapping[str, Any]:
    lease = users.view.lease_of(node.spec.name)
    assert lease is not None, f"{node.spec.name} holds no lease"
    return lease


DRILL = Drill(
    number=3,
    title="SIGSTOP a node; its slot goes to another",
    sabotage="nodes deliver what stands in the inbox, for whichever holder it was written",
    run=run,
)
