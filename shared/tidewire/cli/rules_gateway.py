"""Contradictions within a node's settings that it starts with all the same (pure)."""

from typing import Final

from ..config.listening import is_loopback
from ..config.refusals import WILDCARDS
from ..config.rules import Rule, Severity
from ..config.urls import host_of

__all__ = ["DESCRIPTOR_RESERVE", "GATEWAY", "MESSAGE_BYTES"]

DESCRIPTOR_RESERVE: Final = 512
"""Of a node, beside its connections."""
MESSAGE_BYTES: Final = 128 * 1024
"""Most that a message to a user has."""
_DRAIN_MARGIN: Final = 5.0
"""Seconds that a node may take after its drain to end."""


def _is_nowhere(address: str | None, host: str, registry: str | None) -> bool:
    """Whether a registry that may be elsewhere is told an address that is everybody's own."""
    return address is None and host in WILDCARDS and _is_elsewhere(registry)


def _is_within(address: str | None, host: str, registry: str | None) -> bool:
    """Whether a registry that may be elsewhere is told an address that leads to itself."""
    return address is None and is_loopback(host) and _is_elsewhere(registry)


def _is_elsewhere(registry: str | None) -> bool:
    return registry is not None and not is_loopback(host_of(registry))


GATEWAY: Final = (
    Rule(
        "high_water_above_memory",
        (
            "gateway.limits.high_water",
            "gateway.limits.max_connections",
            "gateway.log_bytes",
            "gateway.limits.max_memory",
        ),
        lambda high, connections, log, memory: log < memory < log + high * connections,
        "MAX_CONNECTIONS clients that are as far behind as they may be, and LOG_BYTES of events, take more than MAX_MEMORY: "
        "in a bad hour the node refuses newcomers long before it is full",
        "lower it or MAX_CONNECTIONS, or raise MAX_MEMORY",
    ),
    Rule(
        "memory_below_log",
        ("gateway.limits.max_memory", "gateway.log_bytes"),
        lambda memory, log: 0 < memory <= log,
        "events alone may take LOG_BYTES of memory: a node that has them is above its limit and accepts nobody any more",
        "raise it well above LOG_BYTES, or lower that",
        Severity.ERROR,
    ),
    Rule(
        "log_below_frame",
        ("gateway.log_bytes", "gateway.limits.max_frame_out"),
        lambda log, frame: log < frame,
        "the largest event does not fit into the memory for all events, and nothing can be resumed from there",
        "raise it to some hundred times MAX_FRAME_OUT",
    ),
    Rule(
        "message_above_frame",
        ("gateway.limits.max_frame_out", "gateway.targeted.registry_url"),
        lambda frame, registry: registry is not None and frame < MESSAGE_BYTES,
        "a message to a user may have 128 KiB, and is one frame however large: clients get larger ones than this",
        "raise it to 262144, or publish smaller messages",
    ),
    Rule(
        "drain_outlasts_grace",
        ("gateway.drain_window", "gateway.drain_delay", "plan.grace"),
        lambda window, delay, grace: delay + window + _DRAIN_MARGIN > grace,
        "with DRAIN_DELAY and 5 s for the end it is longer than whoever stops the node waits: clients that have not been "
        "moved by then are cut off",
        "lower it or DRAIN_DELAY, or wait longer (terminationGracePeriodSeconds, TimeoutStopSec=, stop_grace_period)",
        Severity.ERROR,
    ),
    Rule(
        "stall_below_unsent",
        ("gateway.limits.stall_timeout", "gateway.limits.unsent_timeout"),
        lambda stall, unsent: stall <= unsent,
        "a client is aborted in less time than it takes to call it slow: none is ever caught up after a pause",
        "raise it well above UNSENT_TIMEOUT",
    ),
    Rule(
        "pings_before_stall",
        (
            "gateway.limits.stall_timeout",
            "gateway.limits.ping_interval",
            "gateway.limits.unanswered_pings",
        ),
        lambda stall, interval, pings: interval * (pings + 1) <= stall,
        "a client from which nothing drains answers no ping either: it is closed 3012 before this is over",
        "lower it, or raise PING_INTERVAL or UNANSWERED_PINGS",
    ),
    Rule(
        "keys_later_than_hello",
        (
            "gateway.tokens.jwks_timeout",
            "gateway.limits.hello_timeout",
            "gateway.tokens.jwks_url",
        ),
        lambda fetch, hello, url: url is not None and fetch >= hello,
        "a client whose token waits for keys may wait longer than it has for its `hello`",
        "lower it, or raise LIMITS__HELLO_TIMEOUT",
    ),
    Rule(
        "age_below_hello",
        (
            "gateway.limits.connection_age",
            "gateway.limits.connection_age_jitter",
            "gateway.limits.hello_timeout",
        ),
        lambda age, jitter, hello: age * (1 - jitter) <= hello,
        "a connection may be told to go before it has said `hello`",
        "raise it to minutes at least",
    ),
    Rule(
        "frames_below_messages",
        (
            "gateway.limits.frames_in",
            "gateway.limits.messages_in",
            "gateway.limits.subscriptions_per_connection",
        ),
        lambda frames, messages, subscriptions: frames < messages + subscriptions,
        "a client that comes back and sends each of the messages that it may in a frame of its own is closed 3501",
        "raise it above MESSAGES_IN and SUBSCRIPTIONS_PER_CONNECTION together",
    ),
    Rule(
        "address_above_all",
        (
            "gateway.limits.address_handshakes_per_second",
            "gateway.limits.handshakes_per_second",
        ),
        lambda address, node: 0 < node < address,
        "one address may take all the handshakes that the node has for everybody",
        "lower it well below HANDSHAKES_PER_SECOND",
    ),
    Rule(
        "clients_share_an_address",
        (
            "gateway.trusted_proxies",
            "gateway.trust_proxy_tls",
            "gateway.limits.connections_per_address",
            "gateway.limits.address_handshakes_per_second",
        ),
        lambda proxies, is_behind, connections, rate: (
            is_behind and not proxies and (connections or rate) > 0
        ),
        "is empty, and all clients behind the proxy have the limits of its one address together",
        "name the proxies' addresses, or lift both limits with 0",
    ),
    Rule(
        "hosts_without_console",
        ("gateway.console_hosts", "gateway.console"),
        lambda hosts, is_on: bool(hosts) and not is_on,
        "says nothing while CONSOLE is off",
        "set CONSOLE=true, or leave it out",
    ),
    Rule(
        "every_origin_and_more",
        ("gateway.origins",),
        lambda origins: "*" in origins and len(origins) > 1,
        "`*` lets in the pages of every origin: the others beside it change nothing",
        "take `*` away, or everything else",
    ),
    Rule(
        "address_nobody_reaches",
        ("gateway.targeted.address", "gateway.internal_host", "gateway.targeted.registry_url"),
        _is_nowhere,
        "is not set, and the registry is told INTERNAL_HOST, which is no address to reach: where the registry is on "
        "another machine, pushes and orders to close connections reach no node",
        "set it to the URL by which others reach this node's internal port",
        Severity.ERROR,
    ),
    Rule(
        "address_on_this_machine",
        ("gateway.targeted.address", "gateway.internal_host", "gateway.targeted.registry_url"),
        _is_within,
        "is not set, and the registry is told INTERNAL_HOST: where the registry is on another machine, that leads it "
        "to itself, and pushes and orders to close connections reach no node",
        "set it to the URL by which others reach this node's internal port",
    ),
    Rule(
        "address_of_a_free_port",
        ("gateway.targeted.address", "gateway.internal_port"),
        lambda address, port: address is not None and port == 0,
        "names one place, and the internal port is another one at every start",
        "set INTERNAL_PORT, too",
    ),
    Rule(
        "too_few_descriptors",
        ("gateway.limits.max_connections", "machine.descriptors"),
        lambda connections, descriptors: connections + DESCRIPTOR_RESERVE > descriptors,
        "takes 512 file descriptors more than there are connections, and a process on this machine may not have as many: "
        "fewer connections are accepted",
        "raise the hard limit (LimitNOFILE= of the unit, ulimit -n) where the node runs, or lower it",
    ),
    Rule(
        "nothing_for_anybody",
        (
            "gateway.token_key_file",
            "gateway.tokens.key_files",
            "gateway.tokens.jwks_url",
            "file.public",
        ),
        lambda *keys_and_public: not any(keys_and_public),
        "without keys nobody can show a token, and no stream is public: no client may subscribe to anything",
        "name keys here or under TOKENS__, or make a stream `public: true`",
    ),
)
