"""Kafka topics as ``streams.yaml`` wants them."""

from .apply import apply_topics, check_topics, make_missing
from .plan import Difference, TopicReport, TopicsReport
from .revocations import revocations_topic
from .targeted import DEFAULT_SLOTS, targeted_topics

__all__ = [
    "DEFAULT_SLOTS",
    "Difference",
    "TopicReport",
    "TopicsReport",
    "apply_topics",
    "check_topics",
    "make_missing",
    "revocations_topic",
    "targeted_topics",
]
