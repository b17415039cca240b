"""`tidewire dev` with everything real: broker, gateways, publisher, replay."""

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from harness.dev import DevRun, running_dev
from harness.ports import free_port
from harness.waiting import wait_until
from tidewire.config.streams_file import load_streams
from tidewire.dev.data_dir import DataDir
from tidewire.dev.probe import broker_answers
from tidewire.dev.running import read_running
from tidewire.kafka.confluent_clients import ConfluentReader
from tidewire.kafka.records import Bounds, TopicPartition
from tidewire.kafka.settings import KafkaSettings

pytestmark = pytest.mark.timeout(120)


def _status(url: str) -> int:
    with urllib.request.urlopen(url, timeout=10) as answer:
        status: int = answer.status
        return status


def _publish(run: DevRun, stream: str, event: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{run.ready['publisher']}/v1/events/{stream}",
        data=json.dumps(event).encode(),
        headers={"content-type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        document: dict[str, Any] = json.load(answer)
        return document


async def _ends(bootstrap: str, topic: str, partitions: int) -> dict[TopicPartition, Bounds]:
    reader = ConfluentReader(KafkaSettings(bootstrap=bootstrap))
    await reader.start()
    try:
        return dict(await reader.bounds([TopicPartition(topic, p) for p in range(partitions)]))
    finally:
        await reader.close()


def test_ready_line_names_every_part_and_each_answers(tmp_path: Path) -> None:
    port = free_port()
    with running_dev(tmp_path / "data", "--port", str(port), "--nodes", "2") as run:
        ready = run.ready
        assert list(ready) == ["event", "nodes", "registry", "publisher", "kafka", "redis"]
        assert ready["event"] == "ready"
        assert _status(f"{ready['registry']}/healthz") == 200
        assert ready["redis"].startswith("redis://127.0.0.1:")
        assert len(ready["nodes"]) == 2
        assert ready["nodes"][0]["http"] == f"http://127.0.0.1:{port}"
        assert ready["nodes"][0]["ws"] == f"ws://127.0.0.1:{port}/v1/ws"
        for node in ready["nodes"]:
            assert _status(f"{node['internal']}/healthz") == 200
        host, _, kafka_port = ready["kafka"].rpartition(":")
        assert broker_answers(host, int(kafka_port))
        running = read_running(tmp_path / "data")
        assert running is not None
        assert (running.kafka, running.publisher) == (ready["kafka"], ready["publisher"])
        assert running.registry == ready["registry"]
    assert read_running(tmp_path / "data") is None


def test_dashboard_and_javascript_sdk_are_served(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data", "--port", "0", "--example", "none") as run:
        page = run.ready["nodes"][0]["http"]
        assert _status(f"{page}/") == 200
        assert _status(f"{page}/sdk/tidewire.js") == 200


async def test_second_start_finds_what_the_first_wrote(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_dev(data, "--port", "0", "--example", "none") as run:
        _publish(run, "flights", {"key": "JFK/TW-1", "data": {"status": "scheduled"}})
        assert run.end() == 0
    streams = load_streams(DataDir(data).streams).streams
    key = DataDir(data).token_key.read_text()
    with running_dev(data, "--port", "0", "--example", "none") as run:
        again = load_streams(DataDir(data).streams).streams
        assert {name: s.epoch for name, s in again.items()} == {
            name: s.epoch for name, s in streams.items()
        }
        assert DataDir(data).token_key.read_text() == key
        ends = await _ends(run.ready["kafka"], "flights", streams["flights"].partitions)
        assert sum(bounds.end for bounds in ends.values()) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_every_child_in_time(tmp_path: Path, number: signal.Signals) -> None:
    with running_dev(tmp_path / "data", "--port", "0") as run:
        assert len(run.processes()) >= 6
        assert run.end(number) == 0
        assert run.processes() == []
        assert run.said().splitlines()[-1] == "tidewire dev: stopped, every part has ended"


def test_killed_run_leaves_no_orphan(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data", "--port", "0") as run:
        children = run.processes()
        assert len(children) >= 6
        run.end(signal.SIGKILL)
        wait_until(lambda: run.processes() == [], within=10, what="every child is gone")
    with running_dev(tmp_path / "data", "--port", "0", "--example", "none") as run:
        assert run.ready["event"] == "ready"  # its lock and its ports are free again


def test_apache_kafka_and_redis_of_the_machine(tmp_path: Path) -> None:
    options = ("--port", "0", "--broker", "kafka", "--example", "none")
    with running_dev(tmp_path / "data", *options) as run:
        _publish(run, "flights", {"key": "JFK/TW-1", "data": {"status": "scheduled"}})
        streams = load_streams(DataDir(tmp_path / "data").streams).streams
        assert streams["flights"].epoch == "0"  # the broker has topic ids of its own
        assert run.ready["redis"].startswith("redis://127.0.0.1:")
        assert run.end() == 0
        assert run.processes() == []


def test_broker_of_somebody_else(tmp_path: Path, embedded_kafka: str) -> None:
    options = ("--port", "0", "--broker", embedded_kafka, "--example", "none")
    with running_dev(tmp_path / "data", *options) as run:
        assert run.ready["kafka"] == embedded_kafka
        assert run.ready["redis"].startswith("redis://127.0.0.1:")
