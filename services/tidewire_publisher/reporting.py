"""How a publisher is, for the console: its figures in `tidewire.system`."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tidewire.http.health import Stage
from tidewire.system.rates import Rates
from tidewire.system.readings import totals_of
from tidewire.system.records import Observation, State
from tidewire.telemetry.metrics import Metrics

__all__ = ["PublisherObserver", "publisher_figures"]

_METRICS: Final = ("events_published_total", "user_events_published_total")


def publisher_figures(published: Mapping[str, float]) -> dict[str, Any]:
    """As docs/observability.md writes them: events a second, those to users too (pure)."""
    return {"published": dict(published)}


class PublisherObserver:
    """`observe` for the publisher's records."""

    def __init__(self, metrics: Metrics, stage: Callable[[], Stage]) -> None:
        self._counters = [metrics.counters(name, "outcome") for name in _METRICS]
        self._stage = stage
        self._rates = Rates(time.monotonic())

    async def observe(self) -> Observation:
        totals: dict[str, int] = {}
        for children in self._counters:
            for outcome, total in totals_of(children).items():
                totals[outcome] = totals.get(outcome, 0) + total
        published = self._rates.look(totals, time.monotonic())
        return Observation(State(self._stage().value), publisher_figures(published))
