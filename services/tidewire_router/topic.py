"""The targeted topic as the broker describes it: which one it is, and how many partitions it has."""

from collections.abc import Callable
from typing import NamedTuple

from tidewire.kafka.caller_thread import CallerThread
from tidewire.kafka.errors import UnknownTopicError
from tidewire.kafka.ports import TopicAdmin

from .errors import TopicChangedError

__all__ = ["TargetedTopic", "TopicFacts"]


class TopicFacts(NamedTuple):
    """``epoch`` names the topic among all that ever had its name."""

    epoch: str
    partitions: int


class TargetedTopic:
    """``epoch`` stands for the topic's id where the broker has none."""

    def __init__(self, name: str, make_admin: Callable[[], TopicAdmin], *, epoch: str) -> None:
        self._name = name
        self._make_admin = make_admin
        self._epoch = epoch
        self._admin: TopicAdmin | None = None
        self._thread = CallerThread("tidewire-router-admin")

    async def look(self) -> TopicFacts:
        """Ask the broker. Raises `KafkaError`."""
        return await self._thread.call(self._look)

    async def check(self, known: TopicFacts) -> None:
        """Ask whether it is still the same. Raises `KafkaError`, `TopicChangedError`."""
        facts = await self.look()
        if facts.epoch != known.epoch:
            raise TopicChangedError(
                f"topic {self._name!r} was made anew: its mailboxes begin anew too; start the router again"
            )
        if facts.partitions != known.partitions:
            raise TopicChangedError(
                f"topic {self._name!r} has {facts.partitions} partitions and had {known.partitions}: "
                "users have moved between partitions; see what a restart says"
            )

    async def close(self) -> None:
        """Cancelled, it waits no longer for a question that is not answered."""
        try:
            if self._admin is not None:
                await self._thread.call(self._admin.close)
        finally:
            self._thread.stop()

    def _look(self) -> TopicFacts:
        if self._admin is None:
            self._admin = self._make_admin()
        state = self._admin.describe([self._name]).get(self._name)
        if state is None:
            raise UnknownTopicError(
                f"topic {self._name!r} does not exist: make it first", topic=self._name
            )
        return TopicFacts(state.topic_id or self._epoch, state.partitions)
