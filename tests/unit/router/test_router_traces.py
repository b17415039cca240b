"""Spans of sampled messages: whose children they are, what they say, and what is not followed."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import Attributes

from harness.spans import SpanKeeper, attributes_of, parent_of
from tidewire.kafka.errors import RecordTooLargeError
from tidewire.protocol.trace_context import sampled, traceparent
from tidewire.targeting.messages import Letter, Message
from tidewire.targeting.registry import Place
from tidewire_router.core.inbox import inbox_records
from tidewire_router.core.lifetimes import letter_of_message
from tidewire_router.core.pace import Pace
from tidewire_router.traces import MessageTraces

SECOND = 1_000_000_000
TRACE = traceparent(0xABC, 0x1)
UNSAMPLED = TRACE[:-1] + "0"


def message(trace: str | None = TRACE, offset: int = 7) -> Message:
    return Message("ann", f"m-{offset}", b'{"n":1}', 5, None, None, 2, offset, trace)


def letter(trace: str | None = TRACE, offset: int = 7) -> Letter:
    return letter_of_message(message(trace, offset), None, 60_000)


def place(slot: int) -> Place:
    return Place(f"n{slot}", slot, f"epoch-{slot}", f"http://n{slot}", ("c",))


class Clock:
    """A wall clock that stands."""

    ns = 0

    def __call__(self) -> int:
        return self.ns


class OnlyOf(Sampler):
    """Says yes to one trace alone."""

    def __init__(self, trace_id: int) -> None:
        self._trace_id = trace_id

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        *_: Any,
        **__: Any,
    ) -> SamplingResult:
        is_it = trace_id == self._trace_id
        return SamplingResult(Decision.RECORD_AND_SAMPLE if is_it else Decision.DROP, attributes)

    def get_description(self) -> str:
        return "OnlyOf"


def traces_of(
    spans: SpanKeeper,
    most: int = 100,
    clock: Clock | None = None,
    counted: Callable[[str], None] = lambda _: None,
) -> MessageTraces:
    return MessageTraces(
        spans.tracer,
        "targeted",
        "inbox",
        most_per_second=most,
        counted=counted,
        wall_ns=clock or Clock(),
    )


def continues(span: object, text: str | None) -> bool:
    """Whether what travels on is the span's."""
    found = sampled((text or "").encode())
    context = getattr(span, "context", None)
    return (
        found is not None and context is not None and found == (context.trace_id, context.span_id)
    )


def test_a_sampled_message_has_a_span_for_as_long_as_its_batch() -> None:
    spans = SpanKeeper()
    with traces_of(spans).processing([message()]) as [followed]:
        assert not spans.ended
    [span] = spans.ended
    assert (span.name, span.kind, parent_of(span)) == (
        "process targeted",
        SpanKind.CONSUMER,
        TRACE,
    )
    assert continues(span, followed.traceparent)
    assert followed == message(followed.traceparent)
    assert attributes_of(span) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "targeted",
        "messaging.destination.partition.id": "2",
        "messaging.kafka.offset": 7,
        "messaging.kafka.message.key": "ann",
        "messaging.message.id": "m-7",
        "messaging.message.body.size": 7,
    }


def test_each_record_to_an_inbox_has_a_span_of_its_own() -> None:
    spans = SpanKeeper()
    routes = [(letter(None, 1), (place(0), place(1))), (letter(TRACE, 2), (place(0), place(3)))]
    with traces_of(spans).sending(routes) as sending:
        assert not spans.ended
    sent = list(sending.routes)
    first, second = spans.named("send inbox")
    assert [parent_of(span) for span in (first, second)] == [TRACE, TRACE]
    assert (first.kind, attributes_of(second)) == (
        SpanKind.PRODUCER,
        {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": "inbox",
            "messaging.destination.partition.id": "3",
            "messaging.kafka.message.key": "ann",
            "messaging.message.id": "m-2",
            "messaging.message.body.size": 7,
            "tidewire.node": "n3",
        },
    )
    assert [(one.offset, [p.slot for p in places]) for one, places in sent] == [
        (1, [0, 1]),
        (2, [0]),
        (2, [3]),
    ]
    assert sent[0][0].traceparent is None
    assert continues(first, sent[1][0].traceparent)
    assert continues(second, sent[2][0].traceparent)


@pytest.mark.parametrize("trace", [None, UNSAMPLED])
def test_what_is_not_sampled_goes_on_as_it_came(trace: str | None) -> None:
    spans = SpanKeeper()
    traces = traces_of(spans)
    routes = [(letter(trace), (place(0), place(1)))]
    with traces.processing([message(trace)]) as messages, traces.sending(routes) as sending:
        assert messages == [message(trace)]
        assert list(sending.routes) == routes
        (record,) = inbox_records([(letter(trace), (place(0),))], "inbox")
        sending.left_out(record, RecordTooLargeError("inbox"))
    assert spans.ended == ()


def test_of_a_storm_some_are_followed_and_the_others_count_as_not_sampled() -> None:
    spans, clock = SpanKeeper(), Clock()
    counted: list[str] = []
    traces = traces_of(spans, most=2, clock=clock, counted=counted.append)
    with traces.processing([message(offset=n) for n in range(5)]) as followed:
        pass
    assert [sampled((one.traceparent or "").encode()) is not None for one in followed] == [
        *(True, True),
        *(False, False, False),
    ]
    assert {one.traceparent for one in followed[2:]} == {UNSAMPLED}
    assert counted == ["traced"] * 2 + ["capped"] * 3
    clock.ns = SECOND
    with traces.processing([message()]):
        pass
    assert (counted[5:], len(spans.ended)) == (["traced"], 3)


def test_a_sampler_that_says_no_is_heard_and_counted() -> None:
    spans = SpanKeeper(ALWAYS_OFF)
    counted: list[str] = []
    with traces_of(spans, counted=counted.append).processing([message()]) as [followed]:
        pass
    assert (followed.traceparent, spans.ended) == (UNSAMPLED, ())
    assert counted == ["not_sampled"]


def test_what_the_sampler_refuses_takes_no_place_from_others() -> None:
    spans = SpanKeeper(OnlyOf(0xABC))
    counted: list[str] = []
    others = traceparent(0xDEF, 0x1)
    traces = traces_of(spans, most=1, counted=counted.append)
    with traces.processing([message(others, 1), message(others, 2), message(TRACE, 3)]):
        pass
    with traces.processing([message(TRACE, 4)]):
        pass
    assert counted == ["not_sampled", "not_sampled", "traced", "capped"]
    assert [attributes_of(span)["messaging.kafka.offset"] for span in spans.ended] == [3]


def test_a_batch_that_is_given_up_ends_its_spans_with_the_error() -> None:
    spans = SpanKeeper()
    traces = traces_of(spans)
    with (
        pytest.raises(ConnectionError),
        traces.processing([message()]),
        traces.sending([(letter(), (place(0),))]),
    ):
        raise ConnectionError("gone")
    assert len(spans.ended) == 2
    for span in spans.ended:
        assert attributes_of(span)["error.type"] == "ConnectionError"
        assert span.status.status_code is StatusCode.ERROR


def passes(pace: Pace, now: float) -> bool:
    has_room = pace.has_room(now)
    if has_room:
        pace.take()
    return has_room


def test_what_an_inbox_does_not_take_ends_its_span_with_the_error_and_no_other() -> None:
    spans = SpanKeeper()
    routes = [(letter(offset=1), (place(0), place(1))), (letter(offset=2), (place(1),))]
    with traces_of(spans).sending(routes) as sending:
        records = inbox_records(sending.routes, "inbox")
        sending.left_out(records[1], RecordTooLargeError("inbox"))
    taken, refused, later = spans.ended
    assert [span.status.status_code for span in (taken, later)] == [StatusCode.UNSET] * 2
    assert (refused.status.status_code, attributes_of(refused)["error.type"]) == (
        StatusCode.ERROR,
        "RecordTooLargeError",
    )


def test_a_second_that_begins_lets_as_many_pass_again() -> None:
    pace = Pace(2)
    assert [passes(pace, now) for now in (0.0, 0.5, 0.9, 1.0, 1.1, 1.2, 9.0)] == [
        *(True, True, False),
        *(True, True, False),
        True,
    ]


def test_who_asks_and_does_not_pass_leaves_room() -> None:
    pace = Pace(1)
    assert [pace.has_room(0.0) for _ in range(3)] == [True] * 3
    pace.take()
    assert not pace.has_room(0.5)
