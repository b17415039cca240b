"""Contradictions within one service's settings that it starts with all the same (pure)."""

from collections.abc import Iterator
from typing import Final

from ..config.listening import is_loopback
from ..config.rules import SERVICES, Rule, Severity
from .rules_gateway import GATEWAY

__all__ = ["CALL_TIMEOUT", "HEADER_BYTES", "RENEWALS", "WITHIN"]

RENEWALS: Final = 5
"""Of a lease in its time, by the gateway."""
CALL_TIMEOUT: Final = 2.0
"""Seconds after which nodes and routers give up on the registry."""
_LEAST_SESSION: Final = 6.0
"""Seconds: `group.min.session.timeout.ms` of a broker where nobody set it."""
_REQUEST_MARGIN: Final = 1.0
"""Seconds that librdkafka wants between a long poll and the timeout of what it asks."""
HEADER_BYTES: Final = 8 * 1024
"""What key and headers may add to an event's data."""


def _kafka(service: str) -> Iterator[Rule]:
    kafka = f"{service}.kafka"
    yield Rule(
        f"{service}_poll_outlasts_request",
        (f"{kafka}.fetch_wait", f"{kafka}.request_timeout"),
        lambda wait, timeout: wait + _REQUEST_MARGIN > timeout,
        "a long poll needs REQUEST_TIMEOUT to be a second longer, or polls of quiet topics time out, and what is asked "
        "behind them waits",
        "lower it, or raise REQUEST_TIMEOUT",
    )
    yield Rule(
        f"{service}_silence_below_poll",
        (f"{kafka}.silence_timeout", f"{kafka}.fetch_wait"),
        lambda silence, wait: silence <= wait,
        "a long poll of a quiet topic is silent for FETCH_WAIT: a reader would check on the broker after every one",
        "raise it above FETCH_WAIT",
    )
    yield Rule(
        f"{service}_partition_above_fetch",
        (f"{kafka}.partition_fetch_bytes", f"{kafka}.fetch_bytes"),
        lambda partition, fetch: partition > fetch,
        "an answer carries FETCH_BYTES at the most, of all partitions together",
        "lower it, or raise FETCH_BYTES",
    )
    yield Rule(
        f"{service}_delivery_below_request",
        (f"{kafka}.delivery_timeout", f"{kafka}.request_timeout"),
        lambda delivery, request: delivery < request,
        "a record is given up before one question to the broker has had its time, and none is repeated",
        "raise it to some times REQUEST_TIMEOUT",
    )
    yield Rule(
        f"{service}_password_in_plain_text",
        (f"{kafka}.security.protocol", f"{kafka}.security.mechanism", f"{kafka}.bootstrap"),
        lambda protocol, mechanism, bootstrap: (
            protocol == "SASL_PLAINTEXT"
            and mechanism in {"PLAIN", "OAUTHBEARER"}
            and not all(is_loopback(b.rpartition(":")[0].strip("[]")) for b in bootstrap.split(","))
        ),
        "everybody on the way to the brokers can read the password or token",
        "set SASL_SSL, or MECHANISM to SCRAM-SHA-512",
    )


def _tokens(service: str) -> Iterator[Rule]:
    tokens = f"{service}.tokens"
    yield Rule(
        f"{service}_cooldown_outlasts_interval",
        (f"{tokens}.jwks_cooldown", f"{tokens}.jwks_interval", f"{tokens}.jwks_url"),
        lambda cooldown, interval, url: url is not None and cooldown >= interval,
        "the next regular fetch comes first: a token with a new key waits for it, however long",
        "set it well below JWKS_INTERVAL",
    )
    yield Rule(
        f"{service}_fetch_outlasts_interval",
        (f"{tokens}.jwks_timeout", f"{tokens}.jwks_interval", f"{tokens}.jwks_url"),
        lambda timeout, interval, url: url is not None and timeout >= interval,
        "a fetch may take longer than the rest between two: a slow identity provider is asked without a pause",
        "raise JWKS_INTERVAL, or lower it",
    )


def _grace(service: str) -> Rule:
    return Rule(
        f"{service}_shutdown_outlasts_grace",
        (f"{service}.shutdown_timeout", "plan.grace"),
        lambda shutdown, grace: shutdown >= grace,
        "is as long as whoever stops the process waits: requests that are under way then are cut off",
        "lower it, or wait longer (terminationGracePeriodSeconds, TimeoutStopSec=, stop_grace_period)",
        Severity.ERROR,
    )


_PUBLISHER: Final = (
    Rule(
        "event_above_body",
        ("publisher.max_event_bytes", "publisher.max_body_bytes"),
        lambda event, body: event > body,
        "an event comes in a body, and one that large is refused for its body's size",
        "lower it, or raise MAX_BODY_BYTES",
    ),
    Rule(
        "event_above_record",
        ("publisher.max_event_bytes", "publisher.kafka.max_record_bytes"),
        lambda event, record: event + HEADER_BYTES > record,
        "with its key and headers (8 KiB) an event may be larger than a record: it is taken, and then cannot be written",
        "lower it, or raise KAFKA__MAX_RECORD_BYTES and `max.message.bytes` of the topics",
    ),
)
_REGISTRY: Final = (
    Rule(
        "lease_below_renewal",
        ("registry.lease",),
        lambda lease: lease - lease / RENEWALS <= CALL_TIMEOUT,
        f"a node renews its lease after a fifth of it and waits up to {CALL_TIMEOUT:g} s for the answer: one that is "
        "late ends the lease, and messages to its users wait for the next",
        f"set it above {CALL_TIMEOUT * RENEWALS / (RENEWALS - 1):g}; 10 is the default",
        Severity.ERROR,
    ),
    Rule(
        "store_outlasts_callers",
        ("registry.store_timeout",),
        lambda timeout: timeout > CALL_TIMEOUT,
        f"nodes and routers hang up after {CALL_TIMEOUT:g} s, before they are told that Redis does not answer",
        f"set it to {CALL_TIMEOUT:g} at the most",
    ),
    Rule(
        "freeze_below_lease",
        ("registry.freeze", "registry.lease"),
        lambda freeze, lease: 0 < freeze < lease,
        "leases that are put off end sooner than those that are renewed: nodes have no time to come back",
        "set it to some times LEASE, or to 0 where none should be put off",
    ),
    Rule(
        "console_without_kafka",
        ("registry.console", "registry.kafka"),
        lambda is_on, kafka: is_on and kafka is None,
        "is on, and without Kafka the registry can tell the console nothing",
        "set KAFKA__BOOTSTRAP, too",
    ),
    Rule(
        "more_nodes_than_slots",
        ("registry.slots", "plan.nodes"),
        lambda slots, nodes: nodes > slots,
        "each node has a slot of its own: the ones too many get none, and their users' messages come from mailboxes, "
        "seconds late",
        "raise it, and the inbox topic's partitions with it, or run fewer nodes (a process of --processes is one)",
        Severity.ERROR,
    ),
)
_ROUTER: Final = (
    Rule(
        "session_below_brokers",
        ("router.session_timeout",),
        lambda session: session < _LEAST_SESSION,
        "brokers refuse members with less than 6 s (`group.min.session.timeout.ms`), unless they were told otherwise",
        "set it to 6 at least",
    ),
    Rule(
        "batch_above_waiting",
        ("router.batch_records", "router.max_waiting"),
        lambda batch, waiting: batch > waiting,
        "while the registry is away a full batch of users who are not known finds no room to wait in, and its partition "
        "stands at once",
        "lower it, or raise MAX_WAITING",
    ),
)

WITHIN: Final = (
    *GATEWAY,
    *_PUBLISHER,
    *_REGISTRY,
    *_ROUTER,
    *(rule for service in SERVICES for rule in _kafka(service)),
    *(rule for service in ("gateway", "publisher") for rule in _tokens(service)),
    _grace("publisher"),
    _grace("registry"),
)
