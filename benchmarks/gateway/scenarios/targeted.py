"""B10: messages to users, from the publisher through router, registry and inbox to the client."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidewire.bench.errors import BenchError
from tidewire.bench.load_client import LoadClient, LoadOptions, Report
from tidewire.bench.usage import Cpu, cpu_of, resident_bytes
from tidewire.dev.brokers import redis_server
from tidewire.targeting.registry import Batch, NodeAnnouncement, Session
from tidewire.targeting.registry_http import HttpRegistry
from tidewire.targeting.topics import DEAD_LETTERS, INBOX, TARGETED
from tidewire.topics import targeted_topics

from ...peers.peers import Peer
from ..contenders import connected, settled, subscribe_script
from ..figures import Figure, Goal, Kind, Sample
from ..plan import Plan
from ..processes import SERVER_CORE
from ..report import Results
from ..rig import Node, Rig, StreamSpec, tokens_file

__all__ = ["targeted"]

_USERS = 500
_RATE = 2000.0
_PATH, _LOOKUPS, _SESSIONS = "2,000 messages/s to 500 users", "lookups", "sessions"
_USERS_A_CALL = 1000
_SESSIONS_A_CALL = 500
_KNOWN_USERS = 10_000
_WARM_UP = 2000
_HELD_TIMEOUT = 20.0
_ARRIVAL_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class _Parts:
    """What stands behind a node: addresses and processes."""

    node: Node
    registry: str
    pids: dict[str, int]


def targeted(rig: Rig, plan: Plan, _peers: Sequence[Peer], results: Results) -> None:
    topics = targeted_topics(slots=4)
    rig.make(*(StreamSpec(stream.topic, stream.partitions) for stream in topics.values()))
    with _running(rig) as parts:
        options = LoadOptions(
            url=parts.node.ws,
            connections=_USERS,
            script=subscribe_script("@me", has_token=True),
            tokens=tokens_file(rig, _USERS).read_text().split(),
            ready='"type":"subscribed"',
        )
        with connected(options) as client:
            _wait_until_known(parts.registry)
            _send(rig, parts, client, _WARM_UP, 0)
            count = round(_RATE * plan.seconds)
            samples = [_send(rig, parts, client, count, run) for run in range(plan.runs)]
        samples += asyncio.run(_ask(parts, plan))
    results.samples += samples
    results.figures += _figures(samples)


@contextlib.contextmanager
def _running(rig: Rig) -> Iterator[_Parts]:
    """Redis, registry, router and a node; the services share the server's core."""
    common = {"READY_JSON": "1", "LOG_LEVEL": "WARNING"}
    with contextlib.ExitStack() as stack:
        redis = stack.enter_context(redis_server(rig.folder))
        settings = {"PORT": "0", "REDIS_URL": redis.url, "SLOTS": "4", **common}
        registry = stack.enter_context(
            rig.service(
                "registry", "registry", _environment("REGISTRY", settings), core=SERVER_CORE
            )
        )
        settings = {
            "KAFKA__BOOTSTRAP": rig.bootstrap,
            "REDIS_URL": redis.url,
            "REGISTRY_URL": registry["http"],
            "TARGETED_TOPIC": TARGETED,
            "INBOX_TOPIC": INBOX,
            "DLQ_TOPIC": DEAD_LETTERS,
            "INTERNAL_PORT": "0",
            **common,
        }
        router = stack.enter_context(
            rig.service("router", "router", _environment("ROUTER", settings), core=SERVER_CORE)
        )
        settings = {"TARGETED__REGISTRY_URL": registry["http"], "TARGETED__REDIS_URL": redis.url}
        node = stack.enter_context(rig.node("targeted", settings))
        pids = {
            "gateway": node.pid,
            "router": router["pid"],
            "registry": registry["pid"],
            "redis": redis.child.pid,
        }
        yield _Parts(node, registry["http"], pids)


def _environment(service: str, settings: dict[str, str]) -> dict[str, str]:
    return {f"TIDEWIRE_{service}__{name}": value for name, value in settings.items()}


def _send(rig: Rig, parts: _Parts, client: LoadClient, count: int, run: int) -> Sample:
    """Messages to each user in turn; raises ``BenchError`` where one does not arrive."""
    client.mark()
    before = {name: cpu_of(pid) for name, pid in parts.pids.items()}
    rig.publish(TARGETED, count, _RATE, keys=_USERS, data_bytes=100, to_users=True)
    report = _arrived(client, count)
    latency = report.normal.latency
    costs = {
        f"{name}_cpu_us_per_message": _since(parts.pids[name], begun) / count * 1e6
        for name, begun in before.items()
    }
    values = {"p50_ms": latency.p50_ms, "p99_ms": latency.p99_ms, "most_ms": latency.max_ms}
    return Sample(_PATH, "tidewire", run, values | costs)


def _arrived(client: LoadClient, count: int) -> Report:
    """The report once all are there; a message may wait for a part that rests."""
    deadline = time.monotonic() + _ARRIVAL_TIMEOUT
    while (report := client.report()).events < count and time.monotonic() < deadline:
        time.sleep(0.05)
    report = settled(client)
    if report.events != count:
        raise BenchError(f"{_PATH}: {report.events:,} messages arrived of {count:,}")
    return report


def _since(pid: int, begun: Cpu) -> float:
    return cpu_of(pid).since(begun).total


def _wait_until_known(registry: str) -> None:
    """Until the registry has every connection: before that a message waits for the mailbox's second look."""

    async def held() -> int:
        asked = HttpRegistry(registry)
        try:
            places = await asked.lookup([f"user-{number}" for number in range(_USERS)])
        finally:
            await asked.close()
        return len(places)

    deadline = time.monotonic() + _HELD_TIMEOUT
    while asyncio.run(held()) < _USERS:
        if time.monotonic() > deadline:
            raise BenchError(f"the registry does not know all users after {_HELD_TIMEOUT:g} s")
        time.sleep(0.1)


async def _ask(parts: _Parts, plan: Plan) -> list[Sample]:
    """What the registry alone takes: it is told of connections, and asked for users, one call after another."""
    registry = HttpRegistry(parts.registry)
    try:
        lease = await registry.register(NodeAnnouncement("bench", "http://127.0.0.1:1"))
        before = resident_bytes(parts.pids["redis"])
        samples = [await _tell(registry, lease.epoch, parts, run) for run in range(plan.runs)]
        held = resident_bytes(parts.pids["redis"]) - before
        samples += [await _look_up(registry, parts, plan, run) for run in range(plan.runs)]
    finally:
        await registry.close()
    per_session = {"bytes_per_session": held / (_KNOWN_USERS * plan.runs)}
    return [*samples, Sample(_SESSIONS, "redis", 0, per_session)]


async def _tell(registry: HttpRegistry, epoch: str, parts: _Parts, run: int) -> Sample:
    before, began = cpu_of(parts.pids["registry"]), time.monotonic()
    for first in range(0, _KNOWN_USERS, _SESSIONS_A_CALL):
        numbers = range(first, first + _SESSIONS_A_CALL)
        sessions = [Session(f"known-{n}", f"c{run}-{n}", time.time_ns() // 10**6) for n in numbers]
        await registry.announce("bench", epoch, Batch(sessions))
    seconds = time.monotonic() - began
    values = {
        "connects_per_second": _KNOWN_USERS / seconds,
        "registry_cpu_us_per_connect": _since(parts.pids["registry"], before) / _KNOWN_USERS * 1e6,
    }
    return Sample(_SESSIONS, "registry", run, values)


async def _look_up(registry: HttpRegistry, parts: _Parts, plan: Plan, run: int) -> Sample:
    users = itertools.cycle(f"known-{number}" for number in range(_KNOWN_USERS))
    before, began, count = cpu_of(parts.pids["registry"]), time.monotonic(), 0
    while time.monotonic() - began < plan.seconds:
        found = await registry.lookup(list(itertools.islice(users, _USERS_A_CALL)))
        if len(found) != _USERS_A_CALL:
            raise BenchError(f"{len(found)} of {_USERS_A_CALL} users were found")
        count += _USERS_A_CALL
    seconds = time.monotonic() - began
    values = {
        "users_per_second": count / seconds,
        "registry_cpu_us_per_user": _since(parts.pids["registry"], before) / count * 1e6,
    }
    return Sample(_LOOKUPS, "registry", run, values)


def _figures(samples: Sequence[Sample]) -> list[Figure]:
    def values(load: str, name: str) -> list[float]:
        return [s.values[name] for s in samples if s.load == load and name in s.values]

    costs = {
        name: f"{sum(found) / len(found):.0f} µs a message"
        for name in ("gateway", "router", "registry", "redis")
        if (found := values(_PATH, f"{name}_cpu_us_per_message"))
    }
    p99, users = values(_PATH, "p99_ms"), values(_LOOKUPS, "users_per_second")
    return [
        Figure(
            "B10",
            f"{_PATH}: publish to client, p99",
            p99,
            "ms",
            Kind.ABSOLUTE,
            Goal.MOST,
            100.0,
            sides=costs,
        ),
        Figure(
            "B10",
            "registry: users looked up a second, 1,000 a call",
            users,
            "users",
            Kind.ABSOLUTE,
            target=20_000.0,
        ),
        Figure(
            "B10",
            "registry: connects a second, 500 a call",
            values(_SESSIONS, "connects_per_second"),
            "connects",
            Kind.ABSOLUTE,
            target=11_000.0,
        ),
    ]
