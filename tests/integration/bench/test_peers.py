"""The servers beside the gateway: they send exactly what they are told, and say what is wrong."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from benchmarks.baseline.fanout import QueuedFanout
from benchmarks.peers.errors import PeerError, PeerFileError
from benchmarks.peers.peer_file import load_peers
from benchmarks.peers.peers import BUILT_IN, Peer, left_out
from benchmarks.peers.running import RunningPeer, running_peer
from fastapi import WebSocket
from websockets.asyncio.client import ClientConnection, connect

from tidewire.dev.errors import ChildFailedError
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentWriter
from tidewire.kafka.records import NewRecord, TopicSpec
from tidewire.kafka.settings import KafkaSettings

HEADER = 4
CORE = 0
PATIENCE = 20.0
PEERS = Path(__file__).parents[3] / "benchmarks/peers"
CENTRIFUGO = PEERS / "centrifugo/peer.toml"
MOST_SETUP = pytest.mark.timeout(120)  # the first one compiles or installs


@pytest.fixture(
    scope="module", params=["send-loop", "uvloop-write", "node-ws", "websockets-broadcast"]
)
def peer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPeer]:
    made = BUILT_IN[request.param]()
    with running_peer(made, CORE, logs=tmp_path_factory.mktemp("logs")) as running:
        yield running


async def payloads(connection: ClientConnection, count: int) -> list[str]:
    async with asyncio.timeout(PATIENCE):
        return [str(await connection.recv()) for _ in range(count)]


async def told(peer: RunningPeer, command: str, clients: list[ClientConnection]) -> list[list[str]]:
    """What each client got by one command."""
    peer.give(command)
    frames = await asyncio.to_thread(peer.done, PATIENCE)
    return [await payloads(client, frames) for client in clients]


def updates(payload: str, size: int, **more: str) -> tuple[int, int]:
    """Check a frame but for its number and its stamp, which are returned."""
    assert len(payload.encode()) + HEADER == size
    envelope = json.loads(payload)
    (event,) = envelope["payload"]["events"]
    (partition, number), at = event["offset"], event["data"]["at"]
    data = {"at": at, **more, "pad": "x" * len(event["data"]["pad"])}
    position = {"epoch": "bench", "offsets": {"0": number}}
    event = {"key": "k", "data": data, "ts": event["ts"], "offset": [partition, number]}
    expected = {"sub": 1, "position": position, "events": [event], "coalesced": 0}
    assert payload == json.dumps(
        {"v": 1, "type": "updates", "payload": expected}, separators=(",", ":")
    )
    return number, at


@MOST_SETUP
async def test_paced_frames_go_to_every_client_with_the_stamps_of_their_schedule(
    peer: RunningPeer,
) -> None:
    async with connect(peer.url) as one, connect(peer.url) as other:
        got, same = await told(peer, "pace 400 0.02 240", [one, other])
    assert got == same
    numbers, stamps = zip(*(updates(payload, 240) for payload in got), strict=True)
    assert numbers == tuple(range(8))
    assert [at - stamps[0] for at in stamps] == [number * 2_500_000 for number in range(8)]


async def test_flood_reaches_every_client_in_order(peer: RunningPeer) -> None:
    async with connect(peer.url, max_queue=None) as one, connect(peer.url, max_queue=None) as other:
        got, same = await told(peer, "flood 300 4000", [one, other])
    assert got == same
    numbers, stamps = zip(*(updates(payload, 4000) for payload in got), strict=True)
    assert numbers == tuple(range(300))
    assert list(stamps) == sorted(stamps)


async def test_private_payloads_hold_the_number_of_their_connection(peer: RunningPeer) -> None:
    async with connect(peer.url) as one, connect(peer.url) as other:
        got = await told(peer, "private 400 0.02 256", [one, other])
    receivers = [json.loads(frames[0])["payload"]["events"][0]["data"]["to"] for frames in got]
    assert int(receivers[0]) + 1 == int(receivers[1])
    for frames, receiver in zip(got, receivers, strict=True):
        numbered = [updates(payload, 256, to=receiver)[0] for payload in frames]
        assert numbered == list(range(8))


async def test_nothing_but_what_was_told_is_sent(peer: RunningPeer) -> None:
    async with connect(peer.url) as client:
        for command, size in [
            ("pace 1000 0.003 240", 240),
            ("flood 2 70000", 0),
            ("flood 1 65539", 65_539),
        ]:
            if size:
                (got,) = await told(peer, command, [client])
                assert {updates(payload, size)[0] for payload in got} == set(range(len(got)))
            else:
                with pytest.raises(PeerError, match="refuses: no frame has this SIZE"):
                    peer.command(command, PATIENCE)


@pytest.mark.parametrize("command", ["", "pace 1 1", "pace 0 1 240", "private 0 1 240", "stop"])
def test_what_is_no_command_is_refused(peer: RunningPeer, command: str) -> None:
    with pytest.raises(PeerError, match="pace RATE SECONDS SIZE"):
        peer.command(command, PATIENCE)


@pytest.mark.parametrize("name", ["send-loop", "uvloop-write", "node-ws", "websockets-broadcast"])
def test_server_ends_with_its_stdin(name: str) -> None:
    peer = BUILT_IN[name]()
    ended = subprocess.run(
        peer.command, cwd=peer.folder, input="", capture_output=True, text=True, timeout=PATIENCE
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["event"] == "ready"


def test_send_loop_compiles_without_a_warning(tmp_path: Path) -> None:
    sources = sorted(map(str, (PEERS / "send_loop").glob("*.c")))
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-std=gnu11", "-o", str(tmp_path / "send_loop")]
    done = subprocess.run(["cc", *flags, *sources], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("writer", ["queue", "await"])
async def test_baseline_sends_each_record_to_every_client(
    writer: str, embedded_kafka: str, unique_name: Callable[[str], str], tmp_path: Path
) -> None:
    topic = unique_name("baseline")
    settings = KafkaSettings(bootstrap=embedded_kafka)
    admin, source = ConfluentAdmin(settings), ConfluentWriter(settings)
    admin.create(TopicSpec(topic, 2, {}))
    admin.close()
    source.offer(NewRecord(topic, 0, b"k", b'"before"'))
    source.flush(PATIENCE)
    baseline = BUILT_IN[f"fastapi-{writer}"]()
    with running_peer(baseline, CORE, kafka=embedded_kafka, topic=topic, logs=tmp_path) as peer:
        async with connect(peer.url) as one, connect(peer.url) as other:
            for value in (b'{"at":1}', None):
                source.offer(NewRecord(topic, 0, "é".encode(), value, (), 7))
            source.close(PATIENCE)
            got, same = [await payloads(client, 2) for client in (one, other)]
    assert got == same
    assert [json.loads(payload)["payload"] for payload in got] == [
        _one_event(2, {"key": "é", "data": {"at": 1}, "ts": 7, "offset": [0, 1]}),
        _one_event(3, {"key": "é", "deleted": True, "ts": 7, "offset": [0, 2]}),
    ]


def _one_event(position: int, event: dict[str, Any]) -> dict[str, Any]:
    offsets = {"0": position}
    return {
        "sub": 1,
        "position": {"epoch": "bench", "offsets": offsets},
        "events": [event],
        "coalesced": 0,
    }


async def test_baseline_closes_a_client_whose_queue_is_full() -> None:
    closed = asyncio.get_running_loop().create_future()
    inbound = asyncio.Queue[dict[str, Any]]()

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()  # its socket takes nothing
        elif message["type"] == "websocket.close":
            closed.set_result(message["code"])

    inbound.put_nowait({"type": "websocket.connect"})
    websocket = WebSocket({"type": "websocket"}, inbound.get, send)
    await websocket.accept()
    fanout = QueuedFanout(2)
    attending = asyncio.create_task(fanout.attend(websocket))
    await fanout.send("to nobody: the turn in which it joins")
    for number in range(4):  # one is being written, two wait
        assert not closed.done()
        await fanout.send(str(number))
    assert await closed == 1008
    inbound.put_nowait({"type": "websocket.disconnect", "code": 1008})
    await attending


def test_peer_of_a_file_is_up_when_its_address_accepts(tmp_path: Path) -> None:
    file = tmp_path / "peers.toml"
    file.write_text(
        f"""[[peer]]
        name = "files"
        command = [{sys.executable!r}, "-m", "http.server", "--bind", "127.0.0.1", "{{port}}"]
        feed = "kafka"
        address = "127.0.0.1:{{port}}"
        path = "/push"
        script = ["hello", "subscribe"]
        ready = "welcome"
        """
    )
    (peer,) = load_peers(file)
    assert (peer.script, peer.ready) == (("hello", "subscribe"), "welcome")
    with running_peer(peer, CORE, logs=tmp_path) as running:
        assert running.url.startswith("ws://127.0.0.1:")
        assert running.url.endswith("/push")


def test_placeholders_are_filled_in() -> None:
    peer = Peer(
        "p", ("{kafka}", "{topic}-x"), "kafka", address="h:{port}", environment={"A": "{topic}"}
    )
    filled = peer.filled({"kafka": "k:1", "topic": "t", "port": "7"})
    assert filled.command == ("k:1", "t-x")
    assert (filled.address, filled.environment) == ("h:7", {"A": "t"})
    with pytest.raises(PeerError, match=r"p cannot be started: nobody told its \{kafka\}"):
        peer.filled({"kafka": None, "topic": "t", "port": "7"})


def test_peer_that_ends_at_once_is_told(tmp_path: Path) -> None:
    peer = Peer("hasty", (sys.executable, "-c", "raise SystemExit('no licence')"), "commands")
    with (
        pytest.raises(ChildFailedError, match="hasty ended: no licence"),
        running_peer(peer, None, logs=tmp_path),
    ):
        pass


def test_missing_program_is_left_out_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (peer,) = load_peers(CENTRIFUGO, {})
    reason = left_out(peer)
    assert reason is not None
    assert reason.startswith(
        "centrifugo is left out: `centrifugo` is not on this machine; to get it: go "
    )
    with pytest.raises(PeerError, match="centrifugo is left out"), running_peer(peer, None):
        pass


def test_variable_names_the_program() -> None:
    (peer,) = load_peers(CENTRIFUGO, {"TIDEWIRE_CENTRIFUGO": sys.executable})
    assert left_out(peer) is None
    assert peer.command[:2] == (sys.executable, "--config")
    assert peer == replace(load_peers(CENTRIFUGO, {})[0], command=peer.command)


GOOD = '[[peer]]\nname = "p"\ncommand = ["x"]\nfeed = "commands"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[peer", "is not TOML"),
        ("", r"has tables \[\[peer\]\] and nothing else"),
        ("peer = 3", r"has tables \[\[peer\]\] and nothing else"),
        ("peer = [3]", r"\[\[peer\]\] 1 is not a table"),
        (GOOD + "[other]", r"has tables \[\[peer\]\] and nothing else"),
        (GOOD + GOOD, "more than one peer has the name 'p'"),
        (GOOD + '[[peer]]\nname = "q"', r"\[\[peer\]\] 2: command is missing"),
        (GOOD + "color = 1", r"\[\[peer\]\] 1: color is unknown; keys are name, "),
        (GOOD.replace('"p"', "3"), "1: name is a text"),
        (GOOD.replace('["x"]', "[3]"), "1: command is a list of texts"),
        (GOOD.replace('["x"]', "[]"), "1: command is empty"),
        (GOOD.replace("commands", "telepathy"), "1: feed is one of commands, kafka"),
        (GOOD + 'path = "ws"', '1: path begins with "/"'),
        (GOOD + 'address = "8000"', "1: address is HOST:PORT"),
        (GOOD + 'address = "host:http"', "1: address is HOST:PORT"),
        (GOOD + "[peer.environment]\nA = 1", "1: environment is a table of texts"),
    ],
)
def test_file_that_cannot_be_used_is_told(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "peers.toml"
    file.write_text(text)
    with pytest.raises(PeerFileError, match=rf"peers\.toml: .*{message}"):
        load_peers(file)


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PeerFileError, match=r"none\.toml: cannot be read"):
        load_peers(tmp_path / "none.toml")
