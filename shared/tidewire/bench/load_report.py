"""What the load client counted and measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = ["Cpu", "Group", "Handshakes", "Largest", "Latency", "Report", "parse_report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Zeros where ``count`` is 0; quantiles are at most 2 % off, ``max_ms`` is exact."""

    count: int
    mean_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """The largest latency of each connection, over the connections that got a frame."""

    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Connections that were open at some time since the mark, and what they got.

    ``frames`` are data frames, ``bytes`` of all frames with their headers. ``latency`` has every
    stamp, of frames with more than 256 an even sample. ``early_stamps`` lie in the future and
    count as 0 ms: more than a few say that ``clock`` is not the publisher's.
    """

    connections: int
    frames: int
    events: int
    bytes: int
    least_frames: int
    most_frames: int
    early_stamps: int
    latency: Latency
    latency_most_by_connection: Largest


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshakes:
    """From connect() (with a connect rate: from when it was due) until ready."""

    count: int
    per_second: float
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """The load client's own, in seconds."""

    user: float
    system: float

    @property
    def total(self) -> float:
        return self.user + self.system


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything since the last mark; ``open`` and ``ready`` are as of now.

    ``closes`` by close code: 1005 had no code, 1006 no close frame. ``refused`` by HTTP status,
    ``unreachable`` (connect() failed) and ``unanswered`` (lost before the answer).
    """

    seconds: float
    open: int
    ready: int
    frames: int
    events: int
    bytes: int
    pings: int
    closes: Mapping[int, int]
    refused: Mapping[str, int]
    errors: Mapping[str, int]
    handshakes: Handshakes
    normal: Group
    slow: Group
    cpu: Cpu


def parse_report(line: bytes | str) -> Report:
    """Raises `KeyError`, `TypeError` or `ValueError` for a line that is no report."""
    found: dict[str, Any] = orjson.loads(line)
    if found.pop("event") != "report":
        raise ValueError("not a report")
    groups = found.pop("groups")
    handshakes = found.pop("handshakes")
    closes = {int(code): count for code, count in found.pop("closes").items()}
    return Report(
        **{
            **found,
            "closes": closes,
            "handshakes": Handshakes(**{**handshakes, "latency": Latency(**handshakes["latency"])}),
            "normal": _group(groups["normal"]),
            "slow": _group(groups["slow"]),
            "cpu": Cpu(**found["cpu"]),
        }
    )


def _group(found: dict[str, Any]) -> Group:
    return Group(
        **{
            **found,
            "latency": Latency(**found["latency"]),
            "latency_most_by_connection": Largest(**found["latency_most_by_connection"]),
        }
    )
