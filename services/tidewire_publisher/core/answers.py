"""What became of a request's events, as the answer's members (pure)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tidewire.config.streams import Stream
from tidewire.errors import TidewireError
from tidewire.ingest.errors import FieldProblem, InvalidEventsError
from tidewire.kafka.records import RecordPosition
from tidewire.publishing.errors import InvalidEventError
from tidewire.publishing.events import Destination, Event, EventLimits, Origin, build_record
from tidewire.publishing.user_events import UserEvent, build_user_record, targeted

from .problems import Problem, problem_of

__all__ = ["Outcome", "check_events", "check_user_events", "partly_written", "written"]

Outcome = RecordPosition | TidewireError
_ANY_ORIGIN = Origin(source="check", event_id="check", time="2013-01-01T00:00:00Z")


_ANYWHERE = targeted("check", 1)
E = TypeVar("E", Event, UserEvent)


def check_events(
    name: str, rules: Stream, events: Sequence[Event], limits: EventLimits, *, is_batch: bool
) -> None:
    """Raise ``InvalidEventsError`` with every event at fault, before any of them is written."""
    to = Destination.of_stream(name, rules, rules.partitions)
    _check(events, lambda event: build_record(event, to, _ANY_ORIGIN, limits), is_batch=is_batch)


def check_user_events(events: Sequence[UserEvent], limits: EventLimits, *, is_batch: bool) -> None:
    """Like ``check_events``, for events to users."""
    _check(
        events,
        lambda event: build_user_record(event, _ANYWHERE, _ANY_ORIGIN, limits),
        is_batch=is_batch,
    )


def _check(events: Sequence[E], build: Callable[[E], object], *, is_batch: bool) -> None:
    problems = []
    for index, event in enumerate(events):
        try:
            build(event)
        except InvalidEventError as e:
            problem = FieldProblem(e.field, e.message)
            problems.append(problem.inside(f"[{index}]") if is_batch else problem)
    if problems:
        raise InvalidEventsError(tuple(problems))


def written(outcomes: Sequence[RecordPosition]) -> Mapping[str, Any]:
    """The positions, in the order of the request."""
    return {"events": [position._asdict() for position in outcomes]}


def partly_written(outcomes: Sequence[Outcome]) -> tuple[Problem, Mapping[str, Any]]:
    """The problem of the first event that failed, and the positions of those that did not.

    ``events`` has null for an event that failed, so that a client repeats these and no other.
    """
    failures = {i: o for i, o in enumerate(outcomes) if isinstance(o, TidewireError)}
    problem = problem_of(next(iter(failures.values())))
    if len(outcomes) == 1:
        return problem, {}
    count = len(outcomes) - len(failures)
    return replace(
        problem,
        detail=f"{count} of {len(outcomes)} events were written, repeat the others: {problem.detail}",
        errors=tuple(FieldProblem(f"[{i}]", str(error)) for i, error in failures.items()),
    ), {"events": [o._asdict() if isinstance(o, RecordPosition) else None for o in outcomes]}
