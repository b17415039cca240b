"""Every metric of every service, declared once (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod

from ..protocol.codes import CloseCode, ErrorCode, Recovered

__all__ = ["EVERY_SERVICE", "METRICS", "OTHER", "PREFIX", "Kind", "MetricSpec", "specs_of"]

PREFIX = "tidewire_"
"""Begins every name that is exposed."""

EVERY_SERVICE = "every"
"""The service of what each of them counts."""

OTHER = "other"
"""The label value for whatever a small fixed set does not name."""


class Kind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """``name`` goes without `PREFIX`; ``labels`` maps a label to all values it may take.

    ``help`` is exposed; ``note`` is what docs/metrics.md adds: exactly how it is measured, where that matters.
    """

    name: str
    kind: Kind
    help: str
    service: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    buckets: Sequence[float] = ()
    note: str = ""

    @property
    def unit(self) -> str:
        """What one of it is; empty where it counts what its name says."""
        if self.help.startswith("1 while "):
            return "0 or 1"
        return next((unit for unit in ("seconds", "bytes") if unit in self.name.split("_")), "")

    @property
    def series(self) -> int:
        """Time series that a scraper stores of it: of a histogram one a bucket, the last without an end, sum and count."""
        if self.kind is Kind.HISTOGRAM:
            return len(self.buckets) + 3
        return prod(map(len, self.labels.values()))


_LATENCIES = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_WORK = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

_REJECTIONS = (
    "not_json",
    "too_large",
    "too_deep",
    "no_key",
    "bad_key",
    "bad_headers",
    "no_entity",
    "undecodable",
    OTHER,
)
_HANDSHAKES = (
    "accepted",
    "invalid_token",
    "expired_token",
    "undecided_token",
    "bad_request",
    "no_hello",
    "refused",
    "draining",
    "overloaded_connections",
    "overloaded_handshakes",
    "overloaded_loop",
    "overloaded_memory",
    "overloaded_rate",
    "limited",
    "forbidden_origin",
)
_LIMITS = (
    "address_connections",
    "address_handshakes",
    "user_connections",
    "frame",
    "frames",
    "messages",
    "messages_per_frame",
    "refusals",
    "channel",
    "subscriptions",
    "feeds",
)
_RESUMES = tuple(r.value for r in Recovered if r is not Recovered.NONE)
_RESUME_SOURCES = ("ring", "kafka", "mailbox", "lost")
_SUBSCRIPTION_STATES = ("attached", "joining", "catching_up", "lagging", "waiting", "paused")
_PUBLISHED = ("written", "invalid", "too_large", "unavailable", "buffer_full", OTHER)
_PUSHES = ("answered", "invalid", "too_large", "unavailable", "buffer_full", OTHER)
_PUSH_DEVICES = ("delivered", "offline", "stale", "limited", "expired")
_PUSH_CALLS = ("answered", "stale", "limited", "timed_out", "unreachable", "refused")
_ONE_OFF_READS = (
    "answered",
    "stale",
    "not_modified",
    "cut_off",
    "bad_request",
    "unauthorized",
    "forbidden",
    "forbidden_origin",
    "unknown_channel",
    "unavailable",
    "overloaded",
)
_REGISTRY_OPERATIONS = (
    "register",
    "renew",
    "release",
    "nodes",
    "node_sessions",
    "announce",
    "lookup",
    "user",
    "disconnect",
)
_CALLS = ("ok", "failed")
_TRACED = ("traced", "capped", "not_sampled")
_TLS_HANDSHAKES = ("done", "failed", "timed_out", "crowded_out")
_LETTERS = ("inbox", "mailbox", "push", "nobody", "expired", "fenced", "unreadable")
_ERROR_CODES = tuple(code.value for code in ErrorCode)
_CLOSE_CODES = (*(str(code.value) for code in CloseCode), "1005", "1006", OTHER)


def _tls(service: str) -> tuple[MetricSpec, ...]:
    """Of a service with a public port."""
    return (
        MetricSpec(
            "tls_handshakes_total",
            Kind.COUNTER,
            "TLS handshakes on the public port, by how they ended",
            service,
            {"outcome": _TLS_HANDSHAKES},
            note="`failed` are clients that speak no TLS, know other versions or ciphers, do not trust the certificate (where they say "
            "so), or hang up; `crowded_out` are sockets beyond what there are file descriptors for.",
        ),
        MetricSpec(
            "tls_certificate_expires_seconds",
            Kind.GAUGE,
            "When the certificate that is shown expires, in Unix seconds; 0 without TLS",
            service,
        ),
    )


def _revocations(service: str) -> tuple[MetricSpec, ...]:
    """Of a service that takes tokens."""
    return (
        MetricSpec("revocations", Kind.GAUGE, "Revocations of tokens and users in force", service),
        MetricSpec(
            "revocation_records_total",
            Kind.COUNTER,
            "Records of the topic of revocations that were read, by what they were",
            service,
            {"outcome": ("revoked", "lifted", "skipped", "dropped")},
            note="`skipped` are no revocations: nothing is revoked by them. `dropped` are revocations that were given up because there "
            "were too many: their tokens are good again.",
        ),
    )


_TOKENS_REFUSED = (
    "malformed",
    "algorithm",
    "signature",
    "unknown_key",
    "audience",
    "issuer",
    "claims",
    "expired",
    "other_user",
    "revoked",
    "undecided",
    OTHER,
)


def _tokens(service: str) -> tuple[MetricSpec, ...]:
    """Of a service that takes tokens."""
    return (
        MetricSpec(
            "tokens_refused_total",
            Kind.COUNTER,
            "Tokens that were not accepted, by what was wrong with them",
            service,
            {"reason": _TOKENS_REFUSED},
            note="`undecided` may be good: their key, or what is revoked, is not known yet.",
        ),
        MetricSpec(
            "jwks_fetches_total",
            Kind.COUNTER,
            "Fetches of the keys that an identity provider publishes, by how they ended",
            service,
            {"outcome": ("fetched", "unreachable", "timed_out", "unusable")},
            note="`unusable`: an answer that is no key set, or has no key that is accepted.",
        ),
        MetricSpec(
            "jwks_fetched_seconds",
            Kind.GAUGE,
            "When these keys were fetched last, in Unix seconds; 0 before, and without a URL",
            service,
        ),
    )


METRICS: tuple[MetricSpec, ...] = (
    MetricSpec("connections", Kind.GAUGE, "WebSocket connections that are open", "gateway"),
    MetricSpec("subscriptions", Kind.GAUGE, "Subscriptions of all connections", "gateway"),
    MetricSpec(
        "subscriptions_by_state",
        Kind.GAUGE,
        "Subscriptions to streams, by how they stand to their feed",
        "gateway",
        {"state": _SUBSCRIPTION_STATES},
        note="Counted each second. `attached` get the shared frames; `joining` do from the next flush on; `catching_up` are "
        "handed what they lack, or wait until that is read from Kafka; `lagging` have a socket that is behind; `waiting` "
        "need partitions that have not caught up; `paused` are so by the client. Those to `@me` are not counted here.",
    ),
    MetricSpec("feeds", Kind.GAUGE, "Feeds that at least one subscription shares", "gateway"),
    MetricSpec("partitions_assigned", Kind.GAUGE, "Kafka partitions that are read", "gateway"),
    MetricSpec("events_consumed_total", Kind.COUNTER, "Records read from Kafka", "gateway"),
    MetricSpec(
        "events_rejected_total",
        Kind.COUNTER,
        "Records that cannot be delivered and were skipped",
        "gateway",
        {"reason": _REJECTIONS},
    ),
    MetricSpec(
        "events_misplaced_total",
        Kind.COUNTER,
        "Events in another partition than their group's: the group's channel does not see them",
        "gateway",
    ),
    MetricSpec(
        "events_coalesced_total",
        Kind.COUNTER,
        "Events folded into a newer one of their entity before a flush",
        "gateway",
    ),
    MetricSpec(
        "events_delivered_total",
        Kind.COUNTER,
        "Events written to connections, once per connection",
        "gateway",
    ),
    MetricSpec("frames_delivered_total", Kind.COUNTER, "Frames written to connections", "gateway"),
    MetricSpec("bytes_delivered_total", Kind.COUNTER, "Bytes written to connections", "gateway"),
    MetricSpec(
        "freshness_seconds",
        Kind.HISTOGRAM,
        "Age of a flush's oldest event (by its record's timestamp) when its frame was written",
        "gateway",
        buckets=_LATENCIES,
        note="Once a flush, not once a connection. Exemplars (OpenMetrics only) are flushes that carried a sampled event.",
    ),
    MetricSpec(
        "client_freshness_seconds",
        Kind.HISTOGRAM,
        "Age that a flush's oldest event had at most when the client's network stack had its frame",
        "gateway",
        buckets=_LATENCIES,
        note="Its age when the pong arrives of a ping that was sent after the frame, on the same connection: whoever answers the "
        "ping has had the frame before it. So it is an upper bound: too high by the pong's way back and by the time from the "
        "flush to the ping, of which only those within 0.25 s count. At most one sample a connection and ping "
        "(`ping_interval`), of the feed that was flushed last; none of subscriptions that are not attached (a client that "
        "lags shows in `tidewire_subscriptions_by_state`), of `@me`, or of feeds that had nothing to flush just then. "
        "What the browser does with the frame is not in it.",
    ),
    MetricSpec(
        "flush_seconds",
        Kind.HISTOGRAM,
        "Time to encode a feed's batch and begin to write it to its connections",
        "gateway",
        buckets=_WORK,
        note="The writes that follow in later turns of the loop are not in it. Exemplars as for `tidewire_freshness_seconds`.",
    ),
    MetricSpec("batch_events", Kind.HISTOGRAM, "Events in a batch", "gateway", buckets=_SIZES),
    MetricSpec(
        "resumes_total",
        Kind.COUNTER,
        "Subscriptions that handed back a position, by what became of it and where what they lacked came from",
        "gateway",
        {"outcome": _RESUMES, "source": _RESUME_SOURCES},
        note="`outcome` is docs/protocol.md's `recovered`. `source`: `lost` where some of what was lacking is gone (every `gap`); "
        "else `mailbox` for `@me`; else `kafka` where some of it has to be read again; else `ring`, the node's memory "
        "(also where nothing was lacking). Counted once the node can tell: for one that was answered while its partitions "
        "were still loading that is when they have loaded.",
    ),
    MetricSpec(
        "backfills_total",
        Kind.COUNTER,
        "Reads of older events for subscriptions that resume, each for everybody who needs them",
        "gateway",
        {"outcome": ("read", "deleted", "failed")},
    ),
    MetricSpec(
        "backfill_records_total", Kind.COUNTER, "Records that were read once more", "gateway"
    ),
    MetricSpec(
        "topic_changes_total",
        Kind.COUNTER,
        "Topics that were recreated, or whose partition count changed, under the running node",
        "gateway",
        {"change": ("recreated", "repartitioned")},
    ),
    MetricSpec(
        "handshakes_total",
        Kind.COUNTER,
        "WebSocket handshakes, by how they ended",
        "gateway",
        {"outcome": _HANDSHAKES},
    ),
    *_tls("gateway"),
    MetricSpec(
        "limited_total",
        Kind.COUNTER,
        "Handshakes, requests and frames refused for what one client may have, by limit",
        "gateway",
        {"limit": _LIMITS},
        note="They are an address's, a user's or a connection's; `feeds` are the node's.",
    ),
    MetricSpec(
        "errors_total",
        Kind.COUNTER,
        "Error frames sent, by code",
        "gateway",
        {"code": _ERROR_CODES},
    ),
    MetricSpec(
        "closes_total",
        Kind.COUNTER,
        "Connections that ended, by close code",
        "gateway",
        {"code": _CLOSE_CODES},
    ),
    MetricSpec(
        "queued_bytes",
        Kind.GAUGE,
        "Bytes written and not yet taken by the system, of all connections, at the last sweep",
        "gateway",
    ),
    MetricSpec(
        "queued_bytes_max",
        Kind.GAUGE,
        "The most such bytes that one connection had, at the last sweep",
        "gateway",
    ),
    MetricSpec(
        "connections_congested",
        Kind.GAUGE,
        "Connections whose socket is behind: nothing is pushed to them, at the last sweep",
        "gateway",
    ),
    MetricSpec(
        "slow_closes_total",
        Kind.COUNTER,
        "Connections that were aborted because they took no byte for too long",
        "gateway",
    ),
    MetricSpec(
        "goaways_total", Kind.COUNTER, "Clients told to move: drain, connection age", "gateway"
    ),
    MetricSpec("draining", Kind.GAUGE, "1 while the node drains, else 0", "gateway"),
    MetricSpec(
        "loop_lag_seconds",
        Kind.GAUGE,
        "How late the event loop was at worst within the last 3 s",
        "gateway",
    ),
    MetricSpec(
        "loop_lateness_seconds",
        Kind.HISTOGRAM,
        "How late the event loop was, ten times a second",
        "gateway",
        buckets=_WORK,
    ),
    MetricSpec(
        "consumer_lag_records",
        Kind.GAUGE,
        "Records between the reader and the end of all assigned partitions",
        "gateway",
        note="Measured every 10 s; the last value stays while the broker does not answer.",
    ),
    MetricSpec(
        "consumer_lag_seconds",
        Kind.GAUGE,
        "Time that a record has at most been there unread, of the partition where that is longest; 0 where none is unread",
        "gateway",
        note="Of a partition with unread records (`tidewire_consumer_lag_records`): the time since the node was last known to have "
        "read all there was, or since it began to read the partition; or the age of the last record read (by its timestamp, "
        "where the node still holds it), if that is less. Measured every 10 s: one quiet record that arrives with the "
        "measurement may show as up to 10 s; the last value stays while the broker does not answer.",
    ),
    MetricSpec(
        "ping_rtt_seconds",
        Kind.HISTOGRAM,
        "Time from a WebSocket ping to its pong",
        "gateway",
        buckets=_LATENCIES,
    ),
    MetricSpec(
        "lease_held", Kind.GAUGE, "1 while the node may deliver from its inbox, else 0", "gateway"
    ),
    MetricSpec(
        "kafka_away",
        Kind.GAUGE,
        "1 while the broker does not answer the node's reader and clients are told that they are stale, else 0",
        "gateway",
        note="A node that reads nothing, because nobody asks for anything, does not know: 0.",
    ),
    MetricSpec(
        "leases_lost_total",
        Kind.COUNTER,
        "Leases that ended under the running node: not renewed in time, or held by another",
        "gateway",
    ),
    MetricSpec(
        "registry_calls_total",
        Kind.COUNTER,
        "Calls of the registry by the node, by how they ended",
        "gateway",
        {"outcome": _CALLS},
    ),
    MetricSpec(
        "mailbox_reads_total",
        Kind.COUNTER,
        "Reads of users' mailboxes, by how they ended",
        "gateway",
        {"outcome": _CALLS},
    ),
    MetricSpec(
        "letters_total",
        Kind.COUNTER,
        "Messages to users: delivered from the inbox or a mailbox, and inbox records that were not",
        "gateway",
        {"outcome": _LETTERS},
    ),
    MetricSpec(
        "traced_events_total",
        Kind.COUNTER,
        "Sampled events that were followed, and those that were not: too many, or refused by the sampler",
        "gateway",
        {"outcome": _TRACED},
    ),
    MetricSpec(
        "trace_links_cut_total",
        Kind.COUNTER,
        "Sampled events whose flush carried more of them than a span may have links",
        "gateway",
    ),
    MetricSpec(
        "flows_total",
        Kind.COUNTER,
        "Flushes with sampled events, by whether the console's stream was told of them",
        "gateway",
        {"outcome": ("told", "dropped")},
    ),
    MetricSpec(
        "system_records_lost_total",
        Kind.COUNTER,
        "Records for the console that Kafka did not take",
        EVERY_SERVICE,
    ),
    MetricSpec(
        "trace_spans_total",
        Kind.COUNTER,
        "Spans, by what became of them: failed where the collector did not take them, dropped where too many waited",
        EVERY_SERVICE,
        {"outcome": ("exported", "failed", "dropped")},
    ),
    *_tokens("gateway"),
    *_revocations("gateway"),
    MetricSpec(
        "revocation_closes_total",
        Kind.COUNTER,
        "Connections that were closed because their token was revoked",
        "gateway",
    ),
    MetricSpec(
        "one_off_reads_total",
        Kind.COUNTER,
        "Channels read once over HTTP, by what was answered",
        "gateway",
        {"outcome": _ONE_OFF_READS},
    ),
    MetricSpec(
        "one_off_read_seconds",
        Kind.HISTOGRAM,
        "Time that a read over HTTP waited for its partitions, and took its snapshot",
        "gateway",
        buckets=_LATENCIES,
    ),
    *_tokens("publisher"),
    *_revocations("publisher"),
    MetricSpec(
        "events_published_total",
        Kind.COUNTER,
        "Events handed in over HTTP, by what became of them",
        "publisher",
        {"outcome": _PUBLISHED},
    ),
    MetricSpec(
        "publish_seconds",
        Kind.HISTOGRAM,
        "Time from a request's last byte until Kafka has acknowledged all its events",
        "publisher",
        buckets=_LATENCIES,
    ),
    *_tls("publisher"),
    MetricSpec(
        "user_events_published_total",
        Kind.COUNTER,
        "Events to users handed in over HTTP, by what became of them",
        "publisher",
        {"outcome": _PUBLISHED},
    ),
    MetricSpec(
        "pushes_total",
        Kind.COUNTER,
        "Pushes asked for over HTTP, by what was answered",
        "publisher",
        {"outcome": _PUSHES},
    ),
    MetricSpec(
        "push_devices_total",
        Kind.COUNTER,
        "Devices that pushes were for, by what became of it",
        "publisher",
        {"outcome": _PUSH_DEVICES},
    ),
    MetricSpec(
        "push_calls_total",
        Kind.COUNTER,
        "Calls of gateway nodes for pushes, by how they ended",
        "publisher",
        {"outcome": _PUSH_CALLS},
    ),
    MetricSpec(
        "push_seconds",
        Kind.HISTOGRAM,
        "Time from a push's last byte until every node has answered or was given up",
        "publisher",
        buckets=_LATENCIES,
    ),
    MetricSpec(
        "registry_requests_total",
        Kind.COUNTER,
        "Requests answered, by what was asked and what became of it",
        "registry",
        {"operation": _REGISTRY_OPERATIONS, "outcome": ("done", "refused", "unavailable")},
    ),
    MetricSpec(
        "registry_request_seconds",
        Kind.HISTOGRAM,
        "Time that a request took, its body's arrival included",
        "registry",
        buckets=_LATENCIES,
    ),
    MetricSpec(
        "registry_users_looked_up_total", Kind.COUNTER, "Users that were looked up", "registry"
    ),
    MetricSpec(
        "registry_sessions_connected_total",
        Kind.COUNTER,
        "Sessions that nodes announced, again after a lost lease included",
        "registry",
    ),
    MetricSpec(
        "registry_sessions_disconnected_total",
        Kind.COUNTER,
        "Sessions that nodes told the end of",
        "registry",
    ),
    MetricSpec(
        "registry_sessions_evicted_total",
        Kind.COUNTER,
        "Sessions that had to go because their user had too many",
        "registry",
    ),
    MetricSpec(
        "registry_evictions_untold_total",
        Kind.COUNTER,
        "Evicted connections whose node could not be told to close them",
        "registry",
    ),
    MetricSpec(
        "registry_sessions_swept_total",
        Kind.COUNTER,
        "Sessions of ended leases that were removed from the store",
        "registry",
    ),
    MetricSpec(
        "registry_leases_ended_total",
        Kind.COUNTER,
        "Leases that ran out; of several registries one counts each",
        "registry",
    ),
    MetricSpec(
        "registry_expiry_frozen",
        Kind.GAUGE,
        "1 while leases that ran out are kept because too many did at once, else 0",
        "registry",
    ),
    MetricSpec(
        "registry_store_up", Kind.GAUGE, "1 while the registry's store answers, else 0", "registry"
    ),
    MetricSpec("registry_nodes", Kind.GAUGE, "Nodes that hold a live lease", "registry"),
    MetricSpec("registry_slots", Kind.GAUGE, "Slots that there are", "registry"),
    MetricSpec("registry_sessions", Kind.GAUGE, "Sessions of live nodes", "registry"),
    MetricSpec(
        "router_messages_total",
        Kind.COUNTER,
        "Messages of the targeted topic, by what became of each",
        "router",
        {"outcome": ("routed", "mailbox_only", "nowhere", "expired", "dead_letter")},
    ),
    MetricSpec(
        "router_detours_total",
        Kind.COUNTER,
        "Messages that the registry's absence concerned: routed by old knowledge, kept waiting, routed again; "
        "users that were to be routed again and were forgotten",
        "router",
        {"detour": ("stale", "waited", "rerouted", "forgotten")},
    ),
    MetricSpec("router_inbox_records_total", Kind.COUNTER, "Records written to inboxes", "router"),
    MetricSpec(
        "router_failures_total",
        Kind.COUNTER,
        "Attempts that failed, by what failed; too_large are records that were left out of an inbox",
        "router",
        {"of": ("store", "registry", "kafka", "too_large")},
    ),
    MetricSpec(
        "router_lookups_total", Kind.COUNTER, "Lookups that the registry has answered", "router"
    ),
    MetricSpec(
        "router_users_looked_up_total",
        Kind.COUNTER,
        "Users whose places were wanted, by where the answer came from",
        "router",
        {"source": ("registry", "cache")},
    ),
    MetricSpec(
        "router_rebalances_total", Kind.COUNTER, "Times that partitions were revoked", "router"
    ),
    MetricSpec(
        "router_missed_records_total",
        Kind.COUNTER,
        "Records that retention removed before they were read",
        "router",
    ),
    MetricSpec("router_partitions", Kind.GAUGE, "Partitions assigned to this router", "router"),
    MetricSpec(
        "router_held_partitions",
        Kind.GAUGE,
        "Partitions that stand because the registry is away and no more messages may wait",
        "router",
    ),
    MetricSpec(
        "router_lag_records",
        Kind.GAUGE,
        "Records between what is committed and the end of all assigned partitions",
        "router",
    ),
    MetricSpec(
        "router_traced_messages_total",
        Kind.COUNTER,
        "Sampled messages that were followed, and those that were not: too many, or refused by the sampler",
        "router",
        {"outcome": _TRACED},
    ),
    MetricSpec(
        "router_waiting_messages",
        Kind.GAUGE,
        "Messages that wait for the registry, since nothing is known of their users",
        "router",
    ),
    MetricSpec(
        "router_registry_away", Kind.GAUGE, "1 while the registry does not answer, else 0", "router"
    ),
    MetricSpec(
        "router_age_seconds",
        Kind.HISTOGRAM,
        "Age of a message once its inbox records are acknowledged",
        "router",
        buckets=_LATENCIES,
    ),
    MetricSpec(
        "router_batch_messages",
        Kind.HISTOGRAM,
        "Messages routed together",
        "router",
        buckets=_SIZES,
    ),
)


def specs_of(service: str) -> tuple[MetricSpec, ...]:
    """What a process of ``service`` (``gateway``, ``publisher``) counts, in the table's order."""
    return tuple(spec for spec in METRICS if spec.service in {service, EVERY_SERVICE})
