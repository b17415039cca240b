"""HTTP requests to events: media types, CloudEvents' three modes, sizes (pure)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import unquote

from tidewire.ingest.documents import cloudevent_of, parse_batch, parse_cloudevent, parse_event
from tidewire.ingest.errors import FieldProblem, InvalidEventsError
from tidewire.publishing.events import Event

from .problems import Problem, ProblemError

__all__ = [
    "CLOUDEVENT",
    "CLOUDEVENTS",
    "JSON",
    "MEDIA_TYPES",
    "RequestLimits",
    "events_of",
    "is_batch",
    "media_type_of",
]

JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"
MEDIA_TYPES = (JSON, CLOUDEVENT, CLOUDEVENTS)
_BINARY_MARK = "ce-specversion"
_TRACE = ("traceparent", "tracestate")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_ARRAY = re.compile(rb"\s*\[")


@dataclass(frozen=True, slots=True)
class RequestLimits:
    max_body_bytes: int
    max_event_bytes: int
    max_batch_events: int


def media_type_of(headers: Mapping[str, str]) -> str:
    """The body's media type; raises ``ProblemError`` (415) for one that is not taken."""
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    charset = _CHARSET.search(content_type)
    if media_type in MEDIA_TYPES and (not charset or charset[1].lower() in ("utf-8", "utf8")):
        return media_type
    raise ProblemError(
        Problem(
            "unsupported-media-type",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The media type is not taken",
            f"Content-Type is {content_type or 'missing'}: "
            f"send UTF-8 JSON as {', '.join(MEDIA_TYPES[:-1])} or {MEDIA_TYPES[-1]}",
            headers={"Accept-Post": ", ".join(MEDIA_TYPES)},
        )
    )


def events_of(
    media_type: str, headers: Mapping[str, str], body: bytes, limits: RequestLimits
) -> tuple[Event, ...]:
    """The events of a request, in its order. ``headers`` have lower-case names.

    A W3C trace context of the request is every event's that has none of its own. Raises
    ``NotJsonError``, ``InvalidEventsError``, ``TooManyEventsError``, ``ProblemError`` (413).
    """
    events = _read(media_type, headers, body, limits.max_batch_events)
    _check_sizes(events, limits.max_event_bytes, is_batch=is_batch(media_type, body))
    trace = {name: headers[name] for name in _TRACE if name in headers}
    if not trace:
        return events
    return tuple(e if e.trace else replace(e, trace=trace) for e in events)


def is_batch(media_type: str, body: bytes) -> bool:
    """Whether problems name an event by its index."""
    return media_type == CLOUDEVENTS or (media_type == JSON and _ARRAY.match(body) is not None)


def _read(
    media_type: str, headers: Mapping[str, str], body: bytes, max_events: int
) -> tuple[Event, ...]:
    if media_type == CLOUDEVENTS:
        return parse_batch(body, parse_cloudevent, max_events=max_events)
    if media_type == CLOUDEVENT:
        return (parse_cloudevent(body),)
    if _BINARY_MARK in headers:
        return (_binary_event(headers, body),)
    if _ARRAY.match(body):
        return parse_batch(body, parse_event, max_events=max_events)
    return (parse_event(body),)


def _binary_event(headers: Mapping[str, str], body: bytes) -> Event:
    """CloudEvents' HTTP binding, 3.1: attributes as percent-encoded ``ce-…`` headers, data as body."""
    data = body.strip()
    if not data:
        problem = FieldProblem("data", "is missing: send a body, or null to remove the entity")
        raise InvalidEventsError((problem,))
    attributes = {
        name.removeprefix("ce-"): unquote(text)
        for name, text in headers.items()
        if name.startswith("ce-") and name not in ("ce-data", "ce-datacontenttype")
    }
    return cloudevent_of(attributes, data)


def _check_sizes(events: tuple[Event, ...], max_bytes: int, *, is_batch: bool) -> None:
    problems = []
    for index, event in enumerate(events):
        size = len(event.data) if isinstance(event.data, bytes) else 0
        if size > max_bytes:
            problem = FieldProblem(
                "data",
                f"is {size} bytes, {max_bytes} are allowed: publish less, "
                "or a reference to where the rest lies",
            )
            problems.append(problem.inside(f"[{index}]") if is_batch else problem)
    if problems:
        raise ProblemError(
            Problem(
                "event-too-large",
                HTTPStatus(413),
                "The event is too large",
                "; ".join(map(str, problems)),
                errors=tuple(problems),
                outcome="too_large",
            )
        )
