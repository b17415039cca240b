"""The topics of a run: made where they are missing, refused where they differ."""

from collections.abc import Mapping

from ..config.streams import StreamsFile
from ..kafka.settings import KafkaSettings
from ..system.streams import system_streams
from ..topics import TopicsReport, apply_topics, revocations_topic, targeted_topics
from .errors import TopicsDifferError
from .options import MOST_NODES

__all__ = ["make_topics"]


def make_topics(bootstrap: str, streams: StreamsFile, overrides: Mapping[str, str]) -> str:
    """Make the missing topics, those of revocations, of messages to users and of the console too, with ``overrides`` for this broker; says what was done.

    Raises `TopicsDifferError` where a topic that exists breaks what its streams promise, or one cannot be made as they ask.
    """
    from ..kafka.confluent_clients import ConfluentAdmin  # librdkafka is slow to load

    admin = ConfluentAdmin(KafkaSettings(bootstrap=bootstrap, client_id="tidewire-dev"))
    try:
        wanted = (
            streams.streams
            | revocations_topic()
            | targeted_topics(slots=MOST_NODES)
            | system_streams()
        )
        report = apply_topics(admin, wanted, overrides=overrides)
    finally:
        admin.close()
    _refuse_differences(report)
    names = ", ".join(topic.topic for topic in report.topics)
    made = len(report.created)
    return f"{names} ({made} made, {len(report.topics) - made} there)"


def _refuse_differences(report: TopicsReport) -> None:
    for topic in report.topics:
        if topic.differences:
            told = "; ".join(map(str, topic.differences))
            if topic.found is None:
                raise TopicsDifferError(f"topic {topic.topic} cannot be made: {told}")
            raise TopicsDifferError(
                f"topic {topic.topic} differs from streams.yaml: {told}; or start afresh with "
                "another --data-dir"
            )
