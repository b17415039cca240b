"""Drill 1: nodes are killed under load, in turn; each comes back on its address."""

from ..conclusion import conclude
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..report import Report
from ..sightings import quantile, recovered
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

SKIPPED = 5


def run(site: Site, report: Report) -> None:
    scale = site.scale
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK))
    nodes = site.start_nodes(2)
    publisher = site.publish(
        site.flow(TABLE, scale.pick(long=300, short=100), removals=0.05),
        site.flow(TALK, scale.pick(long=200, short=60), seed=2),
    )
    clients = mixed(
        scale.pick(long=80, short=10),
        [node.ws for node in nodes],
        skips=SKIPPED if scale.is_sabotaged else 0,
    )
    load = site.connect("clients", clients)
    kills = scale.pick(long=6, short=2)
    for kill in range(kills):
        site.let_run(scale.pick(long=5.0, short=1.0))
        node = nodes[kill % len(nodes)]
        site.say(f"kill -9 {node.spec.name}")
        node.kill()
        site.let_run(scale.pick(long=2.0, short=0.3), "one node less")
        node.start()
        site.wait_for(
            lambda: site.total("connections") == len(clients), "every client is connected again"
        )
    seen = conclude(site, report, publishers=[publisher], loads=[load])
    returns = [seconds for sighting in seen for seconds in sighting.returns()]
    report.figure("kills", kills)
    report.figure("connections lost", sum(len(s.lost) for s in seen))
    report.figure("back p50 s", quantile(returns, 0.5))
    report.figure("back p99 s", quantile(returns, 0.99))
    report.figure("resumed", " ".join(f"{k} {n}" for k, n in sorted(recovered(seen).items())))
    report.require("connections were lost", bool(returns), f"{len(returns)} came back")


DRILL = Drill(
    number=1,
    title="kill -9 a gateway under load",
    sabotage=f"clients resume {SKIPPED} offsets further than they were told",
    run=run,
)
