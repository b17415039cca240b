"""Have some events followed on their way, so that the console's Flow page shows life."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from tidewire.protocol.trace_context import TRACEPARENT, traceparent
from tidewire.publishing import Event

__all__ = ["MOST_PER_SECOND", "ONE_IN", "SamplingPublisher", "is_left_to_us"]

ONE_IN: Final = 50
MOST_PER_SECOND: Final = 5
_OPENTELEMETRY: Final = "OTEL_"


class _Publisher(Protocol):
    """What this needs of `tidewire.publishing.Publisher`."""

    def publish_event(self, stream: str, event: Event) -> None: ...

    def flush(self) -> None: ...


def is_left_to_us(environment: Mapping[str, str]) -> bool:
    """Whether nobody has said anything about traces: then there is no trace that this would be in the way of."""
    return not any(name.startswith(_OPENTELEMETRY) for name in environment)


class SamplingPublisher:
    """An `EventPublisher` that gives about one event in `ONE_IN` a sampled trace of its own, `MOST_PER_SECOND` at most."""

    def __init__(
        self,
        publisher: _Publisher,
        chance: random.Random | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._chance = random.Random() if chance is None else chance  # noqa: S311 - ids, no secrets
        self._clock = clock
        self._next_at = float("-inf")

    def publish(self, stream: str, key: str, data: object) -> None:
        """Queue an event; raises like `Publisher.publish`."""
        self._publisher.publish_event(stream, Event(key, data, trace=self._trace()))

    def flush(self) -> None:
        self._publisher.flush()

    def _trace(self) -> dict[str, str]:
        if self._chance.random() >= 1 / ONE_IN:
            return {}
        now = self._clock()
        if now < self._next_at:
            return {}
        self._next_at = now + 1 / MOST_PER_SECOND
        trace_id, span_id = (self._chance.getrandbits(bits) or 1 for bits in (128, 64))
        return {TRACEPARENT: traceparent(trace_id, span_id)}
