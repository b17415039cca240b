"""How a router is, for the console: its figures in `tidewire.system`."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from tidewire.http.health import Stage
from tidewire.system.rates import Rates
from tidewire.system.readings import totals_of, value_of
from tidewire.system.records import Observation, State
from tidewire.telemetry.metrics import Metrics

from .instruments import Outcome

__all__ = ["RouterObserver", "router_figures"]


def router_figures(
    *,
    partitions: int,
    lag_records: int,
    waiting: int,
    registry_away: bool,
    messages: Mapping[str, float],
    dead_letters: int,
) -> dict[str, Any]:
    """As docs/observability.md writes them; ``messages`` a second, ``dead_letters`` in all (pure)."""
    return {
        "partitions": partitions,
        "lag_records": lag_records,
        "waiting": waiting,
        "registry_away": registry_away,
        "messages": dict(messages),
        "dead_letters": dead_letters,
    }


class RouterObserver:
    """`observe` for the router's records."""

    def __init__(self, metrics: Metrics, stage: Callable[[], Stage]) -> None:
        self._metrics = metrics
        self._stage = stage
        self._messages = metrics.counters("router_messages_total", "outcome")
        self._rates = Rates(time.monotonic())

    async def observe(self) -> Observation:
        totals = totals_of(self._messages)
        figures = router_figures(
            partitions=self._gauge("router_partitions"),
            lag_records=self._gauge("router_lag_records"),
            waiting=self._gauge("router_waiting_messages"),
            registry_away=self._gauge("router_registry_away") == 1,
            messages=self._rates.look(totals, time.monotonic()),
            dead_letters=totals[Outcome.DEAD_LETTER],
        )
        return Observation(State(self._stage().value), figures)

    def _gauge(self, name: str) -> int:
        return int(value_of(self._metrics.gauge(name)))
