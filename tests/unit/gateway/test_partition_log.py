"""A partition's log and table agree with a naive model."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.events import Event
from tidewire_gateway.core.history import History
from tidewire_gateway.core.partition_log import PartitionLog

GROUPS = ("A", "B")


def event(offset: int, entity: str = "A/1", *, deleted: bool = False, ts: int = 0) -> Event:
    group = entity.partition("/")[0]
    return Event(entity, group, 0, offset, ts, deleted, b"x" * 100)


entities = st.builds("{}/{}".format, st.sampled_from(GROUPS), st.integers(0, 3))
histories = st.lists(st.tuples(entities, st.booleans(), st.integers(1, 3)), max_size=40)


def built(history: list[tuple[str, bool, int]], *, is_table: bool = True) -> list[Event]:
    offset, events = 0, []
    for entity, deleted, step in history:
        events.append(event(offset, entity, deleted=deleted, ts=offset))
        offset += step
    return events


def in_group(events: list[Event], group: str | None) -> list[Event]:
    return [e for e in events if group in (None, e.group)]


@given(histories, st.integers(0, 130), st.sampled_from((None, *GROUPS)))
def test_changes_and_events_since_an_offset_are_those_of_the_history(
    history: list[tuple[str, bool, int]], since: int, group: str | None
) -> None:
    events = built(history)
    log = PartitionLog(0, is_table=True)
    for one in events:
        log.append(one)
    matching = in_group(events, group)
    newest = {e.entity: e for e in matching}
    assert {e.entity: e for e in log.current(group)} == {
        k: e for k, e in newest.items() if not e.deleted
    }
    assert log.changed_since(since, group) == sorted(
        (e for e in newest.values() if e.offset >= since), key=lambda e: e.offset
    )
    assert log.events_since(since, group) == [e for e in matching if e.offset >= since]


@given(histories, st.integers(0, 60))
def test_what_is_above_the_floor_survives_forgetting(
    history: list[tuple[str, bool, int]], cutoff: int
) -> None:
    events = built(history)
    for is_table in (True, False):
        log = PartitionLog(0, is_table=is_table)
        for one in events:
            log.append(one)
        log.evict_before(cutoff)
        log.expire_tombstones(cutoff)
        newest = {e.entity: e for e in events}
        assert log.changed_since(log.floor, None) == sorted(
            (e for e in newest.values() if e.offset >= log.floor), key=lambda e: e.offset
        )
        assert log.events_since(log.complete_from, None) == [
            e for e in events if e.offset >= log.complete_from
        ]
        if is_table:
            assert {e.entity for e in log.current(None)} == {
                k for k, e in newest.items() if not e.deleted
            }


def test_log_forgets_by_age_and_table_remembers_the_value() -> None:
    log = PartitionLog(0, is_table=True)
    log.append(event(0, ts=10))
    log.append(event(1, "A/2", ts=20))
    log.evict_before(15)
    assert log.complete_from == 1
    assert [e.offset for e in log.current(None)] == [0, 1]


def test_without_a_table_an_entity_goes_with_its_event() -> None:
    log = PartitionLog(0, is_table=False)
    log.append(event(0, ts=10))
    log.append(event(1, "A/2", ts=20))
    log.append(event(2, ts=20))
    log.evict_before(15)
    assert {e.entity for e in log.current(None)} == {"A/1", "A/2"}
    log.evict_before(25)
    assert list(log.current(None)) == []
    assert log.bytes_held == 0
    assert log.floor == 3


def test_removal_is_remembered_until_it_expires_and_then_bounds_changes() -> None:
    log = PartitionLog(0, is_table=True)
    log.append(event(0, ts=1))
    log.append(event(1, deleted=True, ts=2))
    assert [e.deleted for e in log.changed_since(0, None)] == [True]
    log.expire_tombstones(3)
    assert log.changed_since(0, None) == []
    assert log.floor == 2


def test_removal_that_was_undone_leaves_no_trace_when_it_expires() -> None:
    log = PartitionLog(0, is_table=True)
    log.append(event(0, deleted=True, ts=1))
    log.append(event(1, ts=2))
    log.expire_tombstones(10)
    assert log.floor == 0
    assert [e.offset for e in log.current("A")] == [1]


def test_offsets_without_events_move_the_position_alone() -> None:
    log = PartitionLog(5, is_table=False)
    log.advance(9)
    log.advance(7)
    assert log.next_offset == 9
    log.append(event(12))
    assert log.next_offset == 13


def test_node_holds_no_more_than_its_bytes() -> None:
    history = History(log_window=1000, tombstone_ttl=1000, max_bytes=1000)
    first, second = PartitionLog(0, is_table=False), PartitionLog(0, is_table=False)
    for offset in range(10):
        history.append(first, event(offset))
        history.append(second, event(offset))
        assert history.bytes_held == first.bytes_held + second.bytes_held <= 1000
    assert first.log[-1].offset == second.log[-1].offset == 9
    history.forget(second)
    assert history.bytes_held == first.bytes_held


def test_history_older_than_the_window_is_not_kept_but_bounds_changes() -> None:
    history = History(log_window=10, tombstone_ttl=100, max_bytes=1 << 20)
    log = PartitionLog(0, is_table=True)
    now_ms = 1_000_000
    for offset, age_s in enumerate((200, 50, 5)):
        one = event(offset, f"A/{offset}", ts=now_ms - age_s * 1000)
        history.load(log, one, now_ms)
    assert log.floor == 1
    assert [e.offset for e in log.log] == [2]
    assert log.complete_from == 2
    assert len(list(log.current(None))) == 3


def test_live_log_is_tended_by_age() -> None:
    history = History(log_window=10, tombstone_ttl=100, max_bytes=1 << 20)
    log = PartitionLog(0, is_table=False)
    history.append(log, event(0, ts=1000))
    history.tend(log, 10_000)
    assert len(log.log) == 1
    history.tend(log, 12_000)
    assert len(log.log) == 0
    assert history.bytes_held == 0


def test_removals_are_held_once_per_entity_and_go_with_the_log() -> None:
    for is_table in (True, False):
        log = PartitionLog(0, is_table=is_table)
        for offset in range(0, 1000, 2):
            log.append(event(offset, ts=offset, deleted=True))
            log.append(event(offset + 1, ts=offset))
        log.append(event(1000, ts=1000, deleted=True))
        assert len(log._tombstones) == 1
        log.evict_before(2000)
        assert len(log._tombstones) == (1 if is_table else 0)


@given(st.lists(st.tuples(entities, st.booleans(), st.integers(0, 6)), max_size=60), st.booleans())
def test_removals_remembered_are_those_of_the_newest(
    steps: list[tuple[str, bool, int]], is_table: bool
) -> None:
    log = PartitionLog(0, is_table=is_table)
    for offset, (entity, deleted, what) in enumerate(steps):
        log.append(event(offset, entity, deleted=deleted, ts=offset))
        if what == 0:
            log.expire_tombstones(offset - 3)
        elif what == 1:
            log.evict_before(offset - 3)
        newest = [e for entities in log.newest.values() for e in entities.values()]
        removals = sorted((e for e in newest if e.deleted), key=lambda e: e.offset)
        assert list(log._tombstones.values()) == removals


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from("aaalt"), entities), max_size=60),
    st.booleans(),
)
def test_bytes_held_are_those_of_the_logs(
    steps: list[tuple[int, str, str]], is_table: bool
) -> None:
    history = History(log_window=10, tombstone_ttl=20, max_bytes=3000)
    logs = [PartitionLog(0, is_table=is_table) for _ in range(2)]
    for offset, (which, what, entity) in enumerate(steps):
        log, now_ms = logs[which], offset * 1000
        if what == "a":
            history.append(log, event(offset, entity, ts=now_ms))
        elif what == "l":
            history.load(log, event(offset, entity, ts=now_ms - 15_000), now_ms)
        else:
            history.tend(log, now_ms)
        assert history.bytes_held == sum(log.bytes_held for log in logs)
        assert history.bytes_held <= 3000
        for one in logs:
            assert one.bytes_held == 300 * len(one.log)
