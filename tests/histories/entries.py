"""The lines of a history. Instants are monotonic seconds of one machine, the same for all its processes."""

from hashlib import blake2b

import msgspec

__all__ = [
    "Asked",
    "Begun",
    "ClientEntry",
    "Closed",
    "Entry",
    "Got",
    "LogEntry",
    "Opened",
    "Position",
    "Published",
    "Refused",
    "Run",
    "Sample",
    "Stopped",
    "Topic",
    "digest",
]


class Position(msgspec.Struct, frozen=True):
    """A position as it travels: topic epoch, per partition the next offset."""

    epoch: str
    offsets: dict[int, int]


class Entry(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str.lower, omit_defaults=True
):
    """Something that happened to a client, ``at`` an instant."""

    at: float


class Begun(Entry, frozen=True, kw_only=True):
    """The first line of a client: its name, and what the wall clock (ms since 1970) said then."""

    name: str
    wall_ms: float


class Opened(Entry, frozen=True, kw_only=True):
    """A WebSocket stands; ``connection`` counts those of this client."""

    connection: int
    url: str


class Refused(Entry, frozen=True, kw_only=True):
    """An attempt that led to no WebSocket."""

    reason: str
    status: int | None = None


class Asked(Entry, frozen=True, kw_only=True):
    """A `subscribe` request; ``subscription`` counts the client's own, through all connections."""

    connection: int
    id: int
    subscription: int
    channel: str
    mode: str
    interval_ms: int | None = None
    snapshot: bool = True
    since: Position | None = None


class Got(Entry, frozen=True, kw_only=True):
    """A frame arrived: ``length`` bytes from ``start`` on in the part's ``frames``."""

    connection: int
    start: int
    length: int


class Closed(Entry, frozen=True, kw_only=True):
    """A connection is over; ``is_own``: this client ended it. 1006: without a close frame."""

    connection: int
    code: int
    reason: str = ""
    is_own: bool = False


class Stopped(Entry, frozen=True, kw_only=True):
    """The client was told to end; up to here it wanted everything."""


ClientEntry = Begun | Opened | Refused | Asked | Got | Closed | Stopped


class Topic(msgspec.Struct, frozen=True, tag_field="type", tag="topic"):
    """One life of a stream's topic, before any record of it; later lives come later in the file.

    ``group`` is the rule of ``streams.yaml``. ``epoch`` is what positions call this life.
    """

    stream: str
    epoch: str
    partitions: int
    group: str = "none"


class Published(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="record", gc=False
):
    """A record as it stands in Kafka, or stood before retention or compaction took it.

    ``key`` is the entity, ``ts`` ms since 1970, ``digest`` that of the value, None for a removal.
    """

    stream: str
    epoch: str
    partition: int
    offset: int
    key: str
    ts: int
    digest: str | None


LogEntry = Topic | Published


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes that wait in a node for a connection; "" where only the largest of all is known."""

    at: float
    node: str
    bytes: int
    connection: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What the history is held to.

    ``quiet_at``: since when nothing was published and nothing disturbed, long enough for everybody to
    come level before they stopped; None: nobody need have come level. ``most_bytes`` bounds samples.
    """

    quiet_at: float | None = None
    most_bytes: int | None = None


def digest(value: bytes | memoryview | None) -> str | None:
    """What stands for a record's value, byte for byte."""
    return None if value is None else blake2b(value, digest_size=9).hexdigest()
