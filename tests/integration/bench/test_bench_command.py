"""`tidewire bench` against real nodes: figures are counted right, and what cannot be measured is said."""

import asyncio
import json
import os
import signal
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.dev import running_dev
from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from harness.waiting import eventually
from tidewire.bench.errors import BenchError
from tidewire.bench.live.figures import Outcome, figures_of
from tidewire.bench.live.plan import Plan, Publication
from tidewire.bench.live.publishing import PacedPublisher, keys_of
from tidewire.bench.live.run import Task, run_bench
from tidewire.bench.live.sites import MetricsMeter, ProcessMeter, Site
from tidewire.config.streams_file import load_streams
from tidewire.dev.data_dir import DataDir
from tidewire.dev.running import Node, Running, write_running
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.kafka.memory import MemoryBroker
from tidewire.protocol.codes import Mode
from tidewire.publishing import Publisher
from tidewire_gateway.app import Clients

STREAMS: dict[str, dict[str, Any]] = {
    "board": {
        "topic": "board",
        "partitions": 2,
        "group": "key-prefix",
        "table": True,
        "modes": ["latest", "every"],
        "public": True,
    },
    "secret": {"topic": "secret"},
}
PATIENCE = 20.0
PINGS = {"ping_interval": 0.05, "unanswered_pings": 1000}
PINGS_ANSWERED = 4

GatewayMaker = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def topics() -> MemoryTopics:
    return MemoryTopics(MemoryBroker(), STREAMS)


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    return write_streams(tmp_path, STREAMS)


@pytest.fixture
def make_gateway(topics: MemoryTopics, streams: Path) -> GatewayMaker:
    def make(**options: Any) -> AbstractAsyncContextManager[Gateway]:
        clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
        return running_gateway(streams, clients, **options)

    return make


@pytest.fixture
async def gateway(make_gateway: GatewayMaker) -> AsyncIterator[Gateway]:
    async with make_gateway() as running:
        yield running


class Phases:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def phase(self, text: str) -> None:
        self.seen.append(text)


class Pauses:
    """Pauses that last until the test lets them end; ``began`` counts those that have begun."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.interrupts = False
        self._go = threading.Semaphore(0)

    def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        assert self._go.acquire(timeout=PATIENCE)
        if self.interrupts:
            raise KeyboardInterrupt

    def end(self) -> None:
        self._go.release()

    async def begun(self, count: int) -> None:
        await eventually(lambda: len(self.asked) >= count, what=f"pause {count}", within=PATIENCE)


def site_of(gateway: Gateway) -> Site:
    """The node runs in this process."""
    return Site(gateway.ws, [ProcessMeter(os.getpid())])


@asynccontextmanager
async def measuring(
    plan: Plan, *sites: Site, tokens: tuple[str, ...] = ()
) -> AsyncIterator[tuple[Pauses, "asyncio.Task[Outcome]"]]:
    """A measurement beside the test, in its warm-up."""
    pauses = Pauses()
    task = Task(plan=plan, sites=sites, tokens=tokens, pause=pauses)
    running = asyncio.create_task(asyncio.to_thread(run_bench, task, Phases()))
    try:
        await eventually(lambda: pauses.asked or running.done(), within=PATIENCE)
        if running.done():
            running.result()
        yield pauses, running
    finally:
        for _ in range(3):
            pauses.end()
        await asyncio.wait([running], timeout=PATIENCE)


def metric(gateway: Gateway, name: str) -> float:
    text: str = gateway.app.state.instruments.metrics.render()[0].decode()
    found = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(found[0].rpartition(" ")[2])


def delivered(gateway: Gateway) -> float:
    """Events that the node has written, once a connection."""
    return metric(gateway, "tidewire_events_delivered_total")


async def all_arrived(gateway: Gateway, events: int) -> None:
    """So many events are written and read: each connection has answered pings that stood behind them."""
    await eventually(lambda: delivered(gateway) == events)
    enough = pongs(gateway) + PINGS_ANSWERED * len(gateway.node.connections)
    await eventually(lambda: pongs(gateway) >= enough)


def pongs(gateway: Gateway) -> float:
    return metric(gateway, "tidewire_ping_rtt_seconds_count")


def accepted(gateway: Gateway) -> float:
    return metric(gateway, 'tidewire_handshakes_total{outcome="accepted"}')


async def test_every_event_of_the_measured_time_counts_once_a_connection(
    make_gateway: GatewayMaker, topics: MemoryTopics
) -> None:
    plan = Plan(channel="board", connections=7, seconds=5.0, mode=Mode.EVERY)
    async with (
        make_gateway(limits=PINGS) as gateway,
        measuring(plan, site_of(gateway)) as (pauses, running),
    ):
        await topics.publish("board", "a/before", {"x": 0})
        await all_arrived(gateway, 7)
        pauses.end()
        await pauses.begun(2)
        for number in range(5):
            await topics.publish("board", f"a/{number}", {"x": number})
        await all_arrived(gateway, 7 * 6)
        pauses.end()
        outcome = await asyncio.wait_for(running, PATIENCE)
    figures = figures_of(outcome.samples)
    assert pauses.asked == [1.0, 5.0]
    assert (figures.events, figures.latency.count) == (7 * 5, 7 * 5)
    assert (figures.connections, figures.closes) == (7, {})
    assert outcome.granted.mode == "every"
    assert figures.nodes is not None
    assert figures.nodes.resident_bytes > 0


async def test_interrupt_leaves_what_was_measured_until_then(
    make_gateway: GatewayMaker, topics: MemoryTopics
) -> None:
    plan = Plan(channel="board/a", connections=3, handshake_seconds=1.0)
    async with (
        make_gateway(limits=PINGS) as gateway,
        measuring(plan, site_of(gateway)) as (pauses, running),
    ):
        pauses.end()
        await pauses.begun(2)
        await topics.publish("board", "a/1", {"x": 1})
        await all_arrived(gateway, 3)
        pauses.interrupts = True
        pauses.end()
        outcome = await asyncio.wait_for(running, PATIENCE)
    assert outcome.is_interrupted
    assert figures_of(outcome.samples).events == 3
    assert outcome.churn == ()


async def test_handshakes_are_measured_after_the_connections_have_ended(gateway: Gateway) -> None:
    plan = Plan(channel="board", connections=4, handshake_seconds=2.0)
    async with measuring(plan, site_of(gateway)) as (pauses, running):
        pauses.end()
        await pauses.begun(2)
        before = accepted(gateway)
        pauses.end()
        await pauses.begun(3)
        await eventually(lambda: accepted(gateway) > before + 50)
        pauses.end()
        outcome = await asyncio.wait_for(running, PATIENCE)
    (churn,) = outcome.churn
    assert churn.report.handshakes.count > 0
    assert churn.under_way == 4
    assert churn.report.refused == {}
    await eventually(lambda: metric(gateway, "tidewire_connections") == 0)


def publishing(topics: MemoryTopics, streams: Path, plan: Plan) -> PacedPublisher:
    rules = load_streams(streams).streams
    publisher = Publisher(topics.broker.sync_writer(), rules)
    assert plan.publication is not None
    return PacedPublisher(publisher, plan.publication, keys_of(plan, rules["board"]))


@pytest.mark.parametrize("channel", ["board", "board/a"])
async def test_what_it_publishes_arrives_everywhere_and_is_removed_again(
    gateway: Gateway, topics: MemoryTopics, streams: Path, channel: str
) -> None:
    publication = Publication(stream="board", rate=200.0, keys=5, data_bytes=80)
    plan = Plan(
        channel=channel, connections=6, seconds=0.5, mode=Mode.EVERY, publication=publication
    )
    task = Task(plan=plan, sites=[site_of(gateway)], publisher=publishing(topics, streams, plan))
    outcome = await asyncio.to_thread(run_bench, task, Phases())
    (sample,) = outcome.samples
    assert outcome.published is not None
    assert outcome.published.due == 100
    assert 0 < outcome.published.events <= 100
    assert sample.settled.events == outcome.published.events * 6
    assert sample.settled.normal.latency.count == outcome.published.events * 6
    async with gateway.connect() as client:
        await client.subscribe("board")
        assert (await client.expect("snapshot"))["events"] == []


async def test_several_nodes_share_the_connections(make_gateway: GatewayMaker) -> None:
    async with make_gateway(node="a") as one, make_gateway(node="b") as other:
        plan = Plan(channel="board", connections=5)
        async with measuring(plan, site_of(one), site_of(other)) as (pauses, running):
            assert (len(one.node.connections), len(other.node.connections)) == (3, 2)
            pauses.end()
            await pauses.begun(2)
            pauses.end()
            outcome = await asyncio.wait_for(running, PATIENCE)
    assert [sample.connections for sample in outcome.samples] == [3, 2]


async def refusal(plan: Plan, site: Site, **options: Any) -> str:
    task = Task(plan=plan, sites=[site], **options)
    with pytest.raises(BenchError) as raised:
        await asyncio.to_thread(run_bench, task, Phases())
    return str(raised.value)


async def test_connections_that_are_refused_are_counted_by_status(
    make_gateway: GatewayMaker,
) -> None:
    async with make_gateway(limits={"max_connections": 4}) as gateway:
        said = await refusal(Plan(channel="board", connections=20), site_of(gateway))
        assert "refused 503" in said
        assert "MAX_CONNECTIONS" in said
        await eventually(lambda: metric(gateway, "tidewire_connections") == 0)


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Plan(channel="nowhere"), ("unknown_channel", "STREAM/GROUP")),
        (Plan(channel="secret"), ("forbidden", "--token")),
        (Plan(channel="secret", mode=Mode.EVERY), ("--token",)),
    ],
)
async def test_refused_channel_has_the_gateways_own_word_and_a_cure(
    gateway: Gateway, plan: Plan, words: tuple[str, ...]
) -> None:
    said = await refusal(plan, site_of(gateway))
    for word in words:
        assert word in said


async def test_connections_too_many_for_one_address_or_user_name_the_limit(
    make_gateway: GatewayMaker, tmp_path: Path
) -> None:
    plan = Plan(channel="board", connections=20)
    async with make_gateway(limits={"connections_per_address": 4}) as gateway:
        said = await refusal(plan, site_of(gateway))
        assert "refused 429" in said
        assert "LIMITS__CONNECTIONS_PER_ADDRESS" in said
    token = issue_token(ensure_key(tmp_path / "key"), "ann", {}, ttl=60)
    limits = {"connections_per_user": 4}
    async with make_gateway(limits=limits, token_key_file=tmp_path / "key") as gateway:
        said = await refusal(plan, site_of(gateway), tokens=[token])
        assert "LIMITS__CONNECTIONS_PER_USER" in said


async def test_invalid_token_is_said(make_gateway: GatewayMaker, tmp_path: Path) -> None:
    ensure_key(tmp_path / "key")
    async with make_gateway(token_key_file=tmp_path / "key") as gateway:
        said = await refusal(Plan(channel="board"), site_of(gateway), tokens=["nonsense"])
    assert "give a valid token with --token" in said


async def test_address_that_is_no_gateways_is_said(gateway: Gateway) -> None:
    said = await refusal(Plan(channel="board"), Site(gateway.ws.replace("/v1/ws", "/elsewhere")))
    assert "is no gateway's WebSocket" in said


@asynccontextmanager
async def serving(body: bytes) -> AsyncIterator[str]:
    """An internal port that answers everything with ``body``."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_remote_node_is_metered_by_its_metrics(gateway: Gateway) -> None:
    body: bytes = gateway.app.state.instruments.metrics.render()[0]
    async with serving(body) as internal:
        usage = await asyncio.to_thread(MetricsMeter(internal).read)
    assert usage.cpu_seconds > 0
    assert usage.resident_bytes > 1_000_000


@pytest.mark.parametrize("body", [b"", b"process_cpu_seconds_total 1.5\n", b"\xff"])
async def test_internal_address_without_such_metrics_is_named(body: bytes) -> None:
    async with serving(body) as internal:
        with pytest.raises(BenchError, match="--internal http://127"):
            await asyncio.to_thread(MetricsMeter(internal).read)


# The command itself, as a process.


@asynccontextmanager
async def bench(*arguments: str, **environment: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tidewire.cli",
        "bench",
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: Process) -> tuple[int | None, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, out.decode(), err.decode()


async def failing(*arguments: str, **environment: str) -> str:
    async with bench(*arguments, **environment) as process:
        code, out, err = await ended(process)
    assert (code, out) == (2, ""), err
    assert err.count("\n") == 1
    return err


async def test_json_has_the_documented_keys_and_goes_to_the_file_as_well(
    gateway: Gateway, tmp_path: Path
) -> None:
    out_file = tmp_path / "found.json"
    options = ("--connections", "5", "--seconds", "0.2", "--json", "--out", str(out_file))
    async with bench("board", "--url", gateway.ws, *options) as process:
        code, out, err = await ended(process)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert list(found) == [
        "machine",
        "options",
        "interrupted",
        "figures",
        "sites",
        "published",
        "handshakes",
        "warnings",
    ]
    assert found == json.loads(out_file.read_text())
    assert found["options"]["connections"] == found["figures"]["connections"] == 5
    assert found["options"]["seconds"] == 0.2
    assert found["figures"]["nodes"] is None
    assert "--internal" in found["figures"]["unmetered"]
    assert "nothing is published to board" in found["warnings"][0]


async def test_run_is_found_and_its_key_makes_users(
    make_gateway: GatewayMaker, topics: MemoryTopics, tmp_path: Path
) -> None:
    data_dir = DataDir(tmp_path / "run")
    data_dir.root.mkdir()
    ensure_key(data_dir.token_key)
    async with make_gateway(token_key_file=data_dir.token_key) as gateway:
        data_dir.lock.write_text(str(os.getpid()))
        data_dir.streams.write_text("streams: {secret: {topic: secret}}")
        node = Node(gateway.ws, gateway.http, "http://127.0.0.1:2", os.getpid())
        write_running(data_dir, Running((node,), None, "127.0.0.1:3", None, data_dir.streams))
        options = ("--connections", "3", "--seconds", "0.2", "--handshakes", "0.2")
        async with bench("--data-dir", str(data_dir.root), *options) as process:
            code, out, err = await ended(process)
    assert code == 0, err
    assert out.startswith("secret, mode latest")
    for word in ("CPU of the nodes", "memory of the nodes", "handshakes/s"):
        assert word in out


async def test_interrupted_command_ends_with_130_and_leaves_nothing(
    gateway: Gateway, tmp_path: Path
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    options = ("--connections", "5", "--seconds", "600", "--json")
    async with bench("board", "--url", gateway.ws, *options, TMPDIR=str(temporary)) as process:
        await eventually(lambda: len(gateway.node.connections) == 5, within=PATIENCE)
        process.send_signal(signal.SIGTERM)
        code, _, err = await ended(process)
    assert code == 130, err
    assert "Traceback" not in err
    assert list(temporary.iterdir()) == []
    await eventually(lambda: not gateway.node.connections)


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        ((), "--url ws://"),
        (("board", "--url", "wss://127.0.0.1/"), "ws://"),
        (("board", "--url", "ws://127.0.0.1:1/", "--publish", "5"), "add --stream"),
        (("board", "--url", "ws://127.0.0.1:1/", "--stream", "board"), "--publish RATE"),
        (("board", "--url", "ws://127.0.0.1:1/", "--connections", "0"), "give 1 to 20,000"),
        (("board", "--url", "ws://127.0.0.1:1/", "--out", "/nowhere/x"), "a directory that is"),
        (("board", "--url", "ws://127.0.0.1:1/", "--internal", "x:1"), "http://HOST:PORT"),
    ],
)
async def test_bad_arguments_are_one_sentence(
    arguments: tuple[str, ...], cure: str, tmp_path: Path
) -> None:
    assert cure in await failing(*arguments, "--data-dir", str(tmp_path / "none"))


async def test_unknown_channel_is_one_sentence_of_the_command(gateway: Gateway) -> None:
    assert "unknown_channel" in await failing("nowhere", "--url", gateway.ws)


async def test_missing_compiler_is_one_sentence(gateway: Gateway, tmp_path: Path) -> None:
    environment = {"CC": "no-such-compiler", "XDG_CACHE_HOME": str(tmp_path)}
    said = await failing("board", "--url", gateway.ws, **environment)
    assert "no C compiler 'no-such-compiler'" in said


@pytest.mark.timeout(120)
def test_real_run_is_measured_from_kafka_to_the_clients(tmp_path: Path) -> None:
    streams = write_streams(tmp_path, {"board": STREAMS["board"]})
    with running_dev(
        tmp_path / "data",
        "--port",
        "0",
        "--nodes",
        "2",
        "--example",
        "none",
        "--streams",
        str(streams),
    ):
        found = asyncio.run(_measured(tmp_path / "data"))
    published = found["published"]
    assert published["events"] > 0
    assert published["arrivals"] == published["arrivals_expected"] == published["events"] * 8
    assert [site["connections"] for site in found["sites"]] == [4, 4]
    assert all(site["nodes"]["cpu_seconds"] > 0 for site in found["sites"])
    assert found["figures"]["latency"]["count"] == published["arrivals"]


async def _measured(data_dir: Path) -> dict[str, Any]:
    publish = ("--publish", "100", "--stream", "board", "--keys", "4", "--mode", "every")
    options = ("--connections", "8", "--seconds", "0.5", "--json")
    async with bench("board", "--data-dir", str(data_dir), *publish, *options) as process:
        code, out, err = await ended(process)
    assert code == 0, err
    assert "writes 100 records a second into topic board" in err
    found: dict[str, Any] = json.loads(out)
    return found
