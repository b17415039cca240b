"""The console of node processes over a real broker: records, their end, and nothing loaded that is not asked for."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from harness.gateway_process import PATIENCE, GatewayProcess, hello, running_process
from harness.waiting import wait_until
from tidewire.dev.brokers import RunningBroker, embedded_broker
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.settings import KafkaSettings
from tidewire.system.streams import system_streams
from tidewire.topics import apply_topics

pytestmark = pytest.mark.timeout(90)

OF_THE_LOSS = {"aiokafka", "tidewire.kafka.librdkafka"}
"""Where the clients say that they cannot connect any more: to a broker that was killed, before the node has ended."""


@pytest.fixture
def broker(embedded_kafka: str) -> str:
    make_topics(embedded_kafka)
    return embedded_kafka


def make_topics(bootstrap: str) -> None:
    admin = ConfluentAdmin(KafkaSettings(bootstrap=bootstrap))
    try:
        apply_topics(admin, system_streams())
    finally:
        admin.close()


@contextmanager
def ended_by_hand(folder: Path) -> Iterator[RunningBroker]:
    """A broker that the test may stop or kill."""
    folder.mkdir()
    with embedded_broker(folder) as broker:
        try:
            yield broker
        finally:
            with suppress(ProcessLookupError):
                os.kill(broker.pid, signal.SIGCONT)


@pytest.fixture
def streams(tmp_path: Path) -> Path:
    path = tmp_path / "streams.yaml"
    path.write_text("streams: {flights: {topic: flights, public: true}}")
    return path


@contextmanager
def node(streams: Path, broker: str, name: str) -> Iterator[GatewayProcess]:
    with running_process(
        streams,
        NODE=name,
        CONSOLE="true",
        KAFKA__BOOTSTRAP=broker,
        KAFKA__FETCH_PAUSE="0.02",
        DRAIN_DELAY="0",
        DRAIN_WINDOW="1",
    ) as process:
        yield process


class System:
    """What an operator hears of the processes, by their key."""

    def __init__(self, operator: ClientConnection) -> None:
        self._operator = operator
        self.records: dict[str, dict[str, Any]] = {}
        request = {"type": "subscribe", "id": 2, "payload": {"channel": "tidewire.system"}}
        operator.send(json.dumps({"v": 1, **request}))

    def heard(self, key: str, state: str) -> dict[str, Any]:
        """The record of a process, once it says that it is so."""

        def listen() -> dict[str, Any] | None:
            message = json.loads(self._operator.recv(timeout=PATIENCE))
            assert message["type"] != "error", message
            for event in message["payload"].get("events", ()):
                self.records[event["key"]] = event["data"]
            found = self.records.get(key)
            return found if found is not None and found["state"] == state else None

        return wait_until(listen, within=PATIENCE, what=f"{key} is {state}")


def operators_ws(process: GatewayProcess) -> str:
    return f"{process.ready['internal'].replace('http', 'ws', 1)}/v1/ws"


def test_node_s_records_reach_operators_of_another_until_it_has_ended(
    streams: Path, broker: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    its_streams = other / streams.name
    its_streams.write_text(streams.read_text())
    with (
        node(streams, broker, "console-1") as watching,
        node(its_streams, broker, "console-2") as watched,
        hello(operators_ws(watching)) as (operator, name),
    ):
        assert name == "console-1"
        system = System(operator)
        record = system.heard("gateway/console-2", "ready")
        assert record["internal"] == watched.ready["internal"]
        assert record["figures"]["lease"] is None
        assert system.heard("gateway/console-1", "ready")
        watched.process.send_signal(signal.SIGTERM)
        assert watched.process.wait(PATIENCE) == 0
        assert system.heard("gateway/console-2", "ended")["figures"]


def test_public_port_has_none_of_it(streams: Path, broker: str) -> None:
    with node(streams, broker, "console-3") as process, hello(process.ready["ws"]) as (client, _):
        request = {"type": "subscribe", "id": 2, "payload": {"channel": "tidewire.system"}}
        client.send(json.dumps({"v": 1, **request}))
        answer = json.loads(client.recv(timeout=PATIENCE))
        assert answer["payload"]["code"] == "unknown_channel"


def test_node_without_a_broker_ends_in_time(streams: Path) -> None:
    with running_process(streams, CONSOLE="true", DRAIN_DELAY="0") as process:
        with connect(operators_ws(process), proxy=None):
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(PATIENCE) == 0
        assert "Traceback" not in process.said()


@pytest.mark.parametrize("gone", [signal.SIGKILL, signal.SIGSTOP])
def test_node_whose_broker_went_away_ends_in_order(
    streams: Path, tmp_path: Path, gone: signal.Signals
) -> None:
    with ended_by_hand(tmp_path / "kafka") as broker:
        make_topics(broker.bootstrap)
        with node(streams, broker.bootstrap, "console-4") as process:
            with hello(operators_ws(process)) as (operator, _):
                System(operator).heard("gateway/console-4", "ready")
            os.kill(broker.pid, gone)
            process.process.send_signal(signal.SIGTERM)
            assert process.process.wait(PATIENCE) == 0
            said = process.said()
    told = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert [line for line in told if line["event"] == "stopped"]
    faults = [line for line in told if line["level"] in {"error", "critical"}]
    assert [line for line in faults if line["logger"] not in OF_THE_LOSS] == []
    assert "Unclosed" not in said
    assert "never retrieved" not in said


def test_console_loads_nothing_of_the_opentelemetry_sdk(streams: Path) -> None:
    program = """
import sys
from pathlib import Path
from tidewire.kafka.memory import MemoryBroker
from tidewire_gateway.app import Clients, create_app
from tidewire_gateway.internal_app import create_internal_app
from tidewire_gateway.settings import GatewaySettings

broker = MemoryBroker()
clients = Clients(reader=broker.reader, admin=broker.admin, writer=broker.writer)
app = create_app(GatewaySettings(streams=Path(sys.argv[1]), console=True, dev=True), clients)
create_internal_app(app)
assert app.state.console is not None
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, str(streams)],
        env={},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0, ended.stderr
