"""How a registry is, for the console: its figures in `tidewire.system`."""

import time
from collections.abc import Callable
from typing import Any, Final

from tidewire.http.health import Stage
from tidewire.system.rates import Rates
from tidewire.system.readings import value_of
from tidewire.system.records import Observation, State
from tidewire.telemetry.metrics import Metrics

__all__ = ["RegistryObserver", "registry_figures"]

_OUTCOMES: Final = ("done", "refused", "unavailable")
_OPERATIONS: Final = {"lookups": "lookup", "announces": "announce"}


def registry_figures(
    *,
    nodes: int,
    slots: int,
    sessions: int,
    store_up: bool,
    frozen: bool,
    lookups: float,
    announces: float,
) -> dict[str, Any]:
    """As docs/observability.md writes them; the last two a second (pure)."""
    return {
        "nodes": nodes,
        "slots": slots,
        "sessions": sessions,
        "store_up": store_up,
        "frozen": frozen,
        "lookups": lookups,
        "announces": announces,
    }


class RegistryObserver:
    """`observe` for the registry's records."""

    def __init__(self, metrics: Metrics, stage: Callable[[], Stage]) -> None:
        self._metrics = metrics
        self._stage = stage
        self._rates = Rates(time.monotonic())
        self._requests = {
            name: [
                metrics.counter("registry_requests_total", operation=operation, outcome=outcome)
                for outcome in _OUTCOMES
            ]
            for name, operation in _OPERATIONS.items()
        }

    async def observe(self) -> Observation:
        totals = {name: sum(map(value_of, children)) for name, children in self._requests.items()}
        rates = self._rates.look(totals, time.monotonic())
        figures = registry_figures(
            nodes=self._gauge("registry_nodes"),
            slots=self._gauge("registry_slots"),
            sessions=self._gauge("registry_sessions"),
            store_up=self._gauge("registry_store_up") == 1,
            frozen=self._gauge("registry_expiry_frozen") == 1,
            lookups=rates["lookups"],
            announces=rates["announces"],
        )
        return Observation(State(self._stage().value), figures)

    def _gauge(self, name: str) -> int:
        return int(value_of(self._metrics.gauge(name)))
