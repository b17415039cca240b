"""The drills, one module each, in the order of their numbers."""

from . import (
    broker_away,
    changed_topic,
    channel_storm,
    cold_resume,
    drained_node,
    half_open_links,
    killed_node,
    one_channel,
    slow_readers,
)

__all__ = ["DRILLS"]

DRILLS = (
    killed_node.DRILL,
    drained_node.DRILL,
    broker_away.DRILL,
    changed_topic.DRILL,
    channel_storm.DRILL,
    slow_readers.DRILL,
    one_channel.DRILL,
    half_open_links.DRILL,
    cold_resume.DRILL,
)
