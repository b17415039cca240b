"""Kafka topics as ``streams.yaml`` wants them."""

from .apply import apply_topics, check_topics
from .plan import Difference, TopicReport, TopicsReport

__all__ = ["Difference", "TopicReport", "TopicsReport", "apply_topics", "check_topics"]
