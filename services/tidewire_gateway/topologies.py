"""What the node knows of each stream's topic: asked of the broker off the event loop, and watched."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from tidewire.config.streams import Stream, is_reserved
from tidewire.kafka.errors import KafkaError
from tidewire.kafka.ports import TopicAdmin
from tidewire.kafka.records import TopicState
from tidewire.telemetry.logging import get_logger

from .core.feeds import Topology
from .daemon_call import call_in_daemon_thread

__all__ = ["TopicChange", "Topologies"]

_RETRY_FIRST = 0.2
_RETRY_MOST = 5.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TopicChange:
    """A stream's topic is not what it was. ``carry_out`` makes the stream's `Topology` say so."""

    stream: str
    is_recreated: bool
    carry_out: Callable[[], None]


class Topologies:
    """Topology by stream name, for the topics that exist; `watch` learns them and keeps asking.

    ``on_changed`` is called before the topology says what has changed. ``declares_partitions``: the streams say how many
    their topics were made with.
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        admin: TopicAdmin,
        *,
        poll_interval: float,
        on_learned: Callable[[str], None],
        on_changed: Callable[[TopicChange], None],
        declares_partitions: bool = True,
    ) -> None:
        self._declares_partitions = declares_partitions
        self._streams = streams
        self._admin = admin
        self._poll_interval = poll_interval
        self._on_learned = on_learned
        self._on_changed = on_changed
        self.by_stream: dict[str, Topology] = {}

    async def watch(self) -> None:
        """Ask until cancelled: soon again while topics of configured streams are missing, else every ``poll_interval`` seconds."""
        failures = 0
        while True:
            try:
                is_complete = await self.look()
            except KafkaError as error:
                if failures == 0:
                    _log.warning("topics unknown", error=str(error))
                failures += 1
            else:
                failures = 0 if is_complete else failures + 1
            await asyncio.sleep(self._poll_interval if failures == 0 else _back_off(failures))

    async def look(self) -> bool:
        """Ask once, and take in what has changed; whether every topic of a configured stream is there. Raises ``KafkaError``."""
        return self._learn(await call_in_daemon_thread(self._describe))

    def _describe(self) -> Mapping[str, TopicState]:
        return self._admin.describe([stream.topic for stream in self._streams.values()])

    def _learn(self, states: Mapping[str, TopicState]) -> bool:
        for name, stream in self._streams.items():
            state = states.get(stream.topic)
            if state is None:
                continue
            epoch = state.topic_id or stream.epoch
            topology = self.by_stream.get(name)
            if topology is None:
                self._add(name, stream, Topology(stream.topic, epoch, state.partitions))
            elif (epoch, state.partitions) != (topology.epoch, topology.partitions):
                self._change(name, topology, epoch, state.partitions)
        return all(name in self.by_stream or is_reserved(name) for name in self._streams)

    def _add(self, name: str, stream: Stream, topology: Topology) -> None:
        topology.declared = stream.partitions if self._declares_partitions else 0
        self.by_stream[name] = topology
        _log.info("stream ready", stream=name, topic=topology.topic, partitions=topology.partitions)
        if topology.is_regrouped:
            _warn_of_partitions(name, topology)
        self._on_learned(name)

    def _change(self, name: str, topology: Topology, epoch: str, partitions: int) -> None:
        is_recreated = epoch != topology.epoch
        _log.error(
            "topic was recreated" if is_recreated else "partition count of a topic has changed",
            stream=name,
            topic=topology.topic,
            before=topology.partitions,
            partitions=partitions,
        )
        carry_out = partial(_carry_out, topology, epoch, partitions)
        self._on_changed(TopicChange(name, is_recreated, carry_out))
        if topology.is_regrouped:
            _warn_of_partitions(name, topology)


def _carry_out(topology: Topology, epoch: str, partitions: int) -> None:
    topology.epoch = epoch
    topology.partitions = partitions


def _warn_of_partitions(name: str, topology: Topology) -> None:
    _log.warning(
        "topic has another partition count than its stream: groups are read from two partitions; "
        "make a new stream, or correct `partitions` if the topic always had this many",
        stream=name,
        topic=topology.topic,
        declared=topology.declared,
        partitions=topology.partitions,
    )


def _back_off(failures: int) -> float:
    longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(failures, 10))
    return random.uniform(_RETRY_FIRST, longest)  # noqa: S311 - jitter, not a secret
