"""Which changes of a flight's row are worth telling a follower, and in which words (pure)."""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..events import Status

__all__ = ["DELAY_STEPS", "Stage", "notice_of", "stage_of"]

DELAY_STEPS: Final = (15, 30, 60, 90)
"""Minutes of known delay that are told; from the last one on, each full hour is."""
_HOUR: Final = 60
_LONGEST: Final = 32  # characters; rows may be anybody's
_FACTS: Final = ("carrier", "flight", "dest", "sched_dep", "dep_delay", "arr_delay", "sim")


@dataclass(frozen=True, slots=True)
class Stage:
    """How far a flight is, as coarsely as followers are told; ``step`` is in minutes, 0: not noteworthy."""

    sched_dep: int
    status: Status
    step: int = 0


def stage_of(row: object) -> Stage | None:
    """The stage of a row of stream `flights`; None where it is no row that this example knows."""
    if not isinstance(row, Mapping):
        return None
    try:
        status = Status(str(row.get("status")))
    except ValueError:
        return None
    is_late = status is Status.DELAYED
    return Stage(_whole(row.get("sched_dep")), status, _step(row) if is_late else 0)


def notice_of(
    flight: str, before: Stage | None, row: Mapping[str, Any], *, now: Stage
) -> dict[str, Any] | None:
    """What followers of ``flight`` are told of ``row``, which is at stage ``now``; None: nothing.

    ``before`` is the stage of its row before that one; None: there was none, or it is not known.
    """
    text = _text(before, row, now)
    if before == now or text is None:
        return None
    facts = {name: row[name] for name in _FACTS if _is_plain(row.get(name))}
    return facts | {"key": flight, "kind": now.status.value, "text": text}


def _text(before: Stage | None, row: Mapping[str, Any], now: Stage) -> str | None:
    match now.status:
        case Status.SCHEDULED | Status.DELAYED if now.step == 0:
            was_late = before is not None and before.step > 0
            is_same_day = before is not None and before.sched_dep == now.sched_dep
            return "On time again" if was_late and is_same_day else None
        case Status.DELAYED:
            return f"{_duration(_whole(row.get('dep_delay')))} late so far"
        case Status.CANCELLED:
            return "Cancelled"
        case Status.DIVERTED:
            return "Diverted to another airport"
        case Status.DEPARTED:
            return f"Left {_punctuality(row.get('dep_delay'))}"
        case Status.ARRIVED:
            way = " after a diversion" if row.get("diverted") is True else ""
            return f"Landed{way} {_punctuality(row.get('arr_delay'))}"
        case _:
            return None


def _step(row: Mapping[str, Any]) -> int:
    delay = _whole(row.get("dep_delay"))
    if delay >= DELAY_STEPS[-1]:
        return max(DELAY_STEPS[-1], delay // _HOUR * _HOUR)
    passed = bisect_right(DELAY_STEPS, delay)
    return DELAY_STEPS[passed - 1] if passed else 0


def _punctuality(minutes: object) -> str:
    delay = _whole(minutes)
    if delay == 0:
        return "on time"
    return f"{_duration(abs(delay))} {'late' if delay > 0 else 'early'}"


def _duration(minutes: int) -> str:
    """``25 min``, ``2 h`` or ``1 h 05``, as the page writes it."""
    hours, rest = divmod(minutes, _HOUR)
    if hours == 0:
        return f"{rest} min"
    return f"{hours} h" if rest == 0 else f"{hours} h {rest:02}"


def _whole(value: object) -> int:
    """Rows may be anybody's: what is no sensible number of minutes or ms counts as 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return round(value) if abs(value) < 1e15 else 0  # NaN compares false


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST
    return isinstance(value, int | float) and not isinstance(value, bool)
