"""Batches that no client of ours would write: sound for a broker, or broken in its files."""

import asyncio
import struct
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from tidewire.kafka.records import NewRecord

__all__ = ["break_in_files", "produce_raw", "with_broken_header_names"]

_MARKED = b"\x00header-to-break\x00"
_BROKEN = b"\xff" * len(_MARKED)
_CRC_AT = 17
_SUMMED_FROM = 21
_CODECS = {"none": 0, "gzip": 1}


def with_broken_header_names(
    records: Sequence[NewRecord], broken: Collection[int], codec: str = "none"
) -> bytes:
    """One batch with a right checksum; the records at ``broken`` have a header name that is no UTF-8."""
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1024 * 1024,
    )
    now_ms = time.time_ns() // 1_000_000
    for index, record in enumerate(records):
        headers = [("before", b"1"), (_MARKED.decode(), b"2"), ("after", b"3")]
        builder.append(
            index,
            timestamp=now_ms,  # retention would remove an older one
            key=record.key,
            value=record.value,
            headers=headers if index in broken else headers[::2],
        )
    raw = bytearray(bytes(builder.build()).replace(_MARKED, _BROKEN))
    if codec != "none":
        raw = _compressed(raw, codec)
    struct.pack_into(">I", raw, _CRC_AT, calc_crc32c(bytes(raw[_SUMMED_FROM:])))
    return bytes(raw)


def _compressed(raw: bytearray, codec: str) -> bytearray:
    packed = raw[:61] + bytearray(gzip_encode(bytes(raw[61:])))
    struct.pack_into(">i", packed, 8, len(packed) - 12)
    struct.pack_into(">h", packed, 21, _CODECS[codec])
    return packed


async def produce_raw(bootstrap: str, topic: str, partition: int, batch: bytes) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        async with asyncio.timeout(10.0):
            await client.force_metadata_update()
            request = ProduceRequest(None, -1, 5000, [(topic, [(partition, batch)])])
            answer = await client.send(client.get_random_node(), request)
    finally:
        await client.close()
    ((_, ((_, code, *_),)),) = answer.topics
    assert code == 0, f"the broker refused the batch: error {code}"


def break_in_files(folder: Path, topic: str, written: bytes, *, partition: int = 0) -> None:
    """Change one byte of what a broker has stored: the checksum of its batch is wrong from now on."""
    (path,) = folder.rglob(f"{topic}-{partition}/*.log")
    at = path.read_bytes().index(written)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([written[0] ^ 1]))
