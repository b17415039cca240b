"""The way of sampled messages through the router: a span for each, and one for each record to an inbox."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer

from tidewire.kafka.records import NewRecord
from tidewire.protocol.trace_context import TRACEPARENT, TraceParent, sampled, traceparent
from tidewire.targeting.messages import Letter, Message
from tidewire.targeting.registry import Place
from tidewire.telemetry.spans import context_of, place_of

from .core.pace import Pace
from .core.partition import Route

__all__ = ["MessageTraces", "Sending"]

_NOT_SAMPLED: Final = "00"

Routes = Sequence[tuple[Letter, Sequence[Place]]]


class MessageTraces:
    """Of a storm of sampled messages at most ``most_per_second`` are followed; the others count as not sampled.

    What the tracer's own sampler refuses is not of those. ``counted`` is told `traced`, `capped` or `not_sampled` of each.
    """

    def __init__(
        self,
        tracer: Tracer,
        topic: str,
        inbox_topic: str,
        *,
        most_per_second: int,
        counted: Callable[[str], None],
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = tracer
        self._topic = topic
        self._inbox_topic = inbox_topic
        self._pace = Pace(most_per_second)
        self._wall_ns = wall_ns
        self._counted = counted

    @contextlib.contextmanager
    def processing(self, messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
        """The messages of a batch, the sampled ones each with a span of its own, which lasts as long as the block."""
        if not any(message.traceparent for message in messages):
            yield messages
            return
        spans: list[Span] = []
        with _ending(spans):
            yield [self._followed(message, spans) for message in messages]

    @contextlib.contextmanager
    def sending(self, routes: Routes) -> Iterator["Sending"]:
        """The routes, those of sampled letters each with the spans of its inbox records, which last as long as the block."""
        if not any(letter.traceparent for letter, _ in routes):
            yield Sending(routes, {})
            return
        spans: list[Span] = []
        with _ending(spans):
            parted = [part for route in routes for part in self._parted(route, spans)]
            yield Sending(parted, {_header_of(span): span for span in spans})

    def _followed(self, message: Message, spans: list[Span]) -> Message:
        parent = _sampled(message.traceparent)
        if parent is None:
            return message
        if not self._pace.has_room(self._wall_ns() / 1e9):
            self._counted("capped")
            return message._replace(traceparent=_unsampled(message.traceparent))
        span = self._start(
            "process",
            self._topic,
            parent,
            {
                "messaging.kafka.offset": message.offset,
                "messaging.destination.partition.id": str(message.partition),
                **_about(message),
            },
        )
        if span.is_recording():
            self._pace.take()
            self._counted("traced")
        else:
            self._counted("not_sampled")
        return message._replace(traceparent=_continued(span, message.traceparent, spans))

    def _parted(self, route: tuple[Letter, Sequence[Place]], spans: list[Span]) -> Iterator[Route]:
        letter, places = route
        parent = _sampled(letter.traceparent)
        if parent is None:
            yield Route(letter, places)
            return
        for place in places:
            span = self._start(
                "send",
                self._inbox_topic,
                parent,
                {
                    "messaging.destination.partition.id": str(place.slot),
                    "tidewire.node": place.node,
                    **_about(letter),
                },
            )
            carried = _continued(span, letter.traceparent, spans)
            yield Route(letter._replace(traceparent=carried), (place,))

    def _start(
        self, operation: str, topic: str, parent: TraceParent, attributes: Mapping[str, str | int]
    ) -> Span:
        return self._tracer.start_span(
            f"{operation} {topic}",
            context=context_of(parent),
            kind=SpanKind.PRODUCER if operation == "send" else SpanKind.CONSUMER,
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.name": operation,
                "messaging.operation.type": operation,
                "messaging.destination.name": topic,
                **attributes,
            },
        )


class Sending:
    """What goes to inboxes: ``routes`` in their order, those of sampled letters parted by place."""

    def __init__(self, routes: Routes, spans: Mapping[bytes, Span]) -> None:
        self.routes = routes
        self._spans = spans

    def left_out(self, record: NewRecord, error: Exception) -> None:
        """An inbox did not take a record: that is how its span ends."""
        for name, content in record.headers:
            if name == TRACEPARENT and content in self._spans:
                _fail(self._spans[content], error)


def _about(item: Message | Letter) -> dict[str, str | int]:
    return {
        "messaging.kafka.message.key": item.user,
        "messaging.message.id": item.id,
        "messaging.message.body.size": len(item.data),
    }


@contextlib.contextmanager
def _ending(spans: list[Span]) -> Iterator[None]:
    """End them, with the block and with the error that leaves it."""
    try:
        yield
    except BaseException as error:
        for span in spans:
            _fail(span, error)
        raise
    finally:
        for span in spans:
            span.end()


def _fail(span: Span, error: BaseException) -> None:
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(StatusCode.ERROR, str(error))


def _continued(span: Span, before: str | None, spans: list[Span]) -> str | None:
    """What travels on: the span's place; where the sampler has said no, what came before as not sampled."""
    if not span.is_recording():
        return _unsampled(before)
    spans.append(span)
    return _header_of(span).decode()


def _header_of(span: Span) -> bytes:
    return traceparent(*place_of(span)).encode()


def _sampled(text: str | None) -> TraceParent | None:
    return None if text is None else sampled(text.encode())


def _unsampled(text: str | None) -> str | None:
    return None if text is None else text[: -len(_NOT_SAMPLED)] + _NOT_SAMPLED
