"""Batches as aiokafka unpacks them once what cannot be decoded is passed over."""

import struct

import pytest
from aiokafka import TopicPartition as ClientPartition
from aiokafka import errors as kafka
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import example, given
from hypothesis import strategies as st

from tidewire.kafka.aiokafka_tolerance import _Batches, _Place
from tidewire.kafka.records import RecordPosition, TopicPartition

WHERE = TopicPartition("t", 0)


def batch(base: int, count: int) -> bytearray:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=100_000,
    )
    for index in range(count):
        builder.append(
            index, timestamp=1, key=b"k", value=b"v%d" % (base + index), headers=[("n", b"h")]
        )
    raw = bytearray(builder.build())
    struct.pack_into(">q", raw, 0, base)
    return raw


def signed(raw: bytearray) -> bytes:
    struct.pack_into(">I", raw, 17, calc_crc32c(bytes(raw[21:])))
    return bytes(raw)


def unpack(raw: bytes, start: int = 0) -> tuple[list[int], list[int], int]:
    """Offsets of records, offsets passed over, and the next to read."""
    skipped: list[RecordPosition] = []
    unpacking = PartitionRecords(ClientPartition(*WHERE), None, [], start, None, None, True, 1)
    unpacking._records = _Batches(raw, _Place(WHERE, unpacking, skipped.append, {}))
    offsets = [record.offset for record in unpacking]
    return offsets, [at.offset for at in skipped], unpacking.next_fetch_offset


def test_sound_batches_are_unpacked_whole() -> None:
    raw = bytes(batch(0, 3) + batch(3, 2))
    assert unpack(raw) == ([0, 1, 2, 3, 4], [], 5)
    assert unpack(raw, start=1) == ([1, 2, 3, 4], [], 5)


def damaged_at(at: int, byte: int) -> bytes:
    """Five records from offset 5 on, one byte of them changed before the checksum was made."""
    raw = batch(5, 5)
    raw[61 + at % (len(raw) - 61)] = byte
    return signed(raw)


@example(0, 236)
@example(3, 20)
@given(st.integers(0, 200), st.integers(0, 255))
def test_records_taken_one_by_one_stay_in_their_batch_and_in_order(at: int, byte: int) -> None:
    skipped: list[RecordPosition] = []
    unpacking = PartitionRecords(ClientPartition(*WHERE), None, [], 5, None, None, True, 1)
    place = _Place(WHERE, unpacking, skipped.append, {})
    one = _Batches(damaged_at(at, byte), place).next_batch()

    seen = [*(record.offset for record in one._one_by_one()), *(lost.offset for lost in skipped)]

    assert len(seen) == len(set(seen))
    assert 0 < len(seen) <= 5
    assert set(seen) <= set(range(5, 10))


LIES = (0x00, 0x01, 0x7F, 0x80, 0x8F, 0xFE, 0xFF)


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("length", [1, 2, 4, 5])
def test_no_lying_number_in_a_batch_of_valid_checksum_ends_the_process(
    lie: int, length: int
) -> None:
    for at in range(61, len(batch(5, 5)) - length):
        raw = batch(5, 5)
        raw[at : at + length] = bytes([lie] * length)
        offsets, skipped, after = unpack(signed(raw), start=5)
        assert after > 5
        assert offsets or skipped


@given(st.integers(0, 500), st.integers(1, 255))
def test_a_wrong_checksum_leads_behind_its_batch_and_never_farther(at: int, flip: int) -> None:
    raw = batch(5, 5)
    at = 17 + at % (len(raw) - 17)
    raw[at] ^= flip
    offsets, skipped, after = unpack(bytes(batch(0, 5)) + bytes(raw) + bytes(batch(10, 2)))

    assert (offsets, skipped, after) == ([0, 1, 2, 3, 4, 10, 11], [5], 12)


@given(st.integers(-(2**31), 2**31 - 1), st.booleans())
def test_a_lying_length_at_the_end_moves_forward_and_never_too_far(
    lie: int, of_count: bool
) -> None:
    raw = batch(5, 5)
    struct.pack_into(">i", raw, 57 if of_count else 23, lie)
    raw[-1] ^= 1
    _, skipped, after = unpack(bytes(raw), start=5)

    assert 5 < after <= 10
    assert skipped == [5]


def test_a_codec_that_is_not_installed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = batch(0, 2)
    struct.pack_into(">h", raw, 21, 4)
    monkeypatch.setattr("aiokafka.codec.has_zstd", lambda: False)
    with pytest.raises(kafka.UnsupportedCodecError):
        unpack(signed(raw))


def test_broken_compression_is_passed_over_as_one() -> None:
    raw = batch(0, 2)
    struct.pack_into(">h", raw, 21, 1)
    assert unpack(signed(raw) + bytes(batch(2, 1))) == ([2], [0], 3)
