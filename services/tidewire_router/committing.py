"""Offsets to the group: what is settled, a few times a second."""

import asyncio
from collections.abc import Callable, Mapping

from tidewire.kafka.errors import KafkaError
from tidewire.kafka.groups import PartitionsMovedError
from tidewire.kafka.ports import GroupReader
from tidewire.kafka.records import TopicPartition
from tidewire.telemetry.logging import get_logger

from .instruments import Failure, Instruments

__all__ = ["Committing"]

_log = get_logger(__name__)
Watermarks = Callable[[], Mapping[TopicPartition, int]]


class Committing:
    """One commit at a time, so that none is under way when partitions move."""

    def __init__(
        self,
        reader: GroupReader,
        watermarks: Watermarks,
        instruments: Instruments,
        *,
        interval: float,
    ) -> None:
        self._reader = reader
        self._watermarks = watermarks
        self._instruments = instruments
        self._interval = interval
        self._committed: dict[TopicPartition, int] = {}
        self._turn = asyncio.Lock()
        self._due = asyncio.Event()

    def settled(self) -> None:
        """Something is to be committed, soon."""
        self._due.set()

    async def run(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            if not await self._commit(self._watermarks):
                self._due.set()
            await asyncio.sleep(self._interval)

    async def commit_last(self, watermarks: Mapping[TopicPartition, int], within: float) -> None:
        """Commit before partitions are let go; what fails is read once more by their next owner."""
        try:
            async with asyncio.timeout(within):
                await self._commit(lambda: watermarks)
        except TimeoutError:
            _log.warning("offsets are not committed: some messages will be routed twice")

    def forget(self) -> None:
        """The partitions may come back with other offsets."""
        self._committed.clear()

    async def _commit(self, watermarks: Watermarks) -> bool:
        """Whether it succeeded, or need not be repeated."""
        async with self._turn:
            offsets = {
                tp: offset
                for tp, offset in watermarks().items()
                if self._committed.get(tp) != offset
            }
            if not offsets:
                return True
            try:
                await self._reader.commit(offsets)
            except PartitionsMovedError:
                return True
            except KafkaError as error:
                self._instruments.failed(Failure.KAFKA)
                _log.warning("offsets are not committed yet", reason=str(error))
                return False
            self._committed |= offsets
            return True
