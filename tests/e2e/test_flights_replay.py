"""The replay process on a real broker: it starts, goes on where it stopped, and leaves no old rows."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.waiting import wait_until
from tidewire.config.streams import Stream
from tidewire.config.streams_file import load_streams
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings
from tidewire_flights import streams_file
from tidewire_flights.laps import ReplayPoint
from tidewire_flights.stored import standing_keys, stored_point

Unique = Callable[[str], str]
START_TIMEOUT = 30.0
END_TIMEOUT = 15.0


@pytest.fixture
def streams_path(embedded_kafka: str, unique_name: Unique, tmp_path: Path) -> Path:
    """The example's streams on topics of this test's own."""
    text = yaml.safe_load(streams_file().read_text(encoding="utf-8"))
    admin = ConfluentAdmin(KafkaSettings(bootstrap=embedded_kafka))
    for stream in text["streams"].values():
        stream["topic"] = unique_name(stream["topic"])
        policy = "compact" if stream.get("table") else "delete"
        partitions = stream.get("partitions", 1)
        admin.create(TopicSpec(stream["topic"], partitions, {"cleanup.policy": policy}))
    admin.close()
    path = tmp_path / "streams.yaml"
    path.write_text(yaml.safe_dump(text), encoding="utf-8")
    return path


@contextmanager
def replay(kafka: str, streams: Path, *options: str) -> Iterator[dict[str, Any]]:
    """A replay that has said that it is ready: yields that line, ends it by SIGTERM."""
    output = streams.with_name("replay.stdout")
    command = [sys.executable, "-m", "tidewire_flights", "--kafka", kafka, "--json"]
    with output.open("w") as stdout:
        process = subprocess.Popen([*command, "--streams", str(streams), *options], stdout=stdout)
    try:
        line = wait_until(
            lambda: output.read_text().partition("\n")[0], within=START_TIMEOUT, what="ready"
        )
        yield json.loads(line)
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_TIMEOUT) == 0
    finally:
        process.kill()
        process.wait(END_TIMEOUT)


def left_in_kafka(kafka: str, path: Path) -> tuple[ReplayPoint | None, set[str]]:
    streams = load_streams(path).streams
    return asyncio.run(_left(kafka, streams["replay"], streams["flights"]))


async def _left(kafka: str, clock: Stream, flights: Stream) -> tuple[ReplayPoint | None, set[str]]:
    reader = ConfluentReader(KafkaSettings(bootstrap=kafka))
    await reader.start()
    try:
        return await stored_point(reader, clock), await standing_keys(reader, flights)
    finally:
        await reader.close()


@pytest.mark.timeout(120)
def test_replay_goes_on_where_the_last_one_stopped(embedded_kafka: str, streams_path: Path) -> None:
    with replay(embedded_kafka, streams_path, "--start", "2013-07-04T12:00") as first:
        assert first["event"] == "ready"
        assert first["sim"] == "2013-07-04T16:00Z"
        assert first["published"] > 300
    stopped, board = left_in_kafka(embedded_kafka, streams_path)
    assert stopped is not None
    assert len(board) > 300
    with replay(embedded_kafka, streams_path) as second:
        assert second["sim"] >= "2013-07-04T16:00Z"
        assert second["lap"] == 1
    later, _ = left_in_kafka(embedded_kafka, streams_path)
    assert later is not None
    assert later >= stopped


@pytest.mark.timeout(120)
def test_a_start_elsewhere_removes_the_rows_of_the_last_one(
    embedded_kafka: str, streams_path: Path
) -> None:
    with replay(embedded_kafka, streams_path, "--start", "2013-07-04T18:00", "--speed", "1"):
        pass
    _, summer = left_in_kafka(embedded_kafka, streams_path)
    with replay(embedded_kafka, streams_path, "--start", "2013-01-01T03:00", "--speed", "1"):
        pass
    point, winter = left_in_kafka(embedded_kafka, streams_path)
    assert point is not None
    assert 0 < len(winter) < 50 < len(summer)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--kafka", "127.0.0.1:1", "--speed", "0"], "--speed 0.0 is not a number above 0"),
        (["--kafka", "nowhere"], "--kafka nowhere is not HOST:PORT"),
        (["--kafka", "127.0.0.1:1", "--streams", "/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_options_that_cannot_be_used_end_with_one_sentence(options: list[str], says: str) -> None:
    command = [sys.executable, "-m", "tidewire_flights", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
