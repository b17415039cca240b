"""What a stream's topic should look like, and how one that exists differs (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..config.streams import Stream, is_reserved
from ..kafka.records import TopicSpec, TopicState
from ..targeting.topics import INBOX

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
_COMPARED = ("cleanup.policy", "retention.ms")


class Status(StrEnum):
    """Where a topic stands: ``missing`` is made by `apply`, ``differs`` asks for somebody's hand.

    One that is missing differs, too, where what is asked for cannot be made.
    """

    OK = "ok"
    CREATED = "created"
    MISSING = "missing"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about a topic that is not as the stream needs it."""

    setting: str
    wanted: str
    found: str
    cure: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.found}, wanted {self.wanted}: {self.cure}"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """How a topic stands. ``wanted`` is what is made where it is missing, ``found`` what there is.

    ``remarks`` are what may be as it is, or cannot be told.
    """

    topic: str
    streams: tuple[str, ...]
    status: Status
    wanted: TopicSpec
    found: TopicState | None = None
    differences: tuple[Difference, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def partitions(self) -> int:
        return self.wanted.partitions if self.found is None else self.found.partitions

    @property
    def replicas(self) -> int | None:
        """None where the broker does not tell."""
        return self.wanted.replication if self.found is None else self.found.replication

    @property
    def cleanup_policy(self) -> str | None:
        """None where the broker does not tell."""
        return (self.wanted if self.found is None else self.found).config.get("cleanup.policy")


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

    @property
    def missing(self) -> tuple[TopicReport, ...]:
        """Those that can be made."""
        return tuple(t for t in self.topics if t.status is Status.MISSING)

    @property
    def differing(self) -> tuple[TopicReport, ...]:
        """Those that somebody has to look after."""
        return tuple(t for t in self.topics if t.status is Status.DIFFERS)


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
                _cure_of_partitions(stream.topic, state.partitions),
            )
        )
    spec = spec_of(stream)
    for setting in _COMPARED:
        wanted, is_set = spec.config.get(setting), state.config.get(setting)
        if wanted is not None and is_set is not None and _parts(wanted) != _parts(is_set):
            cure = "set it with kafka-configs"
            if not is_reserved(stream.topic):
                cure += f", or change {_key_of(setting)} in streams.yaml"
            found.append(Difference(setting, wanted, is_set, cure))
    return tuple(found)


def plan(
    streams: Mapping[str, Stream],
    states: Mapping[str, TopicState],
    *,
    brokers: int | None = None,
) -> TopicsReport:
    """How the topics of all streams stand; streams that share a topic must all agree with it.

    ``brokers`` is how many there are to keep replicas; None: nobody knows.
    """
    by_topic: dict[str, dict[str, Stream]] = {}
    for name, stream in streams.items():
        by_topic.setdefault(stream.topic, {})[name] = stream
    return TopicsReport(
        tuple(
            _missing(topic, sharing, brokers)
            if (state := states.get(topic)) is None
            else _existing(sharing, state)
            for topic, sharing in sorted(by_topic.items())
        )
    )


def _missing(topic: str, sharing: Mapping[str, Stream], brokers: int | None) -> TopicReport:
    """Streams of one topic are held against what would be made for all of them."""
    names = tuple(sorted(sharing))
    together = _together([sharing[name] for name in names])
    spec = spec_of(together)
    found = _among(sharing, TopicState(topic, None, spec.partitions, spec.config))
    if brokers is not None and spec.replication > brokers:
        found += (_too_few(together, brokers),)
    status = Status.DIFFERS if found else Status.MISSING
    return TopicReport(topic, names, status, spec, differences=found)


def _existing(sharing: Mapping[str, Stream], state: TopicState) -> TopicReport:
    names = tuple(sorted(sharing))
    spec = spec_of(_together([sharing[name] for name in names]))
    found = _among(sharing, state)
    return TopicReport(
        state.name,
        names,
        Status.DIFFERS if found else Status.OK,
        spec,
        state,
        found,
        tuple(_remarks(spec, state)),
    )


def _together(sharing: Sequence[Stream]) -> Stream:
    """The streams of one topic as one: the first, with most replicas and with a retention that is given."""
    first = sharing[0]
    given = (s.retention_ms for s in sharing if s.table == first.table)
    return first.model_copy(
        update={
            "replication": max(stream.replication for stream in sharing),
            "retention_ms": next((ms for ms in given if ms is not None), None),
        }
    )


def _among(sharing: Mapping[str, Stream], state: TopicState) -> tuple[Difference, ...]:
    found = {d: None for name in sorted(sharing) for d in differences(sharing[name], state)}
    return tuple(found)


def _too_few(stream: Stream, brokers: int) -> Difference:
    cure = "ask for fewer replicas with --replication"
    if not is_reserved(stream.topic):
        cure = f"set `replication: {brokers}` in streams.yaml"
    return Difference(
        "brokers", str(stream.replication), str(brokers), f"start more brokers, or {cure}"
    )


def _remarks(spec: TopicSpec, state: TopicState) -> Iterator[str]:
    """What is no difference: replicas are the operator's, and what nobody tells cannot be compared."""
    if state.replication is None:
        yield "replicas: the broker does not tell"
    elif state.replication != spec.replication:
        yield (
            f"replicas: {state.replication}, a new topic would have {spec.replication}: "
            "kafka-reassign-partitions changes them"
        )
    for setting in _COMPARED:
        if setting in spec.config and setting not in state.config:
            yield f"{setting}: the broker does not tell"


def _cure_of_partitions(topic: str, found: int) -> str:
    if topic == INBOX:
        return f"say `--slots {found}`, or give it more with kafka-topics (it is one for each node)"
    if is_reserved(topic):
        return "services need it so: name another topic in their settings, or make this one anew"
    return (
        f"set `partitions: {found}` in streams.yaml, or use a new topic "
        "(keys stay in their partition, so a topic never grows)"
    )


def _parts(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(","))


def _key_of(setting: str) -> str:
    return {"cleanup.policy": "`table`", "retention.ms": "`retention_ms`"}[setting]
