"""What the node knows of each stream's topic: asked of the broker off the event loop, and watched."""

import asyncio
import random
from collections.abc import Callable, Mapping

from tidewire.config.streams import Stream
from tidewire.kafka.errors import KafkaError
from tidewire.kafka.ports import TopicAdmin
from tidewire.kafka.records import TopicState
from tidewire.telemetry.logging import get_logger

from .core.feeds import Topology
from .daemon_call import call_in_daemon_thread

__all__ = ["Topologies"]

_POLL_INTERVAL = 30.0
_RETRY_FIRST = 0.2
_RETRY_MOST = 5.0

_log = get_logger(__name__)


class Topologies:
    """Topology by stream name, for the topics that exist; `watch` learns them and keeps asking."""

    def __init__(
        self,
        streams: Mapping[str, Stream],
        admin: TopicAdmin,
        *,
        on_learned: Callable[[str], None],
    ) -> None:
        self._streams = streams
        self._admin = admin
        self._on_learned = on_learned
        self.by_stream: dict[str, Topology] = {}

    async def watch(self) -> None:
        """Ask until cancelled: soon again while topics are missing, else every 30 s."""
        failures = 0
        while True:
            try:
                states = await call_in_daemon_thread(self._describe)
            except KafkaError as error:
                if failures == 0:
                    _log.warning("topics unknown", error=str(error))
                failures += 1
            else:
                failures = 0 if self._learn(states) else failures + 1
            await asyncio.sleep(_POLL_INTERVAL if failures == 0 else _back_off(failures))

    def _describe(self) -> Mapping[str, TopicState]:
        return self._admin.describe([stream.topic for stream in self._streams.values()])

    def _learn(self, states: Mapping[str, TopicState]) -> bool:
        """Take in what the broker says; returns whether every topic is there."""
        for name, stream in self._streams.items():
            state = states.get(stream.topic)
            if state is None or name in self.by_stream:
                continue
            self.by_stream[name] = Topology(
                stream.topic, state.topic_id or stream.epoch, state.partitions
            )
            _log.info("stream ready", stream=name, topic=stream.topic, partitions=state.partitions)
            self._on_learned(name)
        return len(self.by_stream) == len(self._streams)


def _back_off(failures: int) -> float:
    longest = min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(failures, 10))
    return random.uniform(_RETRY_FIRST, longest)  # noqa: S311 - jitter, not a secret
