"""A record of `tidewire.system`, as docs/observability.md writes it (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .._version import __version__

__all__ = ["Figures", "Observation", "Process", "State", "Vitals", "key_of", "system_record"]

Figures = Mapping[str, Any]
"""Of one service, in JSON's words."""


class State(StrEnum):
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    OVERLOADED = "overloaded"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Process:
    """``internal``: URL where operators reach it. ``started_at_ms``: Unix."""

    service: str
    instance: str
    internal: str
    started_at_ms: int


@dataclass(frozen=True, slots=True)
class Vitals:
    """``cpu_cores``: cores used since the last look. ``memory``: resident bytes. ``loop_lag``: seconds, at worst."""

    cpu_cores: float
    memory: int
    loop_lag: float


@dataclass(frozen=True, slots=True)
class Observation:
    """How a process is at a moment."""

    state: State
    figures: Figures


def key_of(process: Process) -> str:
    return f"{process.service}/{process.instance}"


def system_record(
    process: Process,
    observed: Observation,
    vitals: Vitals,
    *,
    alarms: Sequence[Mapping[str, Any]] = (),
    at_ms: int,
    every_ms: int,
) -> dict[str, Any]:
    """``every_ms``: when the next one may be expected."""
    return {
        "service": process.service,
        "instance": process.instance,
        "version": __version__,
        "at_ms": at_ms,
        "started_at_ms": process.started_at_ms,
        "every_ms": every_ms,
        "state": observed.state.value,
        "internal": process.internal,
        "cpu_cores": round(vitals.cpu_cores, 3),
        "memory_bytes": vitals.memory,
        "loop_lag_s": round(vitals.loop_lag, 4),
        "figures": dict(observed.figures),
        "alarms": [dict(alarm) for alarm in alarms],
    }
