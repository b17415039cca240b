"""Contradictions between services, and between them and streams.yaml (pure)."""

from typing import Any, Final

from ..config.rules import Rule, Severity
from .mailbox_places import are_others, may_be_others

__all__ = ["BETWEEN", "EVENT_ENVELOPE"]

EVENT_ENVELOPE: Final = 4096
"""Bytes of a frame that the gateway keeps for what stands around an event."""
_BY_PREFIX: Final = "key-prefix"
"""Of the groups, the one by which not the whole key chooses the partition."""


def _differ(one: Any, other: Any) -> bool:
    return bool(one != other)


def _differ_where_on(one: Any, other: Any, registry: str | None) -> bool:
    """Of a gateway without messages to users nothing is said."""
    return registry is not None and bool(one != other)


def _brokers(bootstrap: str) -> frozenset[str]:
    return frozenset(bootstrap.split(","))


def _shows_no_key(asked: Any, shown: Any, *is_used: Any) -> bool:
    return asked is not None and shown is None and all(is_used)


def _kafka_differs(one: str, other: str) -> Rule:
    return Rule(
        f"{one}_and_{other}_brokers",
        (f"{one}.kafka.bootstrap", f"{other}.kafka.bootstrap"),
        lambda a, b: _brokers(a).isdisjoint(_brokers(b)),
        "has no broker in common with the other: what one writes the other may never read",
        "name the same cluster, unless both are listeners of one",
    )


def _topic_differs(name: str, one: str, other: str, what: str, *on: str) -> Rule:
    return Rule(
        name,
        (one, other, *on),
        _differ_where_on if on else _differ,
        f"{what}: they have to name the same topic",
        "give both the same",
        Severity.ERROR,
    )


_ON: Final = "gateway.targeted.registry_url"
_TARGETED: Final = (
    _topic_differs(
        "targeted_topic_of_router",
        "gateway.targeted.topic",
        "router.targeted_topic",
        "routers read another topic than the one that the node's mailboxes belong to",
        _ON,
    ),
    _topic_differs(
        "targeted_topic_of_publisher",
        "publisher.targeted_topic",
        "router.targeted_topic",
        "what is published to users is read by no router",
    ),
    _topic_differs(
        "inbox_topic",
        "gateway.targeted.inbox_topic",
        "router.inbox_topic",
        "routers write to another inbox than the one that nodes read",
        _ON,
    ),
    Rule(
        "epochs_differ",
        ("gateway.targeted.epoch", "router.epoch", _ON),
        _differ_where_on,
        "where the broker has no topic ids, nodes look into other mailboxes than routers fill",
        "give both the same",
    ),
    Rule(
        "mailboxes_differ",
        ("gateway.targeted.redis_url", "router.redis_url"),
        are_others,
        "nodes look for mailboxes elsewhere than routers fill them: who was away gets nothing",
        "name the same Redis and database",
        Severity.ERROR,
    ),
    Rule(
        "mailboxes_at_other_hosts",
        ("gateway.targeted.redis_url", "router.redis_url"),
        may_be_others,
        "nodes look for mailboxes at another place than routers fill them: unless both lead to one Redis, who was away "
        "gets nothing",
        "name the same Redis",
    ),
    Rule(
        "registry_of_router",
        (_ON, "router.registry_url"),
        lambda ours, theirs: ours is not None and ours.rstrip("/") != theirs.rstrip("/"),
        "nodes register elsewhere than routers ask: unless both names lead to one registry, routers find nobody",
        "name the same registry",
    ),
    Rule(
        "registry_of_publisher",
        ("publisher.registry_url", "router.registry_url"),
        lambda ours, theirs: ours is not None and ours.rstrip("/") != theirs.rstrip("/"),
        "the publisher asks elsewhere than routers do: unless both names lead to one registry, pushes find nobody",
        "name the same registry",
    ),
    Rule(
        "second_look_too_early",
        ("gateway.targeted.lookup_ttl", "router.lookup_ttl", _ON),
        lambda ours, theirs, registry: registry is not None and ours < theirs,
        "routers remember for longer where a user was: a node looks once more into the mailbox too early, and what was "
        "sent to the old place meanwhile is noticed at the next message only",
        "set it to the routers' LOOKUP_TTL, or longer",
        Severity.ERROR,
    ),
    Rule(
        "lookup_outlasts_lease",
        ("router.lookup_ttl", "registry.lease"),
        lambda lookup, lease: lookup > lease,
        "routers go on sending to a node whose lease is over: its users' messages are late by the difference",
        "set it to LEASE at the most",
    ),
    Rule(
        "user_limits_cross",
        ("gateway.limits.connections_per_user", "registry.connections_per_user", _ON),
        lambda node, all_nodes, registry: registry is not None and 0 < node < all_nodes,
        "a node refuses a user's newest connection before the registry would close the oldest: which one goes depends on "
        "where a load balancer sends it",
        "set it to the registry's CONNECTIONS_PER_USER, or higher",
    ),
)
_KEYS: Final = (
    Rule(
        "node_shows_registry_no_key",
        ("registry.internal_key_file", "gateway.internal_key_file", _ON),
        _shows_no_key,
        "the registry asks for a key and nodes have none: it answers them 401, and no node gets a lease",
        "name the key's file for both",
        Severity.ERROR,
    ),
    Rule(
        "router_shows_registry_no_key",
        ("registry.internal_key_file", "router.internal_key_file"),
        _shows_no_key,
        "the registry asks for a key and routers have none: it answers them 401, as if it were away",
        "name the key's file for both",
        Severity.ERROR,
    ),
    Rule(
        "publisher_shows_registry_no_key",
        (
            "registry.internal_key_file",
            "publisher.internal_key_file",
            "publisher.registry_url",
        ),
        _shows_no_key,
        "the registry asks for a key and the publisher has none: pushes are refused",
        "name the key's file for both",
        Severity.ERROR,
    ),
    Rule(
        "registry_shows_node_no_key",
        ("gateway.internal_key_file", "registry.internal_key_file", _ON),
        _shows_no_key,
        "nodes ask for a key and the registry has none: it can close no connection there",
        "name the key's file for both",
        Severity.ERROR,
    ),
    Rule(
        "publisher_shows_node_no_key",
        (
            "gateway.internal_key_file",
            "publisher.internal_key_file",
            "publisher.registry_url",
            _ON,
        ),
        _shows_no_key,
        "nodes ask for a key and the publisher has none: pushes reach nobody",
        "name the key's file for both",
        Severity.ERROR,
    ),
)
_EVENTS: Final = (
    _topic_differs(
        "revocations_topic",
        "gateway.revocations_topic",
        "publisher.revocations_topic",
        "a token that is revoked stays good at one of them",
    ),
    Rule(
        "event_above_frame",
        ("publisher.max_event_bytes", "gateway.limits.max_frame_out"),
        lambda event, frame: event + EVENT_ENVELOPE > frame,
        "an event may be taken that is too large for a frame (4 KiB of which are for what stands around it): it is "
        "written, and no client ever gets it",
        "lower it, or raise the gateway's LIMITS__MAX_FRAME_OUT",
        Severity.ERROR,
    ),
    Rule(
        "streams_differ",
        ("gateway.streams", "publisher.streams", "file.is_same"),
        lambda _ours, _theirs, is_same: not is_same,
        "gateway and publisher read different streams: events are written where nobody looks, or to another partition "
        "than clients read",
        "give both the same file",
        Severity.ERROR,
    ),
    _kafka_differs("gateway", "router"),
    _kafka_differs("gateway", "publisher"),
    _kafka_differs("publisher", "router"),
    _kafka_differs("registry", "gateway"),
)


def _internal(name: str, *topics: str) -> Rule:
    return Rule(
        name,
        ("stream.topic", *topics),
        lambda topic, *own: topic in own,
        "is a topic of the system itself: whoever may subscribe to the stream reads what is meant for others",
        "give the stream a topic of its own",
        Severity.ERROR,
    )


_STREAMS: Final = (
    _internal(
        "stream_shows_a_nodes_topic",
        "gateway.targeted.topic",
        "gateway.targeted.inbox_topic",
        "gateway.revocations_topic",
    ),
    _internal(
        "stream_shows_a_routers_topic",
        "router.targeted_topic",
        "router.inbox_topic",
        "router.dlq_topic",
    ),
    _internal(
        "stream_shows_a_publishers_topic",
        "publisher.targeted_topic",
        "publisher.revocations_topic",
    ),
    Rule(
        "interval_outlasts_log",
        ("stream.min_interval_ms", "gateway.log_window"),
        lambda interval_ms, window: interval_ms / 1000 >= window,
        "a client that misses one flush stands before what a node holds in memory: it never resumes exactly from there",
        "lower it, or raise LOG_WINDOW above it",
    ),
    Rule(
        "retention_below_log",
        ("stream.retention_ms", "gateway.log_window"),
        lambda retention_ms, window: retention_ms is not None and 0 <= retention_ms < window * 1000,
        "Kafka may forget events sooner than a node does: after a restart nobody resumes from what is promised",
        "raise it above LOG_WINDOW, or lower that",
    ),
    Rule(
        "streams_of_one_topic",
        (
            "stream.topic",
            "other.topic",
            "stream.partitions",
            "other.partitions",
            "stream.table",
            "other.table",
        ),
        lambda topic, other, partitions, others, table, others_table: (
            topic == other and (partitions, table) != (others, others_table)
        ),
        "two streams of one topic disagree on it, and it cannot be as both want",
        "give them the same `partitions` and `table`, or topics of their own",
        Severity.ERROR,
    ),
    Rule(
        "groups_of_one_topic",
        ("stream.group", "other.group", "stream.partitions", "stream.topic", "other.topic"),
        lambda ours, theirs, partitions, topic, other: (
            topic == other and partitions > 1 and (ours == _BY_PREFIX) != (theirs == _BY_PREFIX)
        ),
        "two streams of one topic choose an event's partition by different parts of its key: what is written to one, "
        "readers of a group of the other look for in another partition",
        "give them the same `group`, or topics of their own",
        Severity.ERROR,
    ),
    Rule(
        "retentions_of_one_topic",
        ("stream.retention_ms", "other.retention_ms", "stream.topic", "other.topic"),
        lambda ours, theirs, topic, other: (
            topic == other and None not in (ours, theirs) and ours != theirs
        ),
        "two streams of one topic disagree on how long it keeps events",
        "give them the same `retention_ms`, or leave it out of one",
        Severity.ERROR,
    ),
)

BETWEEN: Final = (*_TARGETED, *_KEYS, *_EVENTS, *_STREAMS)
