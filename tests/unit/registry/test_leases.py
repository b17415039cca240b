from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_registry.core.leases import LeaseRules, is_live, settle

RULES = LeaseRules(lease_ms=10_000, freeze_ms=60_000)
NOW = 1_000_000


def ends_of(*ends: int) -> dict[str, int]:
    return {f"n{i:02}": end for i, end in enumerate(ends)}


def test_a_lease_ends_at_its_end_and_not_before() -> None:
    assert settle(ends_of(NOW + 1), set(), NOW - 250, NOW, RULES).ended == ()
    done = settle(ends_of(NOW), set(), NOW - 250, NOW, RULES)
    assert done.ended == ("n00",)
    assert not is_live(NOW, done.now_ms)


def test_four_of_four_end_as_usual() -> None:
    done = settle(ends_of(*[NOW] * 4), set(), NOW - 250, NOW, RULES)
    assert (len(done.ended), done.frozen) == (4, ())


def test_five_of_five_freeze() -> None:
    done = settle(ends_of(*[NOW] * 5), set(), NOW - 250, NOW, RULES)
    assert (done.ended, len(done.frozen)) == ((), 5)
    assert done.frozen_until_ms == NOW + 60_000


@pytest.mark.parametrize(("live", "is_frozen"), [(11, True), (12, False)])
def test_they_freeze_only_above_thirty_percent(live: int, is_frozen: bool) -> None:
    silent = 5  # of 16 and of 17; a third, and less than 30 %
    done = settle(ends_of(*[NOW] * silent, *[NOW + 5000] * live), set(), NOW - 250, NOW, RULES)
    assert bool(done.frozen) is is_frozen


def test_those_that_ended_a_moment_ago_come_back_when_others_follow() -> None:
    one_after_the_other = ends_of(NOW - 4000, NOW - 3000, NOW - 2000, NOW - 1000, NOW)
    done = settle(one_after_the_other, set(), NOW - 250, NOW, RULES)
    assert len(done.frozen) == 5


def test_ends_that_lie_a_lease_apart_do_not_freeze() -> None:
    done = settle(ends_of(*[NOW - 10_300] * 2, *[NOW] * 3), set(), NOW - 250, NOW, RULES)
    assert done.frozen == ()
    assert done.forgotten == ("n00", "n01")


def test_what_ran_out_while_nobody_settled_counts_as_ending_now() -> None:
    done = settle(ends_of(*[NOW - 50_000] * 5), set(), NOW - 58_000, NOW, RULES)
    assert len(done.frozen) == 5


def test_while_some_are_frozen_each_further_one_is_too() -> None:
    ends = ends_of(*[NOW + 30_000] * 5, NOW, *[NOW + 5000] * 4)
    done = settle(ends, {f"n{i:02}" for i in range(5)}, NOW - 250, NOW, RULES)
    assert done.frozen == ("n05",)


def test_a_freeze_is_not_prolonged() -> None:
    ends = ends_of(*[NOW] * 5)
    done = settle(ends, set(ends), NOW - 250, NOW, RULES)
    assert (len(done.ended), done.frozen) == (5, ())


def test_a_clock_that_went_back_ends_nothing() -> None:
    done = settle(ends_of(NOW + 5000), set(), NOW + 9000, NOW, RULES)
    assert (done.ended, done.forgotten, done.now_ms) == ((), (), NOW)


@given(
    ends=st.lists(st.integers(NOW - 30_000, NOW + 30_000), max_size=40),
    frozen=st.sets(st.integers(0, 39)),
    since=st.one_of(st.none(), st.integers(-5000, 40_000)),
    count=st.integers(1, 10),
)
def test_whatever_happens_each_lease_has_one_fate(
    ends: list[int], frozen: set[int], since: int | None, count: int
) -> None:
    by_node = ends_of(*ends)
    before = None if since is None else NOW - since
    put_off = {f"n{i:02}" for i in frozen} & by_node.keys()
    done = settle(by_node, put_off, before, NOW, replace(RULES, freeze_count=count))
    fates = [*done.ended, *done.frozen]
    assert len(set(fates)) == len(fates)
    assert not set(done.frozen) & (set(done.forgotten) | put_off)
    assert all(by_node[node] <= NOW for node in (*fates, *done.forgotten))
    if done.frozen:
        missing = len(done.frozen) + sum(by_node[n] > NOW for n in put_off)
        live = sum(end > NOW for end in ends)
        assert missing >= count
        assert missing > 0.3 * (live + len(done.frozen))
