"""Contradictions that a service refuses to start with; `tidewire config check` finds them, too (pure)."""

from typing import Final

from pydantic import BaseModel

from .rules import Rule, Severity, facts_of, find, service_of

__all__ = ["REFUSALS", "WILDCARDS", "refuse"]

WILDCARDS: Final = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not listened on


def refuse(prefix: str, settings: BaseModel) -> None:
    """Raises ``ValueError`` with a line per contradiction within one service's settings.

    ``prefix`` is that of the service's settings.
    """
    if found := find(REFUSALS, facts_of(service_of(prefix), settings)):
        raise ValueError("\n".join(map(str, found)))


def _is_one_place(port: int, internal_port: int, host: str, internal_host: str) -> bool:
    if port == 0 or port != internal_port:
        return False
    is_everywhere = not WILDCARDS.isdisjoint({host, internal_host})
    return (
        is_everywhere
        or host == internal_host
        or {host, internal_host} == {"localhost", "127.0.0.1"}
    )


REFUSALS: Final = (
    Rule(
        "pending_below_body",
        ("publisher.max_pending_bytes", "publisher.max_body_bytes"),
        lambda pending, body: pending < body,
        "must be at least MAX_BODY_BYTES, or no request of that size is ever taken",
        "raise it, or lower MAX_BODY_BYTES",
        Severity.ERROR,
    ),
    Rule(
        "router_reads_its_own",
        ("router.targeted_topic", "router.inbox_topic", "router.dlq_topic"),
        lambda *topics: len(set(topics)) < len(topics),
        "a router that writes to the topic it reads routes its own messages for ever, and nodes take dead letters for "
        "letters",
        "name three topics",
        Severity.ERROR,
    ),
    Rule(
        "inbox_is_targeted",
        ("gateway.targeted.inbox_topic", "gateway.targeted.topic"),
        lambda inbox, topic: inbox == topic,
        "the inbox cannot be the topic that is published to: its partitions are nodes', the other's are users'",
        "name two topics, those that the routers have",
        Severity.ERROR,
    ),
    Rule(
        "ports_collide",
        ("gateway.internal_port", "gateway.port", "gateway.internal_host", "gateway.host"),
        lambda internal, port, internal_host, host: _is_one_place(
            port, internal, host, internal_host
        ),
        "the internal port is the public one, and two cannot listen at one place",
        "choose another INTERNAL_PORT; 0 takes a free one",
        Severity.ERROR,
    ),
)
