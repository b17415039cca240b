"""Partitions are the Java client's."""

import json
from pathlib import Path

import pytest
from aiokafka.partitioner import murmur2 as aiokafka_murmur2
from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.partitioning import murmur2, partition_of

VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "murmur2.json").read_text(encoding="utf-8")
)["vectors"]


def test_the_vectors_are_many_and_varied() -> None:
    lengths = {len(vector["hex"]) // 2 for vector in VECTORS}
    assert len(VECTORS) > 350
    assert lengths >= set(range(17))
    assert {vector["murmur2"] < 0 for vector in VECTORS} == {True, False}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["hex"][:16] or "empty")
def test_hash_and_partition_equal_the_java_clients(
    vector: dict[str, str | int | dict[str, int]],
) -> None:
    key = bytes.fromhex(str(vector["hex"]))
    partitions = vector["partitions"]
    assert isinstance(partitions, dict)
    assert murmur2(key) == vector["murmur2"]
    assert {count: partition_of(key, int(count)) for count in partitions} == partitions


@given(st.binary(max_size=200))
def test_hash_equals_aiokafkas(key: bytes) -> None:
    assert murmur2(key) & 0xFFFFFFFF == aiokafka_murmur2(key)


@given(st.binary(max_size=50), st.integers(1, 10_000))
def test_a_partition_is_one_of_the_topics(group: bytes, partitions: int) -> None:
    assert 0 <= partition_of(group, partitions) < partitions
    assert -(2**31) <= murmur2(group) < 2**31
