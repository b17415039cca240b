"""Spans that are made later: with the ids, times and facts that were noted, in a few turns of the loop, and none is lost."""

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes

from harness.spans import SpanKeeper
from harness.virtual import VirtualTimers
from tidewire.protocol.trace_context import TraceParent
from tidewire.telemetry.late_spans import NotedSpan, SpanBook
from tidewire.telemetry.spans import context_of, span_context

PARENT = TraceParent(0xABC, 0x1)
SLICE = 32
ROOM = 1024
IDS = st.builds(TraceParent, st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1))


class Book:
    """A book on a loop that a test turns."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.keeper = SpanKeeper(sampler)
        self.loop = VirtualTimers()
        self.book = self.keeper.book()
        self.book.run_on(self.loop)

    def note(self, count: int = 1) -> None:
        for number in range(count):
            begun(self.book, f"number {number}").end(2)

    @property
    def made(self) -> int:
        return len(self.keeper.ended)


def begun(book: SpanBook, name: str = "push", parent: TraceParent | None = PARENT) -> NotedSpan:
    span = book.begin(name, SpanKind.PRODUCER, parent, {}, start_ns=1)
    assert span is not None
    return span


def facts(span: ReadableSpan) -> tuple[object, ...]:
    """All but its own ids."""
    assert span.context is not None
    links = [link.context for link in span.links]
    about = (span.name, span.kind, span.parent, dict(span.attributes or {}), links)
    flags = (span.context.trace_flags, span.context.trace_state, span.context.is_remote)
    return (*about, span.start_time, span.end_time, flags, span.instrumentation_scope)


@given(
    parent=st.none() | IDS,
    links=st.lists(IDS, max_size=5),
    start_ns=st.integers(0, 2**62),
    end_ns=st.integers(0, 2**62),
    connections=st.integers(0, 9),
)
def test_what_is_made_later_is_what_would_have_been_made_at_once(
    parent: TraceParent | None,
    links: Sequence[TraceParent],
    start_ns: int,
    end_ns: int,
    connections: int,
) -> None:
    book = Book()
    noted = book.book.begin(
        "push", SpanKind.PRODUCER, parent, {"mode": "latest"}, start_ns=start_ns, links=links
    )
    assert noted is not None
    noted.attributes["connections"] = connections
    noted.end(end_ns)
    direct = book.keeper.tracer.start_span(
        "push",
        context_of(parent),
        SpanKind.PRODUCER,
        {"mode": "latest"},
        [Link(span_context(link)) for link in links],
        start_ns,
    )
    direct.set_attribute("connections", connections)
    direct.end(end_ns)
    book.loop.advance(1.0)
    at_once, later = book.keeper.ended
    assert facts(later) == facts(at_once)
    assert later.context is not None
    assert TraceParent(later.context.trace_id, later.context.span_id) == noted.place
    if parent is not None:
        assert noted.place.trace_id == parent.trace_id


def test_a_few_spans_wait_for_a_second() -> None:
    book = Book()
    book.note(SLICE - 1)
    book.loop.advance(0.9)
    assert book.made == 0
    book.loop.advance(0.2)
    assert book.made == SLICE - 1
    book.note()
    book.loop.advance(0.9)
    assert book.made == SLICE - 1
    book.loop.advance(0.2)
    assert book.made == SLICE
    assert book.loop.pending == 0


def test_many_spans_wait_no_longer_and_are_made_in_several_turns() -> None:
    book = Book()
    book.note(3 * SLICE + 1)
    assert book.made == 0
    made = []
    for _ in range(4):
        book.loop.turn()
        made.append(book.made)
    assert made == [SLICE, 2 * SLICE, 3 * SLICE, 3 * SLICE]
    book.loop.advance(1.0)
    assert book.made == 3 * SLICE + 1
    assert [span.name for span in book.keeper.ended] == [f"number {n}" for n in range(book.made)]


def test_in_a_flood_the_oldest_are_made_at_once_and_none_is_lost() -> None:
    book = Book()
    book.note(ROOM)
    assert book.made == 0
    book.note()
    assert book.made == SLICE
    book.note(3 * ROOM)
    assert 3 * ROOM <= book.made <= 4 * ROOM
    book.loop.advance(1.0)
    assert book.made == 4 * ROOM + 1


def test_at_the_end_all_that_wait_are_made_and_later_ones_at_once() -> None:
    book = Book()
    book.note(SLICE + 5)
    late = begun(book.book)
    book.book.close()
    assert (book.made, book.loop.pending) == (SLICE + 5, 0)
    late.end(3)
    assert book.made == SLICE + 6
    book.loop.advance(2.0)
    assert book.made == SLICE + 6


def test_an_end_without_spans_is_an_end() -> None:
    book = Book()
    book.book.close()
    assert (book.made, book.loop.pending) == (0, 0)


def test_without_a_loop_spans_are_made_at_once() -> None:
    keeper = SpanKeeper()
    begun(keeper.book()).end(2)
    assert len(keeper.ended) == 1


class Asked(Sampler):
    """Counts how often it is asked."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self.times = 0

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        self.times += 1
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        return "Asked"


HALF = TraceIdRatioBased(0.5)
SAMPLERS = [
    ALWAYS_ON,
    ALWAYS_OFF,
    HALF,
    ParentBased(ALWAYS_ON),
    ParentBased(ALWAYS_OFF),
    ParentBased(HALF),
    ParentBased(ALWAYS_ON, remote_parent_sampled=ALWAYS_OFF),
    ParentBased(ALWAYS_ON, remote_parent_sampled=HALF),
    Asked(HALF),
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.get_description())
def test_the_sampler_decides_as_it_would_of_spans_that_are_made_at_once(sampler: Sampler) -> None:
    book = Book(sampler)
    for number in range(1, 200):
        parent = TraceParent(number << 56, 1)
        at_once = book.keeper.tracer.start_span("push", context_of(parent), SpanKind.PRODUCER)
        noted = book.book.begin("push", SpanKind.PRODUCER, parent, {}, start_ns=1)
        assert (noted is not None) == at_once.is_recording()
        if noted is not None:
            noted.end(2)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.get_description())
def test_what_the_sampler_will_have_is_made(sampler: Sampler) -> None:
    book = Book(sampler)
    places = []
    for number in range(200):
        parent = TraceParent(number * 2**56 + 1, 1) if number % 2 else None
        noted = book.book.begin("push", SpanKind.PRODUCER, parent, {}, start_ns=1)
        if noted is not None:
            places.append(noted.place)
            noted.end(2)
    book.book.close()
    contexts = [span.context for span in book.keeper.ended]
    assert [(one.trace_id, one.span_id) for one in contexts if one is not None] == places


def test_where_a_sampled_parent_is_enough_the_sampler_is_asked_only_of_traces_that_begin() -> None:
    root = Asked(ALWAYS_ON)
    book = Book(ParentBased(root, remote_parent_sampled=ALWAYS_ON))
    begun(book.book, parent=PARENT)
    assert root.times == 0
    begun(book.book, parent=None)
    assert root.times == 1


def test_spans_beside_the_book_have_ids_of_their_own() -> None:
    book = Book()
    noted = begun(book.book, parent=None)
    noted.end(2)
    beside = book.keeper.tracer.start_span("beside", Context())
    book.book.close()
    after = book.keeper.tracer.start_span("after", Context())
    contexts = [span.get_span_context() for span in (beside, after)]
    assert len({noted.place.span_id, *(one.span_id for one in contexts)}) == 3
    assert len({noted.place.trace_id, *(one.trace_id for one in contexts)}) == 3


def test_another_threads_span_does_not_get_ids_that_were_given_away() -> None:
    keeper = SpanKeeper()
    ids = keeper.provider.id_generator
    keeper.book()._ids.prepare(PARENT)
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(ids.generate_span_id()))
    thread.start()
    thread.join()
    assert taken != [PARENT.span_id]
    assert TraceParent(ids.generate_trace_id(), ids.generate_span_id()) == PARENT
    assert ids.generate_span_id() != PARENT.span_id
