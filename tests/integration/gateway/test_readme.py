"""The Python of the README works as it stands there, but for addresses."""

import asyncio
import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from harness.gateway import Gateway, MemoryTopics
from tidewire.config.streams_file import load_streams
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import TopicPartition, TopicSpec
from tidewire.publishing import AsyncPublisher

README = Path(__file__).parents[3] / "README.md"


def python_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def as_function(block: str, name: str) -> str:
    return f"async def {name}():\n{textwrap.indent(block, '    ')}"


async def test_publishing_as_in_the_readme(
    topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "streams.yaml").write_text(
        "streams: {flights: {topic: flights, group: key-prefix}}"
    )
    streams = load_streams(tmp_path / "streams.yaml").streams

    def connect(_bootstrap: str, _streams: Any) -> AsyncPublisher:
        return AsyncPublisher(topics.broker.writer(), streams)

    monkeypatch.setattr(AsyncPublisher, "connect", connect)
    block = python_blocks()[0].replace('"streams.yaml"', repr(str(tmp_path / "streams.yaml")))
    scope: dict[str, Any] = {}
    exec(as_function(block, "publish"), scope)
    await scope["publish"]()
    bounds = [topics.broker.bounds(where).end for where in topics.partitions("flights")]
    assert bounds[partition_of(b"JFK", 2)] == 1


async def test_subscribing_as_in_the_readme(
    gateway: Gateway, topics: MemoryTopics, capsys: pytest.CaptureFixture[str]
) -> None:
    partition = partition_of(b"JFK", 2)
    await topics.publish("flights", "JFK/B6-704", {"status": "departed"}, partition=partition)
    block = python_blocks()[1].replace("ws://127.0.0.1:8080/v1/ws", gateway.ws)
    block = block.replace("print(batch)", "print(batch)\n        return")
    scope: dict[str, Any] = {}
    exec(as_function(block, "subscribe"), scope)
    async with asyncio.timeout(10):
        await scope["subscribe"]()
    assert "JFK/B6-704" in capsys.readouterr().out


async def test_sending_to_a_user_as_in_the_readme(topics: MemoryTopics) -> None:
    topics.broker.admin().create(TopicSpec("tidewire.targeted", 1, {}))
    async with AsyncPublisher(topics.broker.writer()) as publisher:
        scope: dict[str, Any] = {"publisher": publisher}
        exec(as_function(python_blocks()[2], "send"), scope)
        await scope["send"]()
    assert topics.broker.bounds(TopicPartition("tidewire.targeted", 0)).end == 1
