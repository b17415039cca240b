"""Drill 15: records that are no events, large ones, clocks that jump by 5 minutes, a node that may have few descriptors."""

import contextlib
import signal
import socket
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from harness.few_descriptors import limited
from tidewire_gateway.descriptors import room_of

from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..load import Client
from ..node import DrillNode
from ..part import Part
from ..poison import Poisoner
from ..report import Report
from ..site import Site, StreamSpec
from ..users import Users
from ..users_conclusion import conclude_users

__all__ = ["DRILL"]

SHIFT = 300.0
LARGE = 100_000
"""Bytes of padding of values that are large and in order."""
BEYOND = 20
"""Clients more than a node has room for."""
PATIENCE = 10.0
_LARGEST = {"max.message.bytes": str(2 << 20)}


def run(site: Site, report: Report) -> None:
    scale = site.scale
    users = Users(
        site,
        count=scale.pick(long=200, short=20),
        lease=scale.pick(long=6.0, short=2.0),
        lookup_ttl=scale.pick(long=5.0, short=0.5),
        registry_shift=SHIFT,
        router_shift=-SHIFT,
    )
    site.make_streams(
        StreamSpec(TABLE, table=True, config=_LARGEST), StreamSpec(TALK, config=_LARGEST)
    )
    descriptors = scale.pick(long=1000, short=240)
    nodes = _start(site, users, descriptors)
    load, connections = users.connect(
        "users", nodes[:2], drops_for=scale.pick(long=40.0, short=4.0), drops_every=2.0
    )
    neighbours = mixed(scale.pick(long=30, short=5), [node.ws for node in nodes[:2]], "neighbour")
    loads = [load, site.connect("neighbours", neighbours)]
    users.wait_until_announced(connections)
    publishers = [
        site.publish(users.flow()),
        site.publish(
            site.flow(TABLE, scale.pick(long=200, short=50), removals=0.05),
            site.flow(TALK, scale.pick(long=100, short=30), seed=2),
            site.flow(TALK, scale.pick(long=2, short=1), padding=LARGE, seed=3),
        ),
    ]
    poisoner = _poison(site, users)
    _let_clocks_jump(site, report, users, nodes[:2])
    _run_out_of_descriptors(site, report, nodes, room_of(descriptors).connections)
    seen = conclude_users(
        site, report, users, publishers=publishers, loads=loads, connections=connections
    )
    _judge_poison(site, report, poisoner, users)
    lost = sum(len(s.lost) for s in seen if not s.name.startswith("beyond"))
    report.require("no connection ended", lost == 0, f"{lost} ended")


def _start(site: Site, users: Users, descriptors: int) -> list[DrillNode]:
    """Two whose clocks will jump, one of them each way, and one with few descriptors."""
    settings = {"TOKENS__LEEWAY": f"{SHIFT:g}"}
    is_sabotaged = site.scale.is_sabotaged
    clocked = "wall_clock_leases" if is_sabotaged else None
    users.start_router()
    for shift in (SHIFT, -SHIFT):
        users.start_nodes(1, settings, sabotage=clocked, clock_shift=shift)
    users.start_nodes(
        1,
        settings,
        sabotage="halting_records" if is_sabotaged else None,
        launcher=limited(descriptors // 4, descriptors),
    )
    return site.nodes


# Poison


def _poison(site: Site, users: Users) -> Poisoner:
    poisoner = Poisoner(site.bootstrap)
    rounds = site.scale.pick(long=10, short=2)
    site.say(f"{rounds} rounds of poison in every topic")
    for _ in range(rounds):
        for spec in site.streams.values():
            poisoner.poison_stream(spec.topic, spec.partitions, is_compacted=spec.table)
        poisoner.poison_users(users.topic.topic, users.topic.partitions)
        site.let_run(0.3, "poisoned")
    return poisoner


def _judge_poison(site: Site, report: Report, poisoner: Poisoner, users: Users) -> None:
    written = poisoner.of(spec.topic for spec in site.streams.values())
    counted = site.nodes[0].metrics().by_label("events_rejected_total", "reason")
    missing = {reason: n for reason, n in written.items() if counted.get(reason, 0) < n}
    report.figure("poison in streams", sum(written.values()))
    report.require(
        "every poison record is counted", not missing, f"{written} written, {counted} counted"
    )
    sent = poisoner.of([users.topic.topic])
    buried: dict[str, int] = {}
    for record in site.topics.read_back(users.dead_letters):
        reason = dict(record.headers)["tidewire-dlq-reason"].decode()
        buried[reason] = buried.get(reason, 0) + 1
    report.figure("dead letters", sum(buried.values()))
    report.require("each bad message is a dead letter, once", buried == sent, f"{buried} of {sent}")


# Clocks


def _let_clocks_jump(site: Site, report: Report, users: Users, nodes: Sequence[DrillNode]) -> None:
    """Forth, and back after a while."""
    before = _epochs(users, nodes)
    for way in ("forth", "back"):
        site.say(f"the clocks of nodes, registry and router jump {way} by {SHIFT:g} s")
        parts: list[DrillNode | Part] = [*nodes, users.registry, *users.routers]
        for part in parts:
            part.signal(signal.SIGUSR1)
        site.let_run(users.lease * 1.3, "after the jump")
    after = _epochs(users, nodes)
    report.figure("clocks off by s", SHIFT)
    report.require("leases went on", after == before, f"{after} instead of {before}")


def _epochs(users: Users, nodes: Sequence[DrillNode]) -> list[str | None]:
    leases = [users.view.lease_of(node.spec.name) for node in nodes]
    return [None if lease is None else lease["epoch"] for lease in leases]


# Descriptors


def _run_out_of_descriptors(
    site: Site, report: Report, nodes: Sequence[DrillNode], room: int
) -> None:
    """Fill a node, have more come, and open sockets until it has no descriptor left; then all of them leave."""
    refuge, _, node = nodes
    wanted = [{"channel": f"{TABLE}/g1", "interval_ms": 500}]
    urls = [node.ws]
    inside = [Client(f"inside-{n:04}", urls, wanted, backoff=(0.5, 2.0)) for n in range(room)]
    beyond = [Client(f"beyond-{n:02}", [node.ws, refuge.ws], wanted) for n in range(BEYOND)]
    loads = [
        site.connect("inside", inside, within=60.0, quiet=0.0),
        site.connect("beyond", beyond, quiet=0.0),
    ]
    refused = node.metrics().total("handshakes_total", outcome="overloaded_connections")
    with _silent_sockets(node, room):
        site.let_run(site.scale.pick(long=5.0, short=1.0), "no descriptor is left")
        kept = node.metrics().total("connections")
    for load in loads:
        load.finish()
    site.wait_for(lambda: node.metrics().total("connections") == 0, "everybody has left")
    late = site.connect("late", [Client("late-0", urls, wanted)], quiet=0.0)
    late.finish()
    report.figure("room for", room)
    report.figure("refused beyond it", int(refused))
    report.require("who does not fit is refused", refused >= BEYOND, f"{refused:g} refusals")
    report.require("who is there stays", kept == room, f"{kept:g} of {room}")


@contextlib.contextmanager
def _silent_sockets(node: DrillNode, room: int) -> Iterator[None]:
    """More sockets than the node may have, none of which says anything."""
    address = urlsplit(node.ws)
    with contextlib.ExitStack() as sockets:
        for _ in range(room):
            place = address.hostname or "", address.port or 0
            sockets.enter_context(socket.create_connection(place, PATIENCE))
        yield


DRILL = Drill(
    number=15,
    title="poison, large records, clocks ±5 min, few descriptors",
    sabotage="leases count by the wall clock; a record that is no event holds up its partition",
    run=run,
)
