"""What is worth an operator's look, service by service (pure).

Bounds that are near those of deploy/prometheus: these tell at once what is so now, of one process.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .alarms import Rule, Severity
from .records import State

__all__ = ["GATEWAY", "PUBLISHER", "REGISTRY", "ROUTER"]

_CROWD: Final = 20
"""Fewer connections are no share of anything."""
_FAILURES: Final = ("unavailable", "buffer_full", "other")

_Record = Mapping[str, Any]
_Before = Mapping[str, Any] | None


def _loop_lag(record: _Record, _: _Before) -> float | None:
    return _number(record["loop_lag_s"])


def _is_overloaded(record: _Record, _: _Before) -> float | None:
    return float(record["state"] == State.OVERLOADED)


def _lag_seconds(record: _Record, _: _Before) -> float | None:
    return _number(record["figures"]["partitions"]["lag_seconds"])


def _freshness(record: _Record, _: _Before) -> float | None:
    return _number(record["figures"]["freshness"]["p99"])


def _congested_share(record: _Record, _: _Before) -> float | None:
    connections = record["figures"]["connections"]
    is_crowd = connections["open"] >= _CROWD
    return connections["congested"] / connections["open"] if is_crowd else None


def _lease_lost(record: _Record, _: _Before) -> float | None:
    lease = record["figures"]["lease"]
    return None if lease is None else float(not lease["held"])


def _store_down(record: _Record, _: _Before) -> float | None:
    return float(not record["figures"]["store_up"])


def _expiry_frozen(record: _Record, _: _Before) -> float | None:
    return float(record["figures"]["frozen"])


def _router_lag(record: _Record, _: _Before) -> float | None:
    return _number(record["figures"]["lag_records"])


def _registry_away(record: _Record, _: _Before) -> float | None:
    return float(record["figures"]["registry_away"])


def _waiting(record: _Record, _: _Before) -> float | None:
    return _number(record["figures"]["waiting"])


def _new_dead_letters(record: _Record, before: _Before) -> float | None:
    if before is None:
        return None
    return float(record["figures"]["dead_letters"] - before["figures"]["dead_letters"])


def _failing_share(record: _Record, _: _Before) -> float | None:
    published = record["figures"]["published"]
    total = sum(published.values())
    failed = sum(published.get(outcome, 0) for outcome in _FAILURES)
    return failed / total if total > 0 else None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


_LOOP_LAG = Rule(
    "loop_lag",
    Severity.WARNING,
    _loop_lag,
    lambda lag: (
        f"the event loop is late by up to {lag:.2f} s: there is more to do than one core does"
    ),
    above=0.25,
    until=0.1,
    rise=4.0,
)

GATEWAY: Final[Sequence[Rule]] = (
    Rule(
        "consumer_lag",
        Severity.WARNING,
        _lag_seconds,
        lambda lag: f"reads {lag:.0f} s behind Kafka: clients see the past",
        above=30.0,
        until=10.0,
    ),
    Rule(
        "freshness",
        Severity.WARNING,
        _freshness,
        lambda age: f"one flush in a hundred carries events older than {age:.1f} s",
        above=5.0,
        until=2.5,
        rise=4.0,
    ),
    Rule(
        "congestion",
        Severity.WARNING,
        _congested_share,
        lambda share: (
            f"{share:.0%} of the connections are behind: they take less than they are sent"
        ),
        above=0.05,
        until=0.02,
        rise=4.0,
    ),
    Rule(
        "lease_lost",
        Severity.CRITICAL,
        _lease_lost,
        lambda _: "no lease: messages to users come from their mailboxes, seconds late",
        rise=6.0,
        fall=4.0,
    ),
    Rule(
        "overloaded",
        Severity.CRITICAL,
        _is_overloaded,
        lambda _: "a limit is reached: nobody new is accepted",
    ),
    _LOOP_LAG,
)
REGISTRY: Final[Sequence[Rule]] = (
    Rule(
        "store_down",
        Severity.CRITICAL,
        _store_down,
        lambda _: "the store does not answer: leases cannot be renewed, users not be found",
        rise=2.0,
        fall=4.0,
    ),
    Rule(
        "expiry_frozen",
        Severity.WARNING,
        _expiry_frozen,
        lambda _: "too many leases ran out at once, so none is ended for now",
    ),
    _LOOP_LAG,
)
ROUTER: Final[Sequence[Rule]] = (
    Rule(
        "router_lag",
        Severity.WARNING,
        _router_lag,
        lambda lag: f"{lag:,.0f} messages to users are not routed yet",
        above=1000.0,
        until=100.0,
        rise=10.0,
    ),
    Rule(
        "registry_away",
        Severity.CRITICAL,
        _registry_away,
        lambda _: "the registry does not answer: messages go where their users were last",
        fall=4.0,
    ),
    Rule(
        "waiting",
        Severity.WARNING,
        _waiting,
        lambda count: f"{count:,.0f} messages wait for the registry",
        rise=4.0,
    ),
    Rule(
        "dead_letters",
        Severity.WARNING,
        _new_dead_letters,
        lambda count: f"{count:,.0f} messages could not be read: see the dead letters' topic",
        fall=300.0,
    ),
    _LOOP_LAG,
)
PUBLISHER: Final[Sequence[Rule]] = (
    Rule(
        "publish_failing",
        Severity.CRITICAL,
        _failing_share,
        lambda share: f"{share:.0%} of the events are not acknowledged by Kafka",
        above=0.05,
        until=0.0,
    ),
    _LOOP_LAG,
)
