from collections.abc import Callable

import pytest

from tidewire.config.streams import Stream
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.settings import KafkaSettings
from tidewire.system.streams import SYSTEM, system_streams
from tidewire.topics import apply_topics, check_topics
from tidewire.topics.plan import spec_of


@pytest.mark.parametrize("broker", ["embedded_kafka", "real_kafka"])
def test_a_broker_takes_every_setting_that_is_applied(
    broker: str, request: pytest.FixtureRequest, unique_name: Callable[[str], str]
) -> None:
    streams = {
        "table": Stream(topic=unique_name("table"), partitions=3, table=True),
        "feed": Stream(topic=unique_name("feed"), partitions=2, retention_ms=60_000),
        "forever": Stream(topic=unique_name("forever"), retention_ms=-1),
        "system": system_streams()[SYSTEM].model_copy(update={"topic": unique_name("system")}),
    }
    admin = ConfluentAdmin(KafkaSettings(bootstrap=request.getfixturevalue(broker)))
    try:
        report = apply_topics(admin, streams)
        assert report.is_ok
        assert set(report.created) == {stream.topic for stream in streams.values()}
        assert apply_topics(admin, streams).created == ()
        states = admin.describe([stream.topic for stream in streams.values()])
        for stream in streams.values():
            wanted = spec_of(stream).config
            assert {k: states[stream.topic].config[k] for k in wanted} == wanted
        differing = {"table": streams["table"].model_copy(update={"partitions": 4})}
        assert not check_topics(admin, differing).is_ok
    finally:
        admin.close()
