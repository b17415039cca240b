"""The model of ``streams.yaml``: which topics clients may see, and by which rules."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..protocol.channels import STREAM_PATTERN
from ..protocol.codes import Mode

__all__ = ["EntityRule", "GroupRule", "Stream", "StreamsFile", "is_reserved"]

_RESERVED = "tidewire."

GroupRule = Literal["none", "key", "key-prefix"]
EntityRule = Annotated[str, Field(pattern=r"^(key|header:[^\s:]+|value:[^\s]+)$")]


class Stream(BaseModel):
    """One topic exposed to clients."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    topic: str = Field(
        description="Kafka topic that carries the stream",
        min_length=1,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
    )
    partitions: int = Field(
        default=1,
        ge=1,
        le=10_000,
        description="what `tidewire topics apply` makes; checked on a topic that exists",
    )
    group: GroupRule = Field(
        default="none",
        description="what STREAM/<group> selects and what chooses the partition: nothing, the key, "
        "or the key up to its first '/'",
    )
    entity: EntityRule = Field(
        default="key", description="what coalesces: key, header:<name> or value:<field>"
    )
    table: bool = Field(
        default=False, description="compacted topic whose entity is its key: snapshots are complete"
    )
    modes: tuple[Mode, ...] = Field(
        default=(Mode.LATEST,),
        min_length=1,
        description="delivery modes that clients may ask for; `every` on a compacted topic may miss "
        "events that compaction removed, so it is never on by itself",
    )
    min_interval_ms: int = Field(
        default=0,
        ge=0,
        le=3_600_000,
        description="shortest time between two flushes that is granted",
    )
    public: bool = Field(default=False, description="true: clients without a token may subscribe")
    retention_ms: int | None = Field(
        default=None,
        ge=-1,
        description="how long the topic that `topics apply` makes keeps events; -1: for ever; not for tables",
    )
    replication: int = Field(default=1, ge=1, le=32, description="replicas of a topic that is made")
    epoch: str = Field(
        default="0",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="the topic's epoch where the broker has no topic ids",
    )

    @model_validator(mode="after")
    def _rules_agree(self) -> Self:
        if self.table and self.entity != "key":
            raise ValueError("a table's entity is its key: set `entity: key` or `table: false`")
        if self.table and self.retention_ms not in (None, -1):
            raise ValueError(
                "a table keeps the newest event of every key: remove retention_ms or set `table: false`"
            )
        return self

    def group_of(self, key: str) -> str:
        """The part of a key that chooses the partition and that a channel can select."""
        if self.group == "key-prefix":
            return key.partition("/")[0]
        return key


def is_reserved(stream: str) -> bool:
    """Whether a stream's name is one of the system's own, which nobody configures."""
    return stream.startswith(_RESERVED)


def _free(name: str) -> str:
    if is_reserved(name):
        raise ValueError(
            f"names that begin with {_RESERVED!r} are those of the system's own streams: choose another"
        )
    return name


StreamName = Annotated[str, Field(pattern=f"^{STREAM_PATTERN}$"), AfterValidator(_free)]


class StreamsFile(BaseModel):
    """The whole file: streams by the name that clients use."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    streams: dict[StreamName, Stream] = Field(
        min_length=1,
        description="the streams, by the name that clients use",
        json_schema_extra={"additionalProperties": False},
    )
