"""What the console hears of a publisher, whatever becomes of its start."""

import json

import pytest

from integration.publisher.serving import STREAMS, settings
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicPartition
from tidewire.system.streams import SYSTEM, system_streams
from tidewire.topics.plan import spec_of
from tidewire_publisher import app as publisher_app
from tidewire_publisher.ingest import EventIngest


async def test_publisher_whose_start_fails_says_that_it_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug of the start")

    monkeypatch.setattr(EventIngest, "start", broken)
    broker = MemoryBroker()
    broker.create(spec_of(system_streams()[SYSTEM]))
    app = publisher_app.create_app(
        settings(),
        streams=STREAMS,
        verifier=None,
        writer=broker.writer(),
        record_writer=broker.writer(),
    )
    with pytest.raises(RuntimeError, match="a bug of the start"):
        async with app.router.lifespan_context(app):
            pass
    [record], _ = broker.log(TopicPartition(SYSTEM, 0)).read(0, 10)
    assert json.loads(record.value or b"")["state"] == "ended"
