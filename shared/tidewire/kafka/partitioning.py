"""Choosing a partition as the Java client does for a key."""

import struct
from functools import lru_cache

__all__ = ["murmur2", "partition_of"]

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Hash as Kafka's ``org.apache.kafka.common.utils.Utils.murmur2``: a signed 32-bit number."""
    length = len(data)
    words = length >> 2
    h = _SEED ^ length
    for k in struct.unpack_from(f"<{words}I", data):
        k = k * _M & _MASK
        k = (k ^ k >> 24) * _M & _MASK
        h = h * _M & _MASK ^ k
    if tail := data[words << 2 :]:
        h = (h ^ int.from_bytes(tail, "little")) * _M & _MASK
    h = (h ^ h >> 13) * _M & _MASK
    h ^= h >> 15
    return h - (1 << 32) if h >> 31 else h


@lru_cache(maxsize=65_536)
def partition_of(group: bytes, partitions: int) -> int:
    """The partition of a group: ``toPositive(murmur2(group)) % partitions``."""
    return (murmur2(group) & 0x7FFFFFFF) % partitions
