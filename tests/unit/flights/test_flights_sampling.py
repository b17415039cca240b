"""The example has some of its events followed: about one in fifty, never many."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tidewire.protocol.trace_context import sampled
from tidewire.publishing import Event
from tidewire_flights.sampling import MOST_PER_SECOND, ONE_IN, SamplingPublisher, is_left_to_us


class Published:
    """A publisher that keeps what it was given, and a clock."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.flushes = 0
        self.now = 0.0

    def publish_event(self, stream: str, event: Event) -> None:
        assert stream == "flights"
        self.events.append(event)

    def flush(self) -> None:
        self.flushes += 1

    @property
    def traces(self) -> list[str]:
        return [event.trace["traceparent"] for event in self.events if event.trace]


def test_about_one_event_in_fifty_has_a_sampled_trace_of_its_own() -> None:
    published = Published()
    publisher = SamplingPublisher(published, Random(7), lambda: published.now)
    for number in range(100 * ONE_IN):
        published.now += 1.0
        publisher.publish("flights", f"k{number}", number)
    publisher.flush()
    assert [(event.key, event.data) for event in published.events] == [
        (f"k{number}", number) for number in range(100 * ONE_IN)
    ]
    assert 60 <= len(published.traces) <= 140
    assert len(set(published.traces)) == len(published.traces)
    assert all(sampled(trace.encode()) for trace in published.traces)
    assert published.flushes == 1


@given(st.lists(st.floats(0, 0.01), min_size=1, max_size=400), st.integers(0, 1 << 32))
def test_no_second_has_more_than_a_few(pauses: list[float], seed: int) -> None:
    published = Published()
    publisher = SamplingPublisher(published, Random(seed), lambda: published.now)
    at: list[float] = []
    for pause in pauses:
        published.now += pause
        publisher.publish("flights", "k", None)
        if published.events[-1].trace:
            at.append(published.now)
    assert all(b >= a + 1 / MOST_PER_SECOND for a, b in pairwise(at))


def test_who_has_configured_traces_is_left_alone() -> None:
    assert is_left_to_us({"PATH": "/bin"})
    assert not is_left_to_us({"OTEL_TRACES_SAMPLER": "always_off"})
    assert not is_left_to_us({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
