"""The drills, one module each, in the order of their numbers."""

from . import (
    broker_away,
    changed_topic,
    channel_storm,
    cold_resume,
    drained_node,
    dropped_crowd,
    half_open_links,
    hostile_machine,
    killed_node,
    killed_users_node,
    mixed_faults,
    nonsense,
    one_channel,
    registry_away,
    rolling_upgrade,
    router_group,
    slow_readers,
    soak,
    tokens_that_end,
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
    dropped_crowd.DRILL,
    half_open_links.DRILL,
    hostile_machine.DRILL,
    cold_resume.DRILL,
    tokens_that_end.DRILL,
    nonsense.DRILL,
    soak.DRILL,
    rolling_upgrade.DRILL,
)
