"""The router's metrics, looked up once."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from tidewire.targeting.messages import Letter
from tidewire.targeting.registry import Place
from tidewire.telemetry.metrics import Metrics

__all__ = ["Detour", "Failure", "Instruments", "Outcome"]


class Outcome(StrEnum):
    """What became of a message; each has one."""

    ROUTED = "routed"
    MAILBOX_ONLY = "mailbox_only"
    NOWHERE = "nowhere"
    EXPIRED = "expired"
    DEAD_LETTER = "dead_letter"


class Detour(StrEnum):
    """What happened to messages while the registry was away."""

    STALE = "stale"
    WAITED = "waited"
    REROUTED = "rerouted"
    FORGOTTEN = "forgotten"


class Failure(StrEnum):
    STORE = "store"
    REGISTRY = "registry"
    KAFKA = "kafka"
    TOO_LARGE = "too_large"


class Instruments:
    def __init__(self, metrics: Metrics) -> None:
        outcomes = metrics.counters("router_messages_total", "outcome")
        detours = metrics.counters("router_detours_total", "detour")
        failures = metrics.counters("router_failures_total", "of")
        sources = metrics.counters("router_users_looked_up_total", "source")
        self._outcomes = {outcome: outcomes[outcome.value] for outcome in Outcome}
        self._detours = {detour: detours[detour.value] for detour in Detour}
        self._failures = {failure: failures[failure.value] for failure in Failure}
        self.users_from_registry = sources["registry"]
        self.users_from_cache = sources["cache"]
        self.lookups = metrics.tally("router_lookups_total")
        self.inbox_records = metrics.tally("router_inbox_records_total")
        self.rebalances = metrics.tally("router_rebalances_total")
        self.missed = metrics.tally("router_missed_records_total")
        self.partitions = metrics.gauge("router_partitions")
        self.lag = metrics.gauge("router_lag_records")
        self.waiting = metrics.gauge("router_waiting_messages")
        self.held = metrics.gauge("router_held_partitions")
        self.registry_away = metrics.gauge("router_registry_away")
        self.age = metrics.histogram("router_age_seconds")
        self.batch = metrics.histogram("router_batch_messages")

    def count(self, outcome: Outcome, number: int = 1) -> None:
        self._outcomes[outcome].inc(number)

    def detour(self, detour: Detour, number: int) -> None:
        self._detours[detour].inc(number)

    def failed(self, failure: Failure) -> None:
        self._failures[failure].inc()

    def routed(self, routes: Iterable[tuple[Letter, Sequence[Place]]], now_ms: int) -> None:
        for letter, places in routes:
            self.age.observe(max(0, now_ms - letter.ts_ms) / 1000)
            if places:
                self.count(Outcome.ROUTED)
            else:
                self.count(Outcome.MAILBOX_ONLY if letter.is_kept else Outcome.NOWHERE)
