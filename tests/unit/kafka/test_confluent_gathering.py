"""When the reader's thread lets records gather, and when it takes what is there at once."""

from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest

from tidewire.kafka import confluent_reader
from tidewire.kafka.confluent_reader import ConfluentReader
from tidewire.kafka.settings import KafkaSettings

RECORD = SimpleNamespace(error=lambda: None)
END = SimpleNamespace(error=lambda: "the end of a partition")


class Client:
    """As much of librdkafka's consumer as the thread asks for; nothing is waited for."""

    def __init__(self) -> None:
        self.queued: deque[Any] = deque()

    def poll(self, _wait: float) -> Any:
        return self.queued.popleft() if self.queued else None

    def consume(self, num_messages: int, timeout: float) -> list[Any]:
        assert timeout == 0
        return [self.queued.popleft() for _ in range(min(num_messages, len(self.queued)))]


class Clock:
    """Stands in for `time`: a sleep takes no time, and is noted."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(confluent_reader, "time", clock)
    return clock


class Thread:
    """The reader's thread, call by call."""

    def __init__(self) -> None:
        self.client = Client()
        self._reader = ConfluentReader(KafkaSettings())
        self._reader._client = self.client  # type: ignore[assignment] # all that is asked of it

    def consume(self, *queued: Any, limit: int = 10, gather: float = 0.02) -> int:
        """How many messages are taken when so many more are there."""
        self.client.queued += queued
        self._reader._ready.clear()
        self._reader._consume(limit, 0.1, gather)
        return len(self._reader._ready)


def test_others_gather_after_what_there_was_is_taken(clock: Clock) -> None:
    thread = Thread()
    assert thread.consume(RECORD, RECORD) == 2
    assert clock.slept == []
    clock.now += 0.005
    assert thread.consume(RECORD, RECORD, RECORD) == 3
    assert clock.slept == pytest.approx([0.015])


def test_each_call_says_how_long_they_may(clock: Clock) -> None:
    thread = Thread()
    thread.consume(RECORD, gather=0.02)
    thread.consume(RECORD, gather=0.005)
    thread.consume(RECORD, gather=0.0)
    thread.consume(RECORD, gather=0.02)
    assert clock.slept == pytest.approx([0.005, 0.02])


def test_record_after_a_rest_is_taken_at_once(clock: Clock) -> None:
    thread = Thread()
    thread.consume(RECORD)
    clock.now += 1.0
    assert thread.consume(RECORD) == 1
    assert clock.slept == []


def test_backlog_is_taken_without_a_rest(clock: Clock) -> None:
    thread = Thread()
    taken = [thread.consume(*[RECORD] * 25), thread.consume(), thread.consume()]
    assert taken == [10, 10, 5]
    assert clock.slept == []


def test_end_of_a_partition_lets_nobody_wait(clock: Clock) -> None:
    thread = Thread()
    thread.consume(END)
    assert thread.consume(RECORD) == 1
    assert clock.slept == []


def test_nothing_is_waited_for_where_there_was_nothing(clock: Clock) -> None:
    thread = Thread()
    assert thread.consume() == 0
    assert thread.consume(RECORD) == 1
    assert clock.slept == []
