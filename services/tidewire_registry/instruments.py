"""The registry's metrics, bound once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tidewire.telemetry.metrics import Metrics

from .stores.port import Overview

__all__ = ["Instruments"]


class Instruments:
    def __init__(self, metrics: Metrics, slots: int) -> None:
        self._metrics = metrics
        self._seconds = metrics.histogram("registry_request_seconds")
        self.users_looked_up = metrics.tally("registry_users_looked_up_total")
        self.connected = metrics.tally("registry_sessions_connected_total")
        self.disconnected = metrics.tally("registry_sessions_disconnected_total")
        self.evicted = metrics.tally("registry_sessions_evicted_total")
        self.evictions_untold = metrics.tally("registry_evictions_untold_total")
        self.swept = metrics.tally("registry_sessions_swept_total")
        self.leases_ended = metrics.tally("registry_leases_ended_total")
        self._frozen = metrics.gauge("registry_expiry_frozen")
        self._store_up = metrics.gauge("registry_store_up")
        self._nodes = metrics.gauge("registry_nodes")
        self._sessions = metrics.gauge("registry_sessions")
        metrics.gauge("registry_slots").set(slots)

    @contextmanager
    def timed(self) -> Iterator[None]:
        started_at = time.perf_counter()
        try:
            yield
        finally:
            self._seconds.observe(time.perf_counter() - started_at)

    def answered(self, operation: str, outcome: str) -> None:
        self._metrics.counter("registry_requests_total", operation=operation, outcome=outcome).inc()

    def froze(self, is_frozen: bool) -> None:
        self._frozen.set(is_frozen)

    def store_is_up(self, is_up: bool) -> None:
        self._store_up.set(is_up)

    def saw(self, overview: Overview) -> None:
        live = [view for view in overview.nodes if view.is_live]
        self._nodes.set(len(live))
        self._sessions.set(sum(view.sessions for view in live))

    def render(self, accept: str) -> tuple[bytes, str]:
        return self._metrics.render(accept)
