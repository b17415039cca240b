"""Lets an aiokafka consumer pass over what it cannot decode, instead of standing still before it.

By itself aiokafka raises in the middle of a hand-over, without a word of where, and would raise again at
every attempt: a fetch always begins with the batch that holds the offset. It unpacks an answer only when
it hands it over and keeps its place by what its batches say; so the batches are all that is replaced.
"""

import asyncio
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as ClientPartition
from aiokafka import errors as kafka
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import decode_varint_py

from .records import RecordPosition, TopicPartition

__all__ = ["pass_over_undecodable"]

_BASE_AND_LENGTH = struct.Struct(">qi")
_MAGIC_AT = 16
_LAST_OFFSET_DELTA = struct.Struct(">i")
_LAST_OFFSET_DELTA_AT = 23
_RECORD_COUNT = struct.Struct(">i")
_RECORD_COUNT_AT = 57
_LEAST_BYTES = 26  # of the oldest format's smallest message
_HEADER_BYTES = 61
_KNOWN_CODECS = 4
_AT_ONCE = 0.005
_PAUSE = 0.01
"""A broker without long polls answers "nothing" at once, and would be asked thousands of times a second."""

OnSkipped = Callable[[RecordPosition], None]


def pass_over_undecodable(client: AIOKafkaConsumer, on_skipped: OnSkipped) -> None:
    """Have a started consumer skip what cannot be decoded and tell ``on_skipped`` of each."""
    answers = _Answers(on_skipped)
    client._fetcher._client = _Tap(client._fetcher._client, answers)
    client._fetcher._records = answers


class _Tap:
    """The fetcher's client, which keeps the bytes of each answer for the unpacking."""

    def __init__(self, client: Any, answers: "_Answers") -> None:
        self._client = client
        self._answers = answers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def send(self, node: Any, request: Any, **options: Any) -> Any:
        if not isinstance(request, FetchRequest):
            return await self._client.send(node, request, **options)
        asked_at = time.monotonic()
        answer = await self._client.send(node, request, **options)
        raw = {
            ClientPartition(topic, partition): rest[-1]
            for topic, partitions in answer.topics
            for partition, *rest in partitions
        }
        if not any(raw.values()) and time.monotonic() - asked_at < _AT_ONCE:
            await asyncio.sleep(_PAUSE)
        # The fetcher takes the answer up at once, in the same turn of the loop.
        self._answers.raw = raw
        return answer


class _Answers(OrderedDict[Any, Any]):
    """What the fetcher holds unpacked of each partition."""

    def __init__(self, on_skipped: OnSkipped) -> None:
        super().__init__()
        self.raw: dict[Any, bytes] = {}
        self._on_skipped = on_skipped
        self._last_broken: dict[TopicPartition, int] = {}

    def clear(self) -> None:
        """What the fetcher does when the assignment changes."""
        super().clear()
        self._last_broken.clear()

    def __setitem__(self, where: Any, result: Any) -> None:
        raw = self.raw.pop(where, None)
        if raw is not None and type(result) is FetchResult:
            unpacking = result._partition_records
            place = _Place(TopicPartition(*where), unpacking, self._on_skipped, self._last_broken)
            unpacking._records = _Batches(raw, place)
        super().__setitem__(where, result)


class _Place:
    """Where the unpacking of one partition stands, and what it passes over."""

    def __init__(
        self,
        partition: TopicPartition,
        unpacking: Any,
        on_skipped: OnSkipped,
        last_broken: dict[TopicPartition, int],
    ) -> None:
        self._partition = partition
        self._unpacking = unpacking
        self._on_skipped = on_skipped
        self._last_broken = last_broken

    @property
    def offset(self) -> int:
        offset: int = self._unpacking.next_fetch_offset
        return offset

    def skip_record(self, offset: int) -> None:
        if offset >= self.offset:
            self._on_skipped(RecordPosition(*self._partition, offset))

    def skip_batch(self, base: int) -> None:
        """Tell of a batch once, even where the way past it takes several fetches."""
        if self.offset > base and self._last_broken.get(self._partition) == base:
            return
        self._last_broken[self._partition] = base
        self._on_skipped(RecordPosition(*self._partition, max(base, self.offset)))


class _Batches:
    """The batches of one answer, in the shape that aiokafka's unpacking takes."""

    def __init__(self, raw: bytes, place: _Place) -> None:
        self._raw = memoryview(raw)
        self._at = 0
        self._place = place

    def has_next(self) -> bool:
        return self._end_of(self._at) is not None

    def next_batch(self) -> "_Batch":
        begin, end = self._at, self._end_of(self._at)
        assert end is not None, "has_next() comes first"
        self._at = end
        following = None
        if self.has_next():
            following = _BASE_AND_LENGTH.unpack_from(self._raw, end)[0]
        return _Batch(self._raw[begin:end], self._place, following)

    def _end_of(self, begin: int) -> int | None:
        """Where the batch ends; an answer may break off in the middle of its last one."""
        if len(self._raw) - begin < _LEAST_BYTES:
            return None
        end: int = begin + _BASE_AND_LENGTH.size + _BASE_AND_LENGTH.unpack_from(self._raw, begin)[1]
        least = _LEAST_BYTES if self._raw[begin + _MAGIC_AT] < 2 else _HEADER_BYTES
        return end if begin + least <= end <= len(self._raw) else None


class _Batch:
    """One batch as aiokafka sees it: always sound, with what cannot be decoded left out."""

    def __init__(self, raw: memoryview, place: _Place, following: int | None) -> None:
        self._raw = raw
        self._place = place
        self._following = following
        magic = raw[_MAGIC_AT]
        self._is_legacy = magic < 2
        self._batch = LegacyRecordBatch(raw, magic) if magic < 2 else DefaultRecordBatch(raw)
        self.base_offset: int = _BASE_AND_LENGTH.unpack_from(raw)[0]
        self.producer_id: int | None = self._batch.producer_id
        self.is_control_batch: bool = self._batch.is_control_batch
        self.is_transactional: bool = self._batch.is_transactional
        self.next_offset: int = self._batch.next_offset
        self._is_broken = False

    def validate_crc(self) -> bool:
        if not self._batch.validate_crc():
            self._is_broken = True
            self.producer_id = None
            self.is_control_batch = self.is_transactional = False
            if not self._is_legacy:
                self.next_offset = self._end_of_broken()
        return True

    def __iter__(self) -> Iterator[Any]:
        if self._is_broken:
            self._place.skip_batch(self.base_offset)
            return
        try:
            yield from self._batch
        except Exception as error:  # decoders raise whatever strange bytes provoke
            if self._lacks_codec(error):
                raise
            yield from self._one_by_one()

    def __next__(self) -> Any:
        return next(self._batch)

    def _lacks_codec(self, error: Exception) -> bool:
        return (
            isinstance(error, kafka.UnsupportedCodecError)
            and not self._is_legacy
            and self._batch.compression_type <= _KNOWN_CODECS
        )

    def _end_of_broken(self) -> int:
        """The end of a batch whose fields cannot be trusted: never too far, at worst a step at a time."""
        (delta,) = _LAST_OFFSET_DELTA.unpack_from(self._raw, _LAST_OFFSET_DELTA_AT)
        (count,) = _RECORD_COUNT.unpack_from(self._raw, _RECORD_COUNT_AT)
        ends = {self.base_offset + delta + 1, self.base_offset + count, self._following or 0}
        stands = self._place.offset
        return min((end for end in ends if end > stands), default=max(stands, self.base_offset) + 1)

    def _one_by_one(self) -> Iterator[Any]:
        """The records of a batch again from its first, those apart that cannot be decoded.

        The unpacking knows which it has had already. Numbers are read in Python: the C function does not
        look where its buffer ends, and a lying length would end the process.
        """
        if self._is_legacy:
            self._place.skip_batch(self.base_offset)
            return
        batch = _DefaultRecordBatchPy(self._raw)
        try:
            iter(batch)
        except Exception:  # noqa: BLE001 - as above: the compression is broken
            self._place.skip_batch(self.base_offset)
            return
        if batch._num_records <= 0:
            self._place.skip_batch(self.base_offset)
        yield from self._sound_records(batch)

    def _sound_records(self, batch: Any) -> Iterator[Any]:
        expected = self.base_offset
        for _ in range(batch._num_records):
            if expected >= self.next_offset:
                return  # it claims more records than it has offsets
            try:
                offset, end = _frame(batch, expected)
            except (ValueError, IndexError):
                self._place.skip_record(expected)
                return
            try:
                record = batch._read_msg(decode_varint_py)
            except Exception:  # noqa: BLE001 - as above
                self._place.skip_record(offset)
                batch._pos = end
            else:
                yield record
            expected = offset + 1


def _frame(batch: Any, expected: int) -> tuple[int, int]:
    """The offset of the record that comes next, and where it ends in the batch's bytes."""
    buffer = batch._buffer
    length, begin = decode_varint_py(buffer, batch._pos)
    _, at = decode_varint_py(buffer, begin)  # attributes
    _, at = decode_varint_py(buffer, at)  # timestamp
    delta, _ = decode_varint_py(buffer, at)
    end = begin + length
    if not at < end <= len(buffer):
        raise ValueError("a record's length leads out of its batch")
    offset = batch.base_offset + delta
    if not expected <= offset < batch.next_offset:
        raise ValueError("a record's offset leads out of its batch")
    return offset, end
