"""What librdkafka handed out becomes a fetch: in order, once, bounded, and nothing of what is not read."""

from typing import NamedTuple

import confluent_kafka as ck
from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.confluent_reader import ConfluentReader
from tidewire.kafka.records import RecordPosition, TopicPartition
from tidewire.kafka.settings import KafkaSettings

READ = [TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)]
LET_GO = TopicPartition("b", 1)


class Error:
    def code(self) -> int:
        return int(ck.KafkaError._PARTITION_EOF)


class Message(NamedTuple):
    """As much of librdkafka's message as the reader asks for."""

    where: TopicPartition
    at: int
    what: str = "record"

    def topic(self) -> str:
        return self.where.topic

    def partition(self) -> int:
        return self.where.partition

    def offset(self) -> int:
        return self.at

    def error(self) -> Error | None:
        return Error() if self.what == "end" else None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000 + self.at

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes | None:
        return None

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        if self.what == "undecodable":
            raise SystemError
        return [("x", b"1"), ("null", None)] if self.what == "null" else None


def reader_of(messages: list[Message]) -> ConfluentReader:
    reader = ConfluentReader(KafkaSettings())
    reader._next = dict.fromkeys(READ, 0)
    reader._ready.extend(messages)
    return reader


places = st.sampled_from([*READ, LET_GO])
steps = st.tuples(
    places,
    st.integers(-2, 3),
    st.sampled_from(["record", "record", "record", "null", "undecodable", "end"]),
    st.integers(1, 4),
)


def messages_of(runs: list[tuple[TopicPartition, int, str, int]]) -> list[Message]:
    messages: list[Message] = []
    offsets = dict.fromkeys([*READ, LET_GO], 0)
    for where, step, what, length in runs:
        for _ in range(length):
            offsets[where] = max(0, offsets[where] + step)
            messages.append(Message(where, offsets[where], what))
    return messages


class Expected:
    """What comes of the messages, one after another."""

    def __init__(self, messages: list[Message]) -> None:
        self.following = dict.fromkeys(READ, 0)
        self.records: list[RecordPosition] = []
        self.undecodable: list[RecordPosition] = []
        for message in messages:
            if message.where in self.following and message.at >= self.following[message.where]:
                self.add(message)

    def add(self, message: Message) -> None:
        where = message.where
        self.following[where] = message.at + (message.what != "end")
        if message.what != "end":
            found = self.undecodable if message.what == "undecodable" else self.records
            found.append(RecordPosition(*where, message.at))


@given(st.lists(steps, max_size=20).map(messages_of), st.integers(1, 7))
def test_each_record_is_taken_once_in_order(messages: list[Message], max_records: int) -> None:
    expected = Expected(messages)
    reader = reader_of(messages)
    records: list[RecordPosition] = []
    undecodable: list[RecordPosition] = []
    moved: dict[TopicPartition, int] = {}
    while reader._ready:
        fetched = reader._take(max_records)
        assert len(fetched.records) <= max_records
        records += [RecordPosition(r.topic, r.partition, r.offset) for r in fetched.records]
        undecodable += fetched.undecodable
        moved |= fetched.next_offsets
    assert records == expected.records
    assert undecodable == expected.undecodable
    assert moved == {where: offset for where, offset in expected.following.items() if offset}


def test_record_is_plain_data_and_its_null_headers_are_empty() -> None:
    reader = reader_of([Message(READ[0], 7, "null"), Message(READ[0], 8)])
    first, second = reader._take(10).records
    assert first == ("a", 0, 7, 1_700_000_000_007, b"k", None, (("x", b"1"), ("null", b"")))
    assert second.headers == ()
