"""The topics of messages to users, told like streams so that they are made and checked like theirs (pure)."""

from typing import Final

from ..config.streams import Stream
from ..protocol.codes import Mode
from ..targeting.topics import DEAD_LETTERS, INBOX, TARGETED

__all__ = ["DEFAULT_SLOTS", "targeted_topics"]

_PARTITIONS: Final = 12
DEFAULT_SLOTS: Final = 16
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


def targeted_topics(*, slots: int = DEFAULT_SLOTS, replication: int = 1) -> dict[str, Stream]:
    """By a name that no stream can have; ``slots`` is how many nodes there may be.

    What is published is kept for as long as mailboxes keep it, an inbox only until its node has read it.
    """

    def topic(name: str, partitions: int, retention_ms: int) -> Stream:
        return Stream(
            topic=name,
            partitions=partitions,
            group="key",
            modes=(Mode.EVERY,),
            retention_ms=retention_ms,
            replication=replication,
        )

    return {
        "@me": topic(TARGETED, _PARTITIONS, _DAY_MS),
        "@inbox": topic(INBOX, slots, _HOUR_MS),
        "@dead-letters": topic(DEAD_LETTERS, 1, 7 * _DAY_MS),
    }
