"""When published keys are fetched, and what becomes of tokens meanwhile, on a clock that the tests move."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.identity.jwks_state import JwksState, JwksTimes, Verdict
from tidewire.identity.key_ring import Algorithm, VerificationKey

TIMES = JwksTimes(interval=300.0, timeout=5.0, cooldown=30.0)
HALF = 0.5


def key(name: str | None, material: bytes = b"1") -> VerificationKey:
    return VerificationKey(Algorithm.ES256, object(), material, name)


def loaded(*names: str | None, now: float = 1000.0) -> JwksState:
    state = JwksState(TIMES, now)
    state.begin()
    state.succeed([key(name) for name in names], now, HALF)
    return state


def test_first_fetch_is_due_at_once_and_everybody_waits_for_it() -> None:
    state = JwksState(TIMES, 1000.0)
    assert state.due_at == 1000.0
    assert state.look_up("a", 1000.0) is Verdict.WAIT
    state.begin()
    assert state.look_up(None, 1003.0) is Verdict.WAIT


def test_who_asks_while_no_keys_could_be_had_is_told_to_come_again() -> None:
    state = JwksState(TIMES, 1000.0)
    state.begin()
    state.fail(1005.0, 0.9)
    assert not state.is_known
    assert state.look_up("a", 1005.0) is Verdict.LATER
    assert state.retry_after(1005.0) == 1.0
    assert state.look_up("a", state.due_at) is Verdict.WAIT


def test_failures_in_a_row_are_further_and_further_apart_to_a_limit() -> None:
    state, now, pauses = JwksState(TIMES, 0.0), 0.0, []
    for _ in range(10):
        state.begin()
        state.fail(now, 1.0)
        pauses.append(state.due_at - now)
        now = state.due_at
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0, 30.0]


def test_keys_are_fetched_again_before_the_interval_is_over() -> None:
    for chance, due_at in ((0.0, 1300.0), (1.0, 1270.0)):
        state = JwksState(TIMES, 1000.0)
        state.begin()
        state.succeed([key("a")], 1000.0, chance)
        assert state.due_at == pytest.approx(due_at)


def test_keys_stay_known_however_long_the_issuer_is_away() -> None:
    state, now = loaded("a"), 1300.0
    for _ in range(100):
        state.begin()
        state.fail(now + 5, 1.0)
        now = state.due_at
        assert [k.name for k in state.held(Algorithm.ES256, "a")] == ["a"]
    assert state.look_up("b", now - 6) is Verdict.LATER


def test_key_that_is_known_and_does_not_fit_means_a_wrong_signature() -> None:
    state = loaded("a")
    assert state.look_up("a", 2000.0) is Verdict.WRONG
    assert state.look_up(None, 2000.0) is Verdict.WRONG
    assert state.held(Algorithm.RS256, "a") == ()


def test_unknown_key_is_looked_for_once_and_then_does_not_exist() -> None:
    state = loaded("a")
    assert state.look_up("b", 1031.0) is Verdict.WAIT
    assert state.due_at == 1031.0
    state.begin()
    assert state.look_up("b", 1032.0) is Verdict.WAIT
    state.succeed([key("a")], 1033.0, HALF)
    assert state.look_up("b", 1034.0) is Verdict.NO
    assert state.look_up("c", 1034.0) is Verdict.LATER
    assert state.retry_after(1034.0) == 29.0
    assert state.look_up("b", 1063.0) is Verdict.WAIT


@pytest.mark.parametrize("is_away", [False, True])
def test_fetch_that_takes_longer_than_the_cooldown_is_not_followed_by_another(
    is_away: bool,
) -> None:
    """Or who waits for a key that does not exist would wait for good, and the issuer be asked without a pause."""
    state = loaded("a")
    assert state.look_up("b", 1100.0) is Verdict.WAIT
    state.begin()
    ended = 1100.0 + 2 * TIMES.cooldown
    if is_away:
        state.fail(ended, 1.0)
        assert state.look_up("b", ended) is Verdict.LATER
    else:
        state.succeed([key("a")], ended, HALF)
        assert state.look_up("b", ended) is Verdict.NO
    assert state.look_up("c", ended) is Verdict.LATER
    assert state.retry_after(ended) == TIMES.cooldown


def test_new_key_is_found_by_the_fetch_that_it_is_the_reason_of() -> None:
    state = loaded("a")
    assert state.look_up("b", 1100.0) is Verdict.WAIT
    state.begin()
    assert not state.succeed([key("a"), key("b", b"2")], 1101.0, HALF)
    assert [k.name for k in state.held(Algorithm.ES256, "b")] == ["b"]


def test_key_that_was_not_found_because_the_issuer_was_away_may_be_asked_for_again() -> None:
    state = loaded("a")
    assert state.look_up("b", 1100.0) is Verdict.WAIT
    state.begin()
    state.fail(1105.0, 1.0)
    assert state.look_up("b", 1105.5) is Verdict.LATER


def test_token_without_a_key_name_may_be_of_any_key() -> None:
    assert len(loaded(None, "a", "b").held(Algorithm.ES256, None)) == 3


@pytest.mark.parametrize(
    ("after", "is_withdrawn"),
    [
        ([key("a")], False),
        ([key("a"), key("b", b"2")], False),
        ([key("b", b"2")], True),
        ([key("a", b"other")], True),
        ([key("renamed")], True),
    ],
)
def test_key_that_is_published_no_more_is_withdrawn(
    after: list[VerificationKey], is_withdrawn: bool
) -> None:
    state = loaded("a")
    state.begin()
    assert state.succeed(after, 1300.0, HALF) is is_withdrawn


@dataclass
class Flood:
    """Unknown keys, a good many, at times that hypothesis picks; fetches happen as soon as they are due."""

    state: JwksState
    now: float = 1000.0
    fetches: int = 0

    def fetch_if_due(self, *, is_away: bool, chance: float) -> None:
        if self.state.due_at > self.now:
            return
        self.state.begin()
        self.fetches += 1
        if is_away:
            self.state.fail(self.now, chance)
        else:
            self.state.succeed([key("a")], self.now, chance)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 50)), min_size=1, max_size=300))
def test_flood_of_unknown_keys_makes_one_fetch_in_a_cooldown(
    asks: list[tuple[float, int]],
) -> None:
    flood = Flood(loaded("a"))
    for pause, name in asks:
        flood.now += pause
        flood.state.look_up(f"unknown-{name}", flood.now)
        flood.fetch_if_due(is_away=False, chance=0.0)
    assert flood.fetches <= 1 + (flood.now - 1000.0) / TIMES.cooldown + (flood.now - 1000.0) / 300


@given(
    st.lists(
        st.tuples(
            st.floats(0, 40), st.text(max_size=2) | st.none(), st.booleans(), st.floats(0, 1)
        ),
        max_size=60,
    )
)
def test_key_that_is_held_is_never_asked_for_and_none_is_lost(
    steps: list[tuple[float, str | None, bool, float]],
) -> None:
    flood = Flood(loaded("a"))
    for pause, name, is_away, chance in steps:
        flood.now += pause
        verdict = flood.state.look_up(name, flood.now)
        assert (verdict is Verdict.WRONG) == (name in (None, "a"))
        if verdict is Verdict.WAIT:
            assert flood.state.due_at <= flood.now
        flood.fetch_if_due(is_away=is_away, chance=chance)
        assert flood.state.held(Algorithm.ES256, "a")
        assert flood.state.due_at <= flood.now + TIMES.interval


def test_names_that_are_waited_for_are_bounded() -> None:
    state = loaded("a")
    verdicts = [state.look_up(f"unknown-{number}", 1100.0) for number in range(2000)]
    assert verdicts.count(Verdict.WAIT) == 1024
    assert verdicts[-1] is Verdict.LATER
