"""The way of sampled events through a node: spans, what frames carry, what is told of each flush."""

import gc
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind

from harness.spans import SpanKeeper
from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.kafka.records import Header
from tidewire.protocol.codes import Mode
from tidewire.protocol.trace_context import traceparent
from tidewire.telemetry.metrics import create_metrics
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core.feeds import MOST_SAMPLED
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.sampling import SampledEvent
from tidewire_gateway.instruments import Instruments
from tidewire_gateway.traces import EventTraces

NOW_NS = 1_700_000_000_000_000_000
STREAM = Stream(topic="prices", table=True, modes=(Mode.LATEST, Mode.EVERY), public=True)


def headers(trace_id: int, flags: str = "01") -> Sequence[Header]:
    text = traceparent(trace_id, trace_id + 1)
    return (("other", b"x"), ("traceparent", (text[:-2] + flags).encode()))


@dataclass
class Traced:
    """A virtual node that traces; spans and flows as they end."""

    most_per_second: int = 1000
    sampler: Sampler | None = ALWAYS_ON
    has_flows: bool = True
    limits: Limits = field(default_factory=Limits)
    wall_ns: Callable[[], int] = lambda: NOW_NS

    def __post_init__(self) -> None:
        self.log = VirtualLog("prices", 1)
        self.told: list[dict[str, Any]] = []
        self.metrics = create_metrics("gateway")
        self.keeper = SpanKeeper(self.sampler)
        self.book = self.keeper.book()
        self.traces = EventTraces(
            spans=None if self.sampler is None else self.book,
            flows=self.told.append if self.has_flows else None,
            most_per_second=self.most_per_second,
            node="node-1",
            instruments=Instruments(self.metrics),
            wall_ns=self.wall_ns,
        )
        self.node = VirtualNode(self.log, STREAM, self.limits, traces=self.traces)
        self.book.run_on(self.node.timers)

    def connect(self, **options: object) -> VirtualClient:
        client = VirtualClient(self.node, SubscriptionState(), "s")
        client.subscribe(**options)
        self.node.timers.settle()
        return client

    def publish(self, key: str, headers: Sequence[Header] = ()) -> None:
        self.log.publish(0, key, b"1", headers)

    def flow(self, seconds: float = 1.0) -> None:
        self.node.read_all()
        self.node.timers.advance(seconds)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.ended if span.name == name]

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        self.book.close()  # makes those that wait
        return self.keeper.ended


def test_one_trace_goes_from_the_producer_through_reading_to_the_frame() -> None:
    traced = Traced()
    client = traced.connect(interval_ms=250)
    traced.publish("k", headers(0xABC))
    traced.flow()
    [process], [push] = traced.spans("process prices"), traced.spans("push s")
    assert process.context.trace_id == push.context.trace_id == 0xABC
    assert process.parent is not None
    assert process.parent.span_id == 0xABC + 1
    assert push.parent is not None
    assert push.parent.span_id == process.context.span_id
    assert [link.context.span_id for link in push.links] == [process.context.span_id]
    assert (process.kind, push.kind) == (SpanKind.CONSUMER, SpanKind.PRODUCER)
    assert client.traceparents == [traceparent(0xABC, push.context.span_id)]
    assert process.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "prices",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.kafka.message.key": "k",
    }
    assert push.attributes == {
        "messaging.system": "tidewire",
        "messaging.operation.name": "push",
        "messaging.operation.type": "send",
        "messaging.destination.name": "s",
        "messaging.destination.template": "s",
        "messaging.batch.message_count": 1,
        "tidewire.mode": "latest",
        "tidewire.interval_ms": 250,
        "tidewire.coalesced": 0,
        "tidewire.sampled": 1,
        "tidewire.connections": 1,
    }


@pytest.mark.parametrize("mode", list(Mode))
def test_a_flush_is_linked_to_every_sampled_event_folded_ones_too(mode: Mode) -> None:
    traced = Traced()
    client = traced.connect(mode=mode, interval_ms=500)
    traced.publish("first", ())  # goes out at once: the feed was idle
    traced.flow(0.1)
    for trace_id in (0x1, 0x2, 0x3):
        traced.publish("k", headers(trace_id))
        traced.publish("other", ())
    traced.flow()
    [push] = traced.spans("push s")
    processed = [span.context.span_id for span in traced.spans("process prices")]
    assert [link.context.span_id for link in push.links] == processed
    assert push.context.trace_id == 0x3
    assert client.traceparents[0] is None
    assert client.traceparents[1:] == [traceparent(0x3, push.context.span_id)]
    assert (push.attributes or {})["tidewire.coalesced"] == (4 if mode is Mode.LATEST else 0)


def test_a_frame_is_there_before_the_spans_that_it_names() -> None:
    traced = Traced()
    client = traced.connect(mode="every", interval_ms=0)
    traced.publish("k", headers(0xABC))
    traced.node.read_all()
    traced.node.timers.settle()
    [carried] = client.traceparents
    assert [span.name for span in traced.keeper.ended] == []
    traced.node.timers.advance(1.0)
    assert [span.name for span in traced.keeper.ended] == ["process prices", "push s"]
    [push] = traced.spans("push s")
    assert carried == traceparent(0xABC, push.context.span_id)


def test_spans_last_as_long_as_what_they_tell_of() -> None:
    ticks = itertools.count(NOW_NS)
    traced = Traced(wall_ns=lambda: next(ticks))
    traced.connect(mode="every", interval_ms=500)
    traced.publish("first")
    traced.flow(0.1)
    traced.publish("k", headers(0xABC))
    traced.flow()
    [process], [push] = traced.spans("process prices"), traced.spans("push s")
    [told] = traced.told
    times = [process.start_time, process.end_time, push.start_time, push.end_time]
    assert times == [NOW_NS + n for n in (1, 2, 3, 4)]  # the allowance has asked first
    assert told["sampled"][0]["taken_at_ms"] == (NOW_NS + 1) / 1e6
    assert told["pushed_at_ms"] == (NOW_NS + 3) / 1e6
    assert told["written_at_ms"] == (NOW_NS + 4) / 1e6


def test_unsampled_events_leave_no_trace() -> None:
    traced = Traced()
    client = traced.connect()
    traced.publish("k", headers(0xABC, "00"))
    traced.publish("l", (("traceparent", b"nonsense"),))
    traced.flow()
    assert (traced.ended, traced.told) == ((), [])
    assert set(client.traceparents) == {None}


def test_what_is_read_to_catch_up_is_no_news() -> None:
    traced = Traced()
    traced.node.let_go(0)
    traced.publish("k", headers(0xABC))
    traced.node.begin_anew(0)
    traced.flow()
    assert traced.ended == ()


def test_a_storm_of_sampled_events_is_capped_and_counted() -> None:
    traced = Traced(most_per_second=5)
    client = traced.connect(mode="every", interval_ms=500)
    for n in range(40):
        traced.publish(f"k{n}", headers(n + 1))
    traced.flow()
    assert len(traced.spans("process prices")) == 5
    assert len(client.delivered) == 40
    counted = traced.metrics.counters("traced_events_total", "outcome")
    assert {kind: child._value.get() for kind, child in counted.items()} == {
        "traced": 5,
        "capped": 35,
        "not_sampled": 0,
    }


def test_more_sampled_events_than_a_span_may_have_links_are_cut_and_counted() -> None:
    traced = Traced()
    traced.connect(mode="every", interval_ms=500)
    for n in range(MOST_SAMPLED + 12):
        traced.publish(f"k{n}", headers(n + 1))
    traced.flow()
    [push] = traced.spans("push s")
    assert len(push.links) == MOST_SAMPLED
    assert push.links[-1].context.trace_id == MOST_SAMPLED + 12
    assert traced.metrics.tally("trace_links_cut_total").value == 12


def test_a_sampler_that_says_no_is_heard() -> None:
    traced = Traced(sampler=ALWAYS_OFF)
    client = traced.connect()
    traced.publish("k", headers(0xABC))
    traced.flow()
    assert set(client.traceparents) == {None}
    assert traced.ended == ()


def test_flows_are_told_without_any_spans() -> None:
    traced = Traced(sampler=None)
    client = traced.connect(interval_ms=250)
    traced.publish("first")
    traced.flow(0.1)
    traced.publish("k", headers(0xABC))
    traced.publish("k", headers(0xDEF))
    traced.flow()
    [told] = traced.told
    [_, carried] = client.traceparents
    assert carried is not None
    assert carried == f"00-{0xDEF:032x}-{told['span']}-00"  # no span has these ids
    assert told["trace"] == f"{0xDEF:032x}"
    assert (told["events"], told["coalesced"], told["connections"]) == (1, 1, 1)
    assert (told["node"], told["stream"], told["channel"]) == ("node-1", "s", "s")
    assert [one["trace"] for one in told["sampled"]] == [f"{0xABC:032x}", f"{0xDEF:032x}"]
    assert [one["offset"] for one in told["sampled"]] == [1, 2]
    assert told["sampled"][0]["taken_at_ms"] <= told["pushed_at_ms"] <= told["written_at_ms"]


def test_an_entity_that_is_followed_counts_as_sampled_until_it_is_not() -> None:
    traced = Traced()
    traced.connect()
    traced.traces.followed_in("s").add("k")
    for key in ("k", "other"):
        traced.publish(key)
        traced.flow()
    assert [one["key"] for told in traced.told for one in told["sampled"]] == ["k"]
    [process] = traced.spans("process prices")
    assert process.parent is None
    traced.traces.followed_in("s").discard("k")
    traced.publish("k")
    traced.flow()
    assert len(traced.told) == 1


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF)])
def test_an_entity_that_is_followed_is_told_of_though_the_sampler_says_no(sampler: Sampler) -> None:
    traced = Traced(sampler=sampler)
    client = traced.connect()
    traced.traces.followed_in("s").add("k")
    traced.publish("k")
    traced.flow()
    assert [one["key"] for told in traced.told for one in told["sampled"]] == ["k"]
    assert traced.ended == ()
    [carried] = client.traceparents
    assert carried is not None
    assert carried.endswith("-00")  # nobody goes on with ids that lead nowhere


def test_a_flush_goes_on_with_what_is_recorded_beside_what_is_only_followed() -> None:
    traced = Traced(sampler=ParentBased(ALWAYS_OFF))
    client = traced.connect(mode="every", interval_ms=500)
    traced.publish("first")
    traced.flow(0.1)
    traced.traces.followed_in("s").add("k")
    traced.publish("sampled", headers(0xABC))
    traced.publish("k")
    traced.flow()
    [push] = traced.spans("push s")
    assert push.context.trace_id == 0xABC
    assert [link.context.trace_id for link in push.links] == [0xABC]
    assert client.traceparents[-1] == traceparent(0xABC, push.context.span_id)
    assert [len(told["sampled"]) for told in traced.told] == [2]


def test_nothing_of_traces_stays_with_events_that_are_kept() -> None:
    traced = Traced(most_per_second=1)
    for n in range(10):
        traced.publish(f"k{n}", headers(n + 1))
    traced.flow()
    assert not [one for one in gc.get_objects() if isinstance(one, SampledEvent)]


def test_cloudevents_carry_their_trace_in_an_extension() -> None:
    traced = Traced()
    traced.connect(mode="every")
    text = traceparent(0xABC, 1).encode()
    body = b'{"specversion":"1.0","traceparent":"%b","data":1}' % text
    traced.publish("binary", (("ce_traceparent", text),))
    traced.log.publish(0, "structured", body, (("content-type", b"application/cloudevents+json"),))
    traced.flow()
    assert [span.context.trace_id for span in traced.spans("process prices")] == [0xABC, 0xABC]


def test_a_flush_that_needs_several_frames_ends_its_span_all_the_same() -> None:
    traced = Traced(limits=Limits(max_frame_out=16 * 1024))
    client = traced.connect(mode="every", interval_ms=500)
    traced.publish("first")
    traced.flow(0.1)
    for n in range(40):
        traced.log.publish(0, f"k{n}", b'"%b"' % (b"x" * 1000), headers(n + 1) if n == 0 else ())
    traced.flow()
    assert len(client.delivered) == 41
    assert len(traced.spans("push s")) >= 1
