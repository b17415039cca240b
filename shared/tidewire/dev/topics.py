"""The topics of a run: made where they are missing."""

from collections.abc import Mapping

from ..config.streams import Stream, StreamsFile
from ..kafka.confluent_clients import ConfluentAdmin
from ..kafka.records import TopicSpec
from ..kafka.settings import KafkaSettings

__all__ = ["apply_topics"]


def apply_topics(bootstrap: str, streams: StreamsFile, topic_config: Mapping[str, str]) -> str:
    """Make the missing topics, with ``topic_config`` beside what the streams say; tells what was done."""
    admin = ConfluentAdmin(KafkaSettings(bootstrap=bootstrap, client_id="tidewire-dev"))
    try:
        specs = {stream.topic: _spec(stream, topic_config) for stream in streams.streams.values()}
        there = admin.describe(list(specs))
        for name in specs.keys() - there.keys():
            admin.create(specs[name])
    finally:
        admin.close()
    made = len(specs) - len(there)
    return f"{', '.join(specs)} ({made} made, {len(there)} there)"


def _spec(stream: Stream, topic_config: Mapping[str, str]) -> TopicSpec:
    config = dict(topic_config)
    if stream.table:
        config["cleanup.policy"] = "compact"
    elif stream.retention_ms is not None:
        config["retention.ms"] = str(stream.retention_ms)
    return TopicSpec(stream.topic, stream.partitions, config, stream.replication)
