"""Spans that are noted where there is no time for them, and made later, many at a time.

One made on its own, now and then, costs several times as much: by then the SDK's code has left the processor's caches.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased, Sampler
from opentelemetry.trace import Link, SpanKind, Tracer

from ..protocol.trace_context import TraceParent
from .spans import context_of, new_id, span_context

__all__ = ["Loop", "NotedSpan", "PreparedIds", "SpanBook"]

_SLICE: Final = 32
"""Made in one go, which takes about a millisecond; so many that wait need wait for no more."""
_ROOM: Final = 1024
_INTERVAL: Final = 1.0
_SAMPLED_PARENT_IS_ENOUGH: Final = f"remoteParentSampled:{ALWAYS_ON.get_description()},"
"""In what a sampler says of itself."""


class Handle(Protocol):
    def cancel(self) -> None: ...


class Loop(Protocol):
    """An asyncio event loop is one."""

    def call_soon(self, callback: Callable[[], object], /) -> Handle: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Handle: ...


class PreparedIds(RandomIdGenerator):
    """Ids by chance, but for a span whose ids were given away before it is made."""

    def __init__(self) -> None:
        self._next = _Next()

    def prepare(self, place: TraceParent) -> None:
        """The span that this thread makes next has these ids."""
        self._next.place = place

    def generate_trace_id(self) -> int:
        place = self._next.place
        return super().generate_trace_id() if place is None else place.trace_id

    def generate_span_id(self) -> int:
        place, self._next.place = self._next.place, None
        return super().generate_span_id() if place is None else place.span_id


class _Next(threading.local):
    place: TraceParent | None = None


@dataclass(slots=True, eq=False)
class NotedSpan:
    """A span that goes on with ``parent``, a sampled one elsewhere; ``links`` are such ones too.

    ``place`` is what it is called itself, ``attributes`` may be added to until it has ended. Times are Unix nanoseconds.
    """

    book: "SpanBook"
    name: str
    kind: SpanKind
    parent: TraceParent | None
    place: TraceParent
    attributes: dict[str, str | int]
    links: Sequence[TraceParent]
    start_ns: int
    end_ns: int = 0

    def end(self, at_ns: int) -> None:
        """Once."""
        self.end_ns = at_ns
        self.book.note(self)


class SpanBook:
    """Of one thread. Spans that have ended are made a little later between `run_on` and `close`, at once before and after.

    Later: when there are 32 of them or a second has passed, and no more than 32 in one turn of the loop. At most 1,024 wait:
    in a flood the oldest are made where one more ends. Whatever is made goes the usual way, to the queues that take or drop
    it. ``provider`` has `PreparedIds`, ``tracer`` is one of its tracers.
    """

    def __init__(self, provider: TracerProvider, tracer: Tracer) -> None:
        assert isinstance(provider.id_generator, PreparedIds)
        self._ids = provider.id_generator
        self._sampler = provider.sampler
        self._takes_sampled_parents = _takes_sampled_parents(provider.sampler)
        self._tracer = tracer
        self._noted: deque[NotedSpan] = deque()
        self._loop: Loop | None = None
        self._due: Handle | None = None

    def run_on(self, loop: Loop) -> None:
        """The thread's loop, which is to turn until `close`."""
        self._loop = loop

    def begin(
        self,
        name: str,
        kind: SpanKind,
        parent: TraceParent | None,
        attributes: dict[str, str | int],
        *,
        start_ns: int,
        links: Sequence[TraceParent] = (),
    ) -> NotedSpan | None:
        """None where the sampler will not have it recorded."""
        trace_id = new_id(128) if parent is None else parent.trace_id
        if parent is None or not self._takes_sampled_parents:
            found = self._sampler.should_sample(
                context_of(parent), trace_id, name, kind, attributes, _linked(links)
            )
            if found.decision is Decision.DROP:
                return None
        place = TraceParent(trace_id, new_id(64))
        return NotedSpan(self, name, kind, parent, place, attributes, links, start_ns)

    def note(self, span: NotedSpan) -> None:
        """It has ended."""
        self._noted.append(span)
        waiting = len(self._noted)
        if self._loop is None or waiting > _ROOM:
            self._make(_SLICE)
        elif waiting == _SLICE or self._due is None:
            self._plan(self._loop)

    def close(self) -> None:
        """Make all that wait; whoever closes the provider does so after that."""
        self._loop = None
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._make(len(self._noted))

    def _plan(self, loop: Loop) -> None:
        if self._due is not None:
            self._due.cancel()
        if len(self._noted) >= _SLICE:
            self._due = loop.call_soon(self._turn)
        else:
            self._due = loop.call_later(_INTERVAL, self._turn)

    def _turn(self) -> None:
        self._due = None
        self._make(_SLICE)
        if self._noted and self._loop is not None:
            self._plan(self._loop)

    def _make(self, most: int) -> None:
        for _ in range(min(most, len(self._noted))):
            noted = self._noted.popleft()
            self._ids.prepare(noted.place)
            self._tracer.start_span(
                noted.name,
                context_of(noted.parent),
                noted.kind,
                noted.attributes,
                _linked(noted.links),
                noted.start_ns,
            ).end(noted.end_ns)


def _takes_sampled_parents(sampler: Sampler) -> bool:
    """Whether its answer to a sampled parent elsewhere is known to be yes, so that it need not be asked."""
    if sampler is ALWAYS_ON:
        return True
    return type(sampler) is ParentBased and _SAMPLED_PARENT_IS_ENOUGH in str(
        sampler.get_description()  # type: ignore[no-untyped-call]
    )


def _linked(places: Sequence[TraceParent]) -> list[Link]:
    return [Link(span_context(place)) for place in places]
