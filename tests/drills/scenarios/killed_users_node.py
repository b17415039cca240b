"""Drill 1, the users' side: a node is killed under load; nobody is looked for there any more, and nobody misses a message."""

from ..drill import Drill
from ..report import Report
from ..site import Site
from ..users import Users
from ..users_conclusion import conclude_users

__all__ = ["DRILL"]

SPARE = 1.0
"""Seconds beyond a lease, or the time that routers remember: we look now and then, and so do they."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    users = Users(
        site,
        count=scale.pick(long=500, short=40),
        lease=scale.pick(long=9.0, short=2.0),
        # Sabotaged, routers have to be wrong for long enough.
        lookup_ttl=5.0 if scale.is_sabotaged else scale.pick(long=5.0, short=0.5),
        sabotage="no_prev_check" if scale.is_sabotaged else None,
    )
    nodes = users.start(scale.pick(long=3, short=2))
    load, connections = users.connect("users", nodes)
    users.wait_until_announced(connections)
    publisher = site.publish(users.flow())
    gone_after = []
    kills = scale.pick(long=3, short=1)
    for kill in range(kills):
        site.let_run(scale.pick(long=5.0, short=1.0))
        node = nodes[kill % len(nodes)]
        lease = users.view.lease_of(node.spec.name)
        assert lease is not None, f"{node.spec.name} holds no lease"
        epoch = lease["epoch"]
        users.note_letters([node])
        site.say(f"kill -9 {node.spec.name}")
        node.kill()
        gone_after.append(
            site.wait_for(
                lambda epoch=epoch: epoch not in users.view.epochs_of(users.names),  # type: ignore[misc] # bound on purpose
                "nobody is found on it",
                within=users.lease * 3 + 10,
            )
        )
        if not scale.is_short:
            node.start()
        site.wait_for(
            lambda: site.total("connections") == connections, "every client is connected again"
        )
    site.let_run(users.lookup_ttl + SPARE, "no router is wrong any more; load")
    seen = conclude_users(
        site, report, users, publishers=[publisher], loads=[load], connections=connections
    )
    report.figure("kills", kills)
    report.figure("not found there after s", max(gone_after))
    report.require(
        f"not found there after {users.lease + SPARE:g} s",
        max(gone_after) <= users.lease + SPARE,
        f"{max(gone_after):.1f} s",
        is_timing=True,
    )
    report.require("connections were lost", any(s.lost for s in seen), "none was")


DRILL = Drill(
    number=1,
    part="u",
    title="kill -9 a gateway of users",
    sabotage="nodes take every letter, whatever came before it",
    run=run,
)
