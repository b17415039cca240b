"""What a stream's topic should look like, and how one that exists differs (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..config.streams import Stream, is_reserved
from ..kafka.records import TopicSpec, TopicState

__all__ = ["Difference", "Status", "TopicReport", "TopicsReport", "differences", "plan", "spec_of"]

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_TABLE_SETTINGS = {
    "cleanup.policy": "compact",
    # Clients that come back within a day still see removals; older positions get a snapshot.
    "delete.retention.ms": str(_DAY_MS),
    # The head stays whole for readers that want every event, and for nodes that fill their log.
    "min.compaction.lag.ms": str(5 * _MINUTE_MS),
    "max.compaction.lag.ms": str(_DAY_MS),
    # The newest segment is never compacted: roll it often, so that a snapshot reads little twice.
    "segment.ms": str(_HOUR_MS),
    "segment.bytes": str(64 * 1024 * 1024),
}


class Status(StrEnum):
    """Where a topic stands: ``missing`` and ``differs`` ask for somebody's hand."""

    OK = "ok"
    CREATED = "created"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting of a topic that is not as the stream needs it."""

    setting: str
    wanted: str
    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.found}, wanted {self.wanted}: {self.cure}"


@dataclass(frozen=True, slots=True)
class TopicReport:
    topic: str
    streams: tuple[str, ...]
    status: Status
    partitions: int
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """One entry per topic, sorted by its name."""

    topics: tuple[TopicReport, ...]

    @property
    def is_ok(self) -> bool:
        return all(topic.status in (Status.OK, Status.CREATED) for topic in self.topics)

    @property
    def created(self) -> tuple[str, ...]:
        return tuple(t.topic for t in self.topics if t.status is Status.CREATED)


def spec_of(stream: Stream, overrides: Mapping[str, str] | None = None) -> TopicSpec:
    """The topic that is made for a stream where there is none.

    ``overrides`` are settings that this broker needs otherwise, such as its segments' size.
    """
    if stream.table:
        settings = dict(_TABLE_SETTINGS)
        if stream.retention_ms not in (None, -1):  # one of the system's own
            settings["cleanup.policy"] = "compact,delete"
            settings["retention.ms"] = str(stream.retention_ms)
    else:
        settings = {"cleanup.policy": "delete"}
        if stream.retention_ms is not None:
            settings["retention.ms"] = str(stream.retention_ms)
    settings |= overrides or {}
    return TopicSpec(stream.topic, stream.partitions, settings, stream.replication)


def differences(stream: Stream, state: TopicState) -> tuple[Difference, ...]:
    """What of an existing topic breaks the stream's promises; tuning is the operator's."""
    found = []
    if state.partitions != stream.partitions:
        found.append(
            Difference(
                "partitions",
                str(stream.partitions),
                str(state.partitions),
                f"set `partitions: {state.partitions}` in streams.yaml, or use a new topic "
                "(keys stay in their partition, so a topic never grows)",
            )
        )
    spec = spec_of(stream)
    for setting in ("cleanup.policy", "retention.ms"):
        wanted, is_set = spec.config.get(setting), state.config.get(setting)
        if wanted is not None and is_set is not None and _parts(wanted) != _parts(is_set):
            cure = "set it with kafka-configs"
            if not is_reserved(stream.topic):
                cure += f", or change {_key_of(setting)} in streams.yaml"
            found.append(Difference(setting, wanted, is_set, cure))
    return tuple(found)


def plan(streams: Mapping[str, Stream], states: Mapping[str, TopicState]) -> TopicsReport:
    """How the topics of all streams stand; streams that share a topic must all agree with it."""
    by_topic: dict[str, dict[str, Stream]] = {}
    for name, stream in streams.items():
        by_topic.setdefault(stream.topic, {})[name] = stream
    return TopicsReport(
        tuple(
            _report(topic, sharing, states.get(topic))
            for topic, sharing in sorted(by_topic.items())
        )
    )


def _report(topic: str, sharing: Mapping[str, Stream], state: TopicState | None) -> TopicReport:
    names = tuple(sorted(sharing))
    first = sharing[names[0]]
    if state is None:
        # Streams of one topic are held against what the first of them would make.
        spec = spec_of(first)
        made = TopicState(topic, None, spec.partitions, spec.config)
        status, partitions = Status.MISSING, first.partitions
    else:
        made, status, partitions = state, Status.OK, state.partitions
    found = {d: None for name in names for d in differences(sharing[name], made)}
    if found:
        status = Status.DIFFERS
    return TopicReport(topic, names, status, partitions, tuple(found))


def _parts(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _key_of(setting: str) -> str:
    return {"cleanup.policy": "`table`", "retention.ms": "`retention_ms`"}[setting]
