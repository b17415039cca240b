"""What the gateway counts: the metric table's children, bound once so that counting is cheap."""

import time
from collections.abc import Callable, Mapping

from prometheus_client import Counter

from tidewire.http.token_check import RefusedTokens
from tidewire.protocol.codes import ErrorCode, Recovered
from tidewire.telemetry.metrics import Metrics, label_or_other

from .core.coalescing import Batch
from .core.limits import Limit
from .core.recovery import Source

__all__ = ["Instruments"]


class Instruments:
    """Named after what happens, so that the code that counts reads like what it does.

    ``wall_clock`` gives Unix seconds: an event's age is measured against its record's timestamp. ``clock`` times
    work: that of a loop stands still for a turn.
    """

    def __init__(
        self,
        metrics: Metrics,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._wall_clock = wall_clock
        self.clock = clock
        self.metrics = metrics
        self.connections = metrics.gauge("connections")
        self.subscriptions = metrics.gauge("subscriptions")
        self.feeds = metrics.gauge("feeds")
        self.partitions = metrics.gauge("partitions_assigned")
        self.lag = metrics.gauge("consumer_lag_records")
        self.kafka_away = metrics.gauge("kafka_away")
        self.lag_time = metrics.gauge("consumer_lag_seconds")
        self._by_state = metrics.gauges("subscriptions_by_state", "state")
        self.loop_lag = metrics.gauge("loop_lag_seconds")
        self.loop_lateness = metrics.histogram("loop_lateness_seconds")
        self.goaways = metrics.tally("goaways_total")
        self.draining = metrics.gauge("draining")
        self.queued_bytes = metrics.gauge("queued_bytes")
        self.queued_bytes_max = metrics.gauge("queued_bytes_max")
        self.connections_congested = metrics.gauge("connections_congested")
        self.slow_closes = metrics.tally("slow_closes_total")
        self.revocation_closes = metrics.tally("revocation_closes_total")
        self.consumed = metrics.tally("events_consumed_total")
        self.misplaced = metrics.tally("events_misplaced_total")
        self._round_trip = metrics.histogram("ping_rtt_seconds")
        self._flush_time = metrics.histogram("flush_seconds")
        self.one_off_read_time = metrics.histogram("one_off_read_seconds")
        self._one_off_reads = metrics.counters("one_off_reads_total", "outcome")
        self._coalesced = metrics.tally("events_coalesced_total")
        self._events = metrics.tally("events_delivered_total")
        self._frames = metrics.tally("frames_delivered_total")
        self._bytes = metrics.tally("bytes_delivered_total")
        self._freshness = metrics.histogram("freshness_seconds")
        self._client_freshness = metrics.histogram("client_freshness_seconds")
        self._batch = metrics.histogram("batch_events")
        self.backfill_records = metrics.tally("backfill_records_total")
        self._backfills = metrics.counters("backfills_total", "outcome")
        self._topic_changes = metrics.counters("topic_changes_total", "change")
        self._traced = metrics.counters("traced_events_total", "outcome")
        self.links_cut = metrics.tally("trace_links_cut_total")
        self.lease_held = metrics.gauge("lease_held")
        self.leases_lost = metrics.tally("leases_lost_total")
        self._registry_calls = metrics.counters("registry_calls_total", "outcome")
        self._mailbox_reads = metrics.counters("mailbox_reads_total", "outcome")
        self._letters = metrics.counters("letters_total", "outcome")
        self._rejected = metrics.counters("events_rejected_total", "reason")
        self._resumes: dict[tuple[Recovered, Source], Counter] = {
            (outcome, source): metrics.counter("resumes_total", outcome=outcome, source=source)
            for outcome in Recovered
            if outcome is not Recovered.NONE
            for source in Source
        }
        self.refused_tokens = RefusedTokens(metrics)
        self._handshakes = metrics.counters("handshakes_total", "outcome")
        self._limited = metrics.counters("limited_total", "limit")
        self._errors = metrics.counters("errors_total", "code")
        self._closes = metrics.counters("closes_total", "code")

    def flushed(
        self, batch: Batch, began_at: float, trace_id: str | None = None, *, is_aged: bool = True
    ) -> float | None:
        """A batch is being written: its size, what it folded, the work it was, and the trace where it has one.

        Returns the age of its oldest event in seconds, None where it has none; it counts as freshness if ``is_aged``.
        """
        age = None
        self._batch.observe(len(batch.events))
        self._coalesced.value += batch.coalesced
        if batch.events:
            oldest = min(event.ts_ms for event in batch.events)
            age = max(0.0, self._wall_clock() - oldest / 1000)
            if is_aged:
                self._freshness.observe(age, trace_id)
        self._flush_time.observe(self.clock() - began_at, trace_id)
        return age

    def ponged(self, round_trip: float, age: float | None) -> None:
        """A ping was answered; ``age`` is that of what was written just before it, None where nothing was."""
        self._round_trip.observe(round_trip)
        if age is not None:
            self._client_freshness.observe(age)

    def subscriptions_by_state(self, counts: Mapping[str, int]) -> None:
        for state, count in counts.items():
            self._by_state[state].set(count)

    def delivered(self, connections: int, events: int, size: int) -> None:
        """The same frame of ``size`` bytes went to so many connections."""
        self._events.value += connections * events
        self._frames.value += connections
        self._bytes.value += connections * size

    def traced(self, outcome: str) -> None:
        """A sampled event is followed, or there were too many of them."""
        self._traced[outcome].inc()

    def backfilled(self, outcome: str) -> None:
        self._backfills[outcome].inc()

    def registry_call(self, outcome: str) -> None:
        self._registry_calls[outcome].inc()

    def mailbox_read(self, outcome: str) -> None:
        self._mailbox_reads[outcome].inc()

    def letter(self, outcome: str, count: int = 1) -> None:
        """Messages to users that were delivered, or inbox records that were not."""
        self._letters[outcome].inc(count)

    def topic_changed(self, change: str) -> None:
        self._topic_changes[change].inc()

    def rejected(self, reason: str) -> None:
        label_or_other(self._rejected, reason).inc()

    def resumed(self, outcome: Recovered, source: Source) -> None:
        """It is known what became of a position, and where what it lacks comes from."""
        self._resumes[outcome, source].inc()

    def handshake(self, outcome: str) -> None:
        self._handshakes[outcome].inc()

    def limited(self, limit: Limit) -> None:
        """Somebody was refused more than he may have."""
        self._limited[limit].inc()

    def one_off_read(self, outcome: str) -> None:
        self._one_off_reads[outcome].inc()

    def error(self, code: ErrorCode) -> None:
        self._errors[code].inc()

    def closed(self, code: int) -> None:
        label_or_other(self._closes, str(code)).inc()
