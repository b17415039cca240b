"""What a member of a consumer group is given and told, as plain frozen data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from .errors import KafkaError
from .records import Record, RecordPosition, TopicPartition

__all__ = ["GroupFetched", "GroupMembership", "Missed", "PartitionsMovedError"]


class PartitionsMovedError(KafkaError):
    """The group has given partitions to somebody else, who reads what is not committed once more."""


class Missed(NamedTuple):
    """Records that left the log before the group had read them: ``first`` ≤ offset < ``end``.

    ``end`` below ``first``: the log is shorter than it was, and is read again from its beginning.
    """

    topic: str
    partition: int
    first: int
    end: int

    @property
    def size(self) -> int:
        return max(0, self.end - self.first)


@dataclass(frozen=True, slots=True)
class GroupFetched:
    """One hand-over of a group's reader; `Fetched` says what its parts mean."""

    records: Mapping[TopicPartition, Sequence[Record]]
    next_offsets: Mapping[TopicPartition, int]
    undecodable: Sequence[RecordPosition] = ()
    missed: Sequence[Missed] = ()


@dataclass(frozen=True, slots=True)
class GroupMembership:
    """Who joins which group. Durations in seconds.

    With an ``instance_id`` the membership is static: who comes back under it within ``session_timeout``, after a
    crash for instance, finds its partitions, and nobody else notices. No two members may have the same one.
    """

    group_id: str
    instance_id: str | None = None
    session_timeout: float = 10.0
    heartbeat_interval: float = 1.0
    rebalance_timeout: float = 15.0
