"""Every rule of the checker: a history that breaks it is caught by it, one that does not is let pass."""

from collections.abc import Callable

import msgspec
import pytest

from histories.entries import Published, Run, Sample, digest
from histories.scripted import ScriptedClient, ScriptedLog, judge, place
from histories.violations import Rule


@pytest.fixture
def log() -> ScriptedLog:
    return ScriptedLog()


def broken(log: ScriptedLog, *clients: ScriptedClient, quiet_at: float | None = 0.0) -> set[Rule]:
    return set(judge(log, *clients, quiet_at=quiet_at)[0].rules)


def fresh_table(log: ScriptedLog, *snapshot: Published) -> ScriptedClient:
    """A client of mode `latest` that has its snapshot of the log so far."""
    client = ScriptedClient()
    client.connect()
    client.subscribed(place(log.epoch, p0=0))
    client.snapshot(log.end(), *snapshot)
    return client


def fresh_every(log: ScriptedLog) -> ScriptedClient:
    client = ScriptedClient(mode="every")
    client.connect()
    client.subscribed(log.end())
    return client


Maker = Callable[[ScriptedLog], ScriptedClient]

# Histories that are right


def test_table_with_updates_a_removal_and_a_resume_is_right(log: ScriptedLog) -> None:
    a, b = log.publish("A/1"), log.publish("B/1")
    client = fresh_table(log, a, b)
    a2, gone = log.publish("A/1"), log.publish("B/1", removed=True)
    client.updates(log.end(), a2, gone)
    since = log.end()
    client.lose()
    log.publish("A/1")
    a4 = log.publish("A/1")
    client.connect(since)
    client.subscribed(since, "changes")
    client.updates(log.end(), a4)
    client.stop()
    assert broken(log, client) == set()


def test_split_flush_moves_the_position_with_its_last_frame(log: ScriptedLog) -> None:
    client = fresh_every(log)
    first, second = log.publish("A/1"), log.publish("A/2")
    client.updates(place(), first)
    client.updates(log.end(), second)
    client.stop()
    assert broken(log, client) == set()


def test_repeats_after_a_resume_from_an_older_position_are_right(log: ScriptedLog) -> None:
    for mode, recovered in (("every", "exact"), ("latest", "changes")):
        client = ScriptedClient(mode=mode, snapshot=False)
        client.connect()
        start = log.end()
        client.subscribed(start)
        events = [log.publish("A/1"), log.publish("A/2")]
        client.updates(log.end(), *events)
        client.lose()
        client.connect(start)
        client.subscribed(start, recovered)
        client.updates(log.end(), *events)
        client.stop()
        assert broken(log, client) == set()


def test_announced_gap_excuses_what_it_names(log: ScriptedLog) -> None:
    client = fresh_every(log)
    for _ in range(5):
        log.publish("A/1")
    last = log.publish("A/1")
    client.gap({0: (0, 5)}, "too_far")
    client.updates(log.end(), last)
    client.stop()
    assert broken(log, client) == set()


def test_gap_at_resume_excuses_what_it_names(log: ScriptedLog) -> None:
    client = fresh_every(log)
    client.updates(place(p0=1), log.publish("A/1"))
    client.lose()
    log.publish("A/1")
    kept = log.publish("A/1")
    client.connect(place(p0=1))
    client.subscribed(place(p0=2), "gap", gap={0: (1, 2)}, reason="retention")
    client.updates(log.end(), kept)
    client.stop()
    assert broken(log, client) == set()


def test_position_may_pass_what_a_newer_value_supersedes(log: ScriptedLog) -> None:
    client = fresh_table(log)
    log.publish("A/1")
    b = log.publish("B/1")
    a2 = log.publish("A/1")
    client.updates(place(p0=2), b)  # A/1 at 0 is superseded by the one at 2, which is there already
    client.updates(log.end(), a2)
    client.stop()
    assert broken(log, client) == set()


def test_snapshot_in_parts_replaces_the_table(log: ScriptedLog) -> None:
    a, b = log.publish("A/1"), log.publish("B/1")
    client = fresh_table(log, a, b)
    client.lose()
    log.publish("B/1", removed=True)
    a2, c = log.publish("A/1"), log.publish("C/1")
    client.connect(place(p0=2))
    client.subscribed(place(p0=0), "snapshot", reason="retention")
    client.snapshot(place(), a2, more=True)
    client.status("lagging")
    client.snapshot(log.end(), c)
    client.stop()
    assert broken(log, client) == set()


def test_half_a_snapshot_is_void_after_the_connection(log: ScriptedLog) -> None:
    a, b = log.publish("A/1"), log.publish("B/1")
    client = ScriptedClient()
    client.connect()
    client.subscribed(place(p0=0))
    client.snapshot(place(), a, more=True)
    client.lose()
    client.connect()
    client.subscribed(place(p0=0))
    client.snapshot(log.end(), a, b)
    client.stop()
    assert broken(log, client) == set()


def test_partial_snapshot_excuses_older_keys(log: ScriptedLog) -> None:
    log.publish("A/1")
    b = log.publish("B/1")
    client = ScriptedClient()
    client.connect()
    client.subscribed(place(p0=0))
    client.snapshot(log.end(), b, partial=True)
    client.stop()
    assert broken(log, client) == set()


def test_topic_made_anew_goes_on_with_a_snapshot_or_a_gap(log: ScriptedLog) -> None:
    table, every = fresh_table(log), fresh_every(log)
    a = log.publish("A/1")
    for client in (table, every):
        client.updates(log.end(), a)
    log.begin_life("e2", 1)
    log.publish("A/1")
    b = log.publish("B/1")
    table.snapshot(log.end(), b, log_entry(log, 0))
    every.gap({0: (1, 1)}, "recreated")
    every.updates(log.end(), b)
    for client in (table, every):
        client.stop()
    assert broken(log, table, every) == set()


def log_entry(log: ScriptedLog, offset: int) -> Published:
    found = [e for e in log.entries if isinstance(e, Published) and e.epoch == log.epoch]
    return found[offset]


def test_group_sees_its_own_records_alone() -> None:
    log = ScriptedLog(partitions=1)
    client = ScriptedClient(channel="s/A", mode="every")
    client.connect()
    client.subscribed(log.end())
    log.publish("B/1")
    a = log.publish("A/1")
    log.publish("B/1")
    client.updates(place(p0=2), a)
    client.stop()
    assert broken(log, client) == set()


def test_client_that_stopped_before_the_quiet_need_not_be_level(log: ScriptedLog) -> None:
    client = fresh_every(log)
    client.stop()
    log.publish("A/1")
    assert broken(log, client, quiet_at=client.now) == set()
    assert broken(log, client, quiet_at=None) == set()
    assert broken(log, client) == {Rule.END}


def test_key_that_moved_to_a_new_partition_is_judged_by_time() -> None:
    log = ScriptedLog(partitions=1)
    log.now = 1.0
    old = log.publish("A/1")
    client = fresh_table(log, old)
    log.grow(2)
    log.now = 2.0
    log.publish("A/1")
    log.now = 3.0
    new = log.publish("A/1", partition=1)
    client.updates(place(p0=2))  # superseded in the other partition
    client.updates(place(p1=1), new)
    client.stop()
    assert broken(log, client) == set()
    log.now = 4.0
    log.publish("A/1", partition=1)
    behind = fresh_table(log, old)
    behind.stop()
    assert broken(log, behind) == {Rule.LOST}


def test_gap_excuses_the_keys_of_a_table_until_the_next_snapshot(log: ScriptedLog) -> None:
    client = fresh_table(log)
    log.publish("A/1")
    client.gap({0: (0, 1)}, "retention")
    client.updates(log.end())
    assert broken(log, client) == set()
    client.snapshot(log.end())
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_client_that_begins_with_a_position_is_due_what_follows_it(log: ScriptedLog) -> None:
    log.publish("A/1")
    for mode, recovered in (("every", "exact"), ("latest", "changes")):
        client = ScriptedClient(mode=mode)
        client.connect(log.end())
        client.subscribed(log.end(), recovered)
        client.updates(log.end(), log.publish("B/1"))
        client.stop()
        assert broken(log, client) == set()


def test_client_that_begins_in_a_life_of_before_is_due_what_the_gap_leaves(
    log: ScriptedLog,
) -> None:
    log.publish("A/1")
    for mode in ("every", "latest"):
        client = ScriptedClient(mode=mode)
        client.connect(place("e0", p0=5))
        client.subscribed(log.end(), "gap", gap={0: (5, log.end().offsets[0])}, reason="recreated")
        client.updates(log.end(), log.publish("B/1"))
        client.stop()
        assert broken(log, client) == set()


@pytest.mark.parametrize(("mode", "lost"), [("every", True), ("latest", True), ("every", False)])
def test_client_from_beyond_the_end_is_due_everything_after_it(
    log: ScriptedLog, mode: str, lost: bool
) -> None:
    log.publish("A/1")
    client = ScriptedClient(mode=mode)
    client.connect(place(p0=5))
    client.subscribed(log.end(), "gap", gap={0: (5, 1)}, reason="truncated")
    events = [log.publish("B/1"), log.publish("C/1")]
    client.updates(log.end(), *events[lost:])
    client.stop()
    assert broken(log, client) == ({Rule.LOST} if lost else set())


def test_new_life_of_a_topic_begins_with_offsets_of_its_own(log: ScriptedLog) -> None:
    client = fresh_every(log)
    client.updates(log.end(), *(log.publish("A/1") for _ in range(3)))
    log.begin_life("e2", 1)
    a, b = log.publish("A/1"), log.publish("A/1")
    client.gap({0: (3, 0)}, "recreated")
    client.updates(log.end(), a, b)
    client.stop()
    assert broken(log, client) == set()


def test_node_that_has_not_noticed_a_new_life_goes_on_in_the_old_one(log: ScriptedLog) -> None:
    a = log.publish("A/1")
    client = fresh_table(log, a)
    since = log.end()
    client.lose()
    log.begin_life("e2", 1)
    client.connect(since)
    client.subscribed(place("e2", p0=0), "snapshot", reason="recreated")
    client.lose()
    client.connect(since)
    client.subscribed(since, "changes")
    client.stop()
    assert broken(log, client, quiet_at=None) == set()


def test_subscription_that_the_server_ended_need_not_be_level(log: ScriptedLog) -> None:
    client = fresh_table(log)
    client.unsubscribed("forbidden")
    log.publish("A/1")
    client.stop()
    assert broken(log, client) == set()


def test_what_comes_after_a_client_stopped_does_not_count(log: ScriptedLog) -> None:
    client = fresh_table(log)
    client.stop()
    client.frame(b"{")
    assert broken(log, client) == set()


# Histories that break a rule


def test_event_that_never_comes_is_lost(log: ScriptedLog) -> None:
    client = fresh_every(log)
    first, _, third = (log.publish("A/1") for _ in range(3))
    client.updates(place(p0=1), first)
    client.updates(log.end(), third)
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_last_event_that_a_position_covers_but_nobody_saw_is_lost(log: ScriptedLog) -> None:
    every = fresh_every(log)
    table = fresh_table(log)
    a = log.publish("A/1")
    log.publish("B/1")
    for client in (every, table):
        client.updates(log.end(), a)
        client.stop()
        assert broken(log, client) == {Rule.LOST}


def test_position_of_a_reply_that_is_ahead_of_the_request_loses(log: ScriptedLog) -> None:
    log.publish("A/1")
    client = ScriptedClient(mode="every")
    client.connect(place(p0=0))
    client.subscribed(place(p0=1), "exact")
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_gap_that_begins_too_late_loses_what_lies_before_it(log: ScriptedLog) -> None:
    client = fresh_every(log)
    for _ in range(3):
        log.publish("A/1")
    client.gap({0: (1, 3)}, "too_far")
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_position_that_goes_back_takes_no_claim_back(log: ScriptedLog) -> None:
    client = fresh_every(log)
    first, _ = log.publish("A/1"), log.publish("A/2")
    client.updates(place(p0=2))
    client.updates(place(p0=1), first)
    client.stop()
    assert broken(log, client) == {Rule.UNSAFE, Rule.LOST}


def test_removal_that_never_comes_is_lost(log: ScriptedLog) -> None:
    client = fresh_table(log, log.publish("A/1"))
    log.publish("A/1", removed=True)
    client.updates(log.end())
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_resume_from_a_position_too_new_loses(log: ScriptedLog) -> None:
    client = fresh_every(log)
    log.publish("A/1")
    client.lose()
    client.connect(place(p0=1))
    client.subscribed(place(p0=1), "exact")
    client.updates(place(p0=2), log.publish("A/1"))
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_topic_made_anew_without_a_word_is_a_loss(log: ScriptedLog) -> None:
    client = fresh_every(log)
    log.publish("A/1")
    log.begin_life("e2", 1)
    client.updates(log.end())
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_snapshot_that_lacks_a_key_loses_it(log: ScriptedLog) -> None:
    a = log.publish("A/1")
    log.publish("B/1")
    client = fresh_table(log, a)
    client.stop()
    assert broken(log, client) == {Rule.LOST}


def test_snapshot_older_than_what_was_shown_goes_back(log: ScriptedLog) -> None:
    a = log.publish("A/1")
    client = fresh_table(log, a)
    a2 = log.publish("A/1")
    client.updates(place(p0=2), a2)
    client.snapshot(place(p0=1), a)
    client.updates(place(p0=2), a2)
    client.stop()
    assert broken(log, client) == {Rule.WENT_BACK}


def test_gap_that_sets_back_a_partition_shows_it_twice(log: ScriptedLog) -> None:
    client = fresh_every(log)
    first, second = log.publish("A/1"), log.publish("A/1")
    client.updates(log.end(), first, second)
    client.gap({0: (2, 2), 1: (0, 0)}, "too_far")
    client.gap({0: (0, 1)}, "too_far")
    client.updates(log.end(), second)
    client.stop()
    assert broken(log, client) == {Rule.WENT_BACK}


@pytest.mark.parametrize("fresh", [fresh_table, fresh_every])
def test_event_twice_on_one_connection_is_a_duplicate(log: ScriptedLog, fresh: Maker) -> None:
    client = fresh(log)
    a = log.publish("A/1")
    client.updates(log.end(), a)
    client.updates(log.end(), a)
    client.stop()
    assert broken(log, client) == {Rule.DUPLICATE}


@pytest.mark.parametrize("fresh", [fresh_table, fresh_every])
def test_position_ahead_of_its_events_is_unsafe(log: ScriptedLog, fresh: Maker) -> None:
    client = fresh(log)
    a, b = log.publish("A/1"), log.publish("B/1")
    client.updates(log.end(), a)
    client.updates(place(), b)
    client.stop()
    assert broken(log, client) == {Rule.UNSAFE}


def test_position_that_passes_what_is_superseded_only_later_is_unsafe(log: ScriptedLog) -> None:
    client = fresh_table(log)
    log.publish("A/1")
    client.updates(log.end())
    log.now = client.now
    client.updates(place(p0=2), log.publish("A/1"))
    client.stop()
    assert broken(log, client) == {Rule.UNSAFE}


def test_altered_payload_is_told(log: ScriptedLog) -> None:
    a = log.publish("A/1")
    client = fresh_table(log, a)
    log.entries[-1] = msgspec.structs.replace(a, digest=digest(b'"other"'))
    client.stop()
    assert broken(log, client) == {Rule.PAYLOAD}


def test_altered_time_is_told(log: ScriptedLog) -> None:
    client = fresh_table(log, msgspec.structs.replace(log.publish("A/1"), ts=7))
    client.stop()
    assert broken(log, client) == {Rule.PAYLOAD}


def test_altered_key_is_told_and_its_own_is_lost(log: ScriptedLog) -> None:
    client = fresh_table(log, msgspec.structs.replace(log.publish("A/1"), key="A/2"))
    client.stop()
    assert broken(log, client) == {Rule.PAYLOAD, Rule.LOST}


def test_removal_told_of_a_value_is_an_altered_payload(log: ScriptedLog) -> None:
    client = fresh_every(log)
    a = log.publish("A/1")
    client.updates(log.end(), msgspec.structs.replace(a, digest=None))
    client.stop()
    assert broken(log, client) == {Rule.PAYLOAD}


def test_older_event_after_a_newer_one_is_out_of_order(log: ScriptedLog) -> None:
    client = fresh_table(log)
    first, second = log.publish("A/1"), log.publish("A/1")
    client.updates(place(), second)
    client.updates(log.end(), first)
    client.stop()
    assert broken(log, client) == {Rule.ORDER}


def test_swapped_events_of_a_partition_are_out_of_order_and_one_is_lost(log: ScriptedLog) -> None:
    client = fresh_every(log)
    first, second = log.publish("A/1"), log.publish("B/1")
    client.updates(log.end(), second, first)
    client.stop()
    assert broken(log, client) == {Rule.ORDER, Rule.LOST}


def test_event_that_was_never_published_is_foreign(log: ScriptedLog) -> None:
    client = fresh_every(log)
    ghost = log.publish("A/1")
    log.entries.pop()
    client.updates(place(p0=1), ghost)
    client.stop()
    assert broken(log, client) == {Rule.FOREIGN}


def test_event_of_another_channel_is_foreign(log: ScriptedLog) -> None:
    client = ScriptedClient(channel="s/A", mode="every")
    client.connect()
    client.subscribed(log.end())
    client.updates(place(p0=1), log.publish("B/1"))
    client.stop()
    assert broken(log, client) == {Rule.FOREIGN}


def test_client_behind_the_log_after_quiet_is_not_level(log: ScriptedLog) -> None:
    for client in (fresh_table(log), fresh_every(log)):
        log.publish("A/1")
        client.stop()
        assert broken(log, client) == {Rule.END}


def test_removed_key_that_a_client_still_holds_after_quiet_is_told(log: ScriptedLog) -> None:
    client = fresh_table(log, log.publish("A/1"))
    log.publish("A/1", removed=True)
    client.stop()
    assert broken(log, client) == {Rule.END}


def test_client_without_a_connection_after_quiet_is_told(log: ScriptedLog) -> None:
    client = fresh_table(log)
    client.lose()
    client.stop()
    assert broken(log, client) == {Rule.END}


def test_client_in_the_middle_of_a_snapshot_after_quiet_is_told(log: ScriptedLog) -> None:
    client = fresh_table(log)
    client.snapshot(place(), more=True)
    client.stop()
    assert broken(log, client) == {Rule.END}


def test_client_in_a_life_of_the_topic_that_is_over_is_told(log: ScriptedLog) -> None:
    client = fresh_table(log)
    log.begin_life("e2", 1)
    client.stop()
    assert broken(log, client) == {Rule.END}


def test_bytes_beyond_the_bound_are_told(log: ScriptedLog) -> None:
    samples = tuple(Sample(at=1.0, node="n", bytes=size) for size in (100, 101))
    findings, _ = judge(log, run=Run(most_bytes=100), samples=samples)
    assert dict(findings.counts) == {Rule.BYTES: 1}


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b'{"v":1,"type":"updates","payload":{"sub":2,"position":{"epoch":"e1","offsets":{}},"events":[]}}',
        b'{"v":1,"type":"updates","payload":{"sub":1,"events":[]}}',
        b'{"v":1,"type":"gap","payload":{"sub":1,"reason":"too_far"}}',
        b'{"v":1,"type":"updates","payload":{"sub":1,"position":{"epoch":"e1","offsets":{}},"events":[{}]}}',
    ],
)
def test_frame_that_the_protocol_does_not_allow_is_told(log: ScriptedLog, frame: bytes) -> None:
    client = fresh_table(log)
    client.frame(frame)
    client.stop()
    assert broken(log, client) == {Rule.PROTOCOL}


def test_updates_amid_a_snapshot_are_told(log: ScriptedLog) -> None:
    client = fresh_table(log)
    client.snapshot(place(), more=True)
    client.updates(log.end())
    client.snapshot(log.end())
    client.stop()
    assert broken(log, client) == {Rule.PROTOCOL}


def test_violation_names_client_channel_key_and_offset(log: ScriptedLog) -> None:
    client = fresh_every(log)
    log.publish("A/1")
    client.updates(log.end())
    client.stop()
    findings, _ = judge(log, client)
    assert str(findings.first[0]).startswith("lost: c, s, A/1 at 0:0: never delivered")


def test_two_records_at_one_place_are_no_log(log: ScriptedLog) -> None:
    log.entries.append(msgspec.structs.replace(log.publish("A/1"), key="A/2"))
    with pytest.raises(ValueError, match="two records at one place"):
        judge(log)
