"""HTTP requests to events: media types, CloudEvents' three modes, sizes (pure)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import unquote, unquote_to_bytes

from tidewire.ingest.documents import cloudevent_of, parse_batch, parse_cloudevent, parse_event
from tidewire.ingest.errors import FieldProblem, InvalidEventsError
from tidewire.ingest.user_events import parse_user_event
from tidewire.publishing.events import Event
from tidewire.publishing.user_events import UserEvent
from tidewire.targeting.errors import InvalidUserError
from tidewire.targeting.messages import MAX_DATA_BYTES
from tidewire.targeting.users import check_user

from .problems import Problem, ProblemError

__all__ = [
    "CLOUDEVENT",
    "CLOUDEVENTS",
    "JSON",
    "MEDIA_TYPES",
    "RequestLimits",
    "check_user_sizes",
    "events_of",
    "is_batch",
    "media_type_of",
    "traced",
    "user_events_of",
    "user_of",
]

E = TypeVar("E", Event, UserEvent)

JSON = "application/json"
CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENTS = "application/cloudevents-batch+json"
MEDIA_TYPES = (JSON, CLOUDEVENT, CLOUDEVENTS)
_BINARY_MARK = "ce-specversion"
_TRACE = ("traceparent", "tracestate")
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\";\s]+)", re.IGNORECASE)
_ARRAY = re.compile(rb"\s*\[")
_USER_PATH = re.compile(rb"/v1/users/(.*)/events", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    max_body_bytes: int
    max_event_bytes: int
    max_batch_events: int


def media_type_of(headers: Mapping[str, str], taken: Sequence[str] = MEDIA_TYPES) -> str:
    """The body's media type; raises ``ProblemError`` (415) for one that is not ``taken``."""
    content_type = headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    charset = _CHARSET.search(content_type)
    if media_type in taken and (not charset or charset[1].lower() in ("utf-8", "utf8")):
        return media_type
    raise ProblemError(
        Problem(
            "unsupported-media-type",
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The media type is not taken",
            f"Content-Type is {content_type or 'missing'}: send UTF-8 JSON as {' or '.join(taken)}",
            headers={"Accept-Post": ", ".join(taken)},
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
    return traced(events, headers)


def user_of(raw_path: bytes) -> str:
    """The user that a path names, percent-decoded once; raises ``InvalidEventsError``.

    Read from the path as it was sent: servers put a substitute where it is not UTF-8.
    """
    found = _USER_PATH.search(unquote_to_bytes(raw_path))
    assert found is not None, "the route's pattern says so"
    try:
        return check_user(found[1].decode())
    except UnicodeDecodeError:
        message = "is not UTF-8: percent-encode the UTF-8 bytes of the user id"
    except InvalidUserError as e:
        message = str(e)
    raise InvalidEventsError((FieldProblem("user", message),))


def user_events_of(
    user: str, headers: Mapping[str, str], body: bytes, limits: RequestLimits
) -> tuple[UserEvent, ...]:
    """The events for ``user``; raises like ``events_of``."""
    parse = partial(parse_user_event, user=user)
    many = is_batch(JSON, body)
    events = (
        parse_batch(body, parse, max_events=limits.max_batch_events) if many else (parse(body),)
    )
    check_user_sizes(events, limits, is_batch=many)
    return traced(events, headers)


def check_user_sizes(
    events: tuple[UserEvent, ...], limits: RequestLimits, *, is_batch: bool
) -> None:
    """Raises ``ProblemError`` (413)."""
    _check_sizes(events, min(limits.max_event_bytes, MAX_DATA_BYTES), is_batch=is_batch)


def traced(events: tuple[E, ...], headers: Mapping[str, str]) -> tuple[E, ...]:
    """The events, those without a trace under the request's."""
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


def _check_sizes(events: Sequence[Event | UserEvent], max_bytes: int, *, is_batch: bool) -> None:
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
