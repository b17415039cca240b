"""The drills, one module each, in the order of their numbers."""

from . import (
    broker_away,
    changed_topic,
    channel_storm,
    cold_resume,
    drained_node,
    half_open_links,
    killed_node,
    killed_users_node,
    mixed_faults,
    one_channel,
    registry_away,
    router_group,
    slow_readers,
    zombie_node,
)

__all__ = ["DRILLS"]

DRILLS = (
    killed_node.DRILL,
    killed_users_node.DRILL,
    drained_node.DRILL,
    zombie_node.DRILL,
    registry_away.DRILL,
    mixed_faults.DRILL,
    broker_away.DRILL,
    changed_topic.DRILL,
    channel_storm.DRILL,
    router_group.DRILL,
    slow_readers.DRILL,
    one_channel.DRILL,
    half_open_links.DRILL,
    cold_resume.DRILL,
)
