"""The in-memory log keeps offsets as Kafka does."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.memory_log import MemoryLog
from tidewire.kafka.records import Bounds, NewRecord

KEYS = st.sampled_from([b"a", b"b", b"c", None])  # None: a hole


def log_of(keys: list[bytes | None]) -> MemoryLog:
    log = MemoryLog("t", 0)
    for number, key in enumerate(keys):
        if key is None:
            assert log.append_hole() == number
        else:
            assert log.append(NewRecord("t", 0, key, b"v"), timestamp_ms=number * 10) == number
    return log


@given(st.lists(KEYS, max_size=30), st.integers(1, 7))
def test_reading_in_steps_gives_every_record_once_and_ends_at_the_end(
    keys: list[bytes | None], limit: int
) -> None:
    log = log_of(keys)
    read, position = [], 0
    for _ in range(len(keys) + 1):
        records, after = log.read(position, limit)
        assert len(records) <= limit
        assert after >= position
        read += records
        position = after
    assert position == log.bounds.end == len(keys)
    assert [(r.offset, r.key) for r in read] == [(n, k) for n, k in enumerate(keys) if k]


@given(st.lists(KEYS, max_size=30), st.integers(-5, 40))
def test_truncation_moves_the_start_only(keys: list[bytes | None], offset: int) -> None:
    log = log_of(keys)
    log.truncate_before(offset)
    start = min(max(offset, 0), len(keys))
    assert log.bounds == Bounds(start, len(keys))
    assert [r.offset for r in log.read(start, 100)[0]] == [
        n for n, k in enumerate(keys) if k and n >= start
    ]
    assert log.has(start)
    assert log.has(len(keys))
    assert not log.has(start - 1)
    assert not log.has(len(keys) + 1)


@given(st.lists(KEYS, max_size=30))
def test_compaction_keeps_the_newest_of_each_key(keys: list[bytes | None]) -> None:
    log = log_of(keys)
    log.compact()
    newest = {key: number for number, key in enumerate(keys) if key}
    assert sorted(newest.values()) == [r.offset for r in log.read(0, 100)[0]]
    assert log.bounds == Bounds(0, len(keys))


@given(st.lists(KEYS, max_size=30), st.integers(0, 350))
def test_a_time_finds_the_first_record_at_or_after_it(keys: list[bytes | None], at: int) -> None:
    found = log_of(keys).offset_at(at)
    later = [number for number, key in enumerate(keys) if key and number * 10 >= at]
    assert found == (later[0] if later else len(keys))
