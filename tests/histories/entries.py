"""The lines of a history. Instants are monotonic seconds of one machine, the same for all its processes."""

from hashlib import blake2b

import msgspec

__all__ = [
    "Addressed",
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
    "Revoked",
    "Run",
    "Sample",
    "Stopped",
    "Tenure",
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
    """The first line of a client: its name, and what the wall clock (ms since 1970) said then.

    ``user`` is whom its token names, and whose channel `@me` is therefore.
    """

    name: str
    wall_ms: float
    user: str | None = None


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

    ``group`` is the rule of ``streams.yaml``; of stream `@me` it is `user`. ``epoch`` is what positions call this life.
    """

    stream: str
    epoch: str
    partitions: int
    group: str = "none"


class Published(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag="record",
    gc=False,
    omit_defaults=True,
):
    """A record as it stands in Kafka, or stood before retention or compaction took it.

    ``key`` is the entity, ``ts`` ms since 1970, ``digest`` that of the value, None for a removal.
    Of a message ``to`` a user ``key`` is its collapse key, where it ``collapses``, else its id; one that is not
    kept (ttl 0) is delivered at once or never.
    """

    stream: str
    epoch: str
    partition: int
    offset: int
    key: str
    ts: int
    digest: str | None
    to: str = ""
    is_kept: bool = True
    collapses: bool = False


class Tenure(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="tenure"):
    """One holder of an inbox: a node under a node epoch, until the monotonic second ``over_at``."""

    node: str
    node_epoch: str
    slot: int
    over_at: float


class Addressed(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="addressed"):
    """A message that is not kept was written to the inbox of a holder."""

    node_epoch: str
    epoch: str
    partition: int
    offset: int


class Revoked(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="revoked"):
    """All tokens that a user had were revoked; ``at``: the broker has acknowledged it. ``until``: it was about to be lifted."""

    user: str
    at: float
    until: float | None = None


LogEntry = Topic | Published | Tenure | Addressed | Revoked


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
