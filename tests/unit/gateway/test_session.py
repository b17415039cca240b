"""The session, its allowance and its heartbeat, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.records import TopicPartition
from tidewire_gateway.core.allowance import Allowance
from tidewire_gateway.core.demand import Demand
from tidewire_gateway.core.heartbeat import Beat, Heartbeat, beat_together
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.session import (
    Authenticate,
    Close,
    Deadline,
    Perform,
    Refuse,
    Session,
    SessionState,
)

HELLO = b'{"v":1,"type":"hello","id":1,"payload":{"client":"x/1"}}'
SUBSCRIBE = b'{"v":1,"type":"subscribe","id":2,"payload":{"channel":"s"}}'


def fresh(limits: Limits | None = None) -> Session:
    return Session(limits or Limits(), 100.0, age=1000.0)


def active(limits: Limits | None = None) -> Session:
    session = fresh(limits)
    list(session.receive_text(HELLO, 100.0))
    session.welcome(None)
    return session


def code_of(action: object) -> str:
    assert isinstance(action, Refuse)
    return action.fault.code


def test_hello_is_authenticated_first() -> None:
    session = fresh()
    actions = list(session.receive_text(HELLO, 100.0))
    assert [type(a) for a in actions] == [Authenticate]
    assert session.state is SessionState.AUTHENTICATING


def test_messages_behind_a_hello_wait_for_its_verdict() -> None:
    session = fresh()
    frame = b"[" + HELLO + b"," + SUBSCRIBE + b"]"
    seen = []
    for action in session.receive_text(frame, 100.0):
        seen.append(type(action))
        if isinstance(action, Authenticate):
            session.welcome(None)
    assert seen == [Authenticate, Perform]


def test_refused_hello_ends_the_frame() -> None:
    session = fresh()
    frame = b"[" + HELLO + b"," + SUBSCRIBE + b"]"
    seen = []
    for action in session.receive_text(frame, 100.0):
        seen.append(type(action))
        session.closed()
    assert seen == [Authenticate]


@pytest.mark.parametrize("frame", [SUBSCRIBE, b"nonsense", b'{"v":1,"type":"hello"}'])
def test_anything_else_before_hello_closes(frame: bytes) -> None:
    actions = list(fresh().receive_text(frame, 100.0))
    assert [a.code for a in actions if isinstance(a, Close)] == [3501]


def test_faults_are_answered_and_repetition_closes() -> None:
    session = active(Limits(bad_frames=2))
    assert [code_of(a) for a in session.receive_text(b"x", 100.0)] == ["bad_request"]
    last = list(session.receive_binary())
    assert isinstance(last[-1], Close)
    assert session.state is SessionState.CLOSED


def test_fault_in_one_message_leaves_the_others() -> None:
    frame = b'[{"v":1,"type":"ack"},' + SUBSCRIBE + b"]"
    first, second = active().receive_text(frame, 100.0)
    assert code_of(first) == "unsupported"
    assert isinstance(second, Perform)


def test_message_rate_is_held_and_recovers() -> None:
    limits = Limits(messages_in=2, messages_in_window=10.0, subscriptions_per_connection=0)
    session = active(limits)
    kinds = [type(a) for _ in range(3) for a in session.receive_text(SUBSCRIBE, 100.0)]
    assert kinds == [Perform, Perform, Refuse]
    assert [type(a) for a in session.receive_text(SUBSCRIBE, 105.0)] == [Perform]


def test_client_that_nobody_looked_at_has_the_whole_time_for_hello_again() -> None:
    session = Session(Limits(), 100.0, age=1000.0)
    session.wait_for_hello(130.0)
    assert session.next_deadline() == (138.0, Deadline.HELLO)


def test_deadlines_follow_the_state() -> None:
    session = fresh()
    assert session.next_deadline() == (108.0, Deadline.HELLO)
    session.welcome(None)
    assert session.next_deadline() == (1100.0, Deadline.AGE)
    session.welcome(500.0)
    assert session.next_deadline() == (500.0, Deadline.EXPIRY)
    session.welcome(None)
    assert session.go_away(1130.0)
    assert session.next_deadline() == (1130.0, Deadline.MOVE)


def test_client_is_told_to_move_again_only_when_it_has_less_time() -> None:
    session = active()
    assert session.go_away(150.0)
    assert not session.go_away(160.0)
    assert session.next_deadline() == (150.0, Deadline.MOVE)
    assert session.go_away(140.0)
    assert session.move_by == 140.0
    session.closed()
    assert not session.go_away(120.0)


def test_client_that_has_to_move_before_its_hello_is_closed_by_then() -> None:
    session = fresh()
    assert session.go_away(104.0)
    assert session.next_deadline() == (104.0, Deadline.MOVE)
    session.welcome(None)
    assert session.next_deadline() == (104.0, Deadline.MOVE)


@given(st.lists(st.floats(0, 20), max_size=60))
def test_allowance_never_grants_more_than_its_rate(pauses: list[float]) -> None:
    allowance = Allowance(5, 10.0, 0.0)
    now, granted = 0.0, 0
    for pause in pauses:
        now += pause
        wait = allowance.take(now)
        if wait == 0:
            granted += 1
        else:
            assert 0 < wait <= 2.0 + 1e-9
        assert granted <= 5 + now / 2.0 + 1e-6


@given(st.floats(0, 1e9), st.floats(0, 0.01))
def test_beats_that_are_near_fall_together_and_none_falls_early(at: float, later: float) -> None:
    beats = beat_together(at), beat_together(at + later)
    assert at <= beats[0] < at + 0.0501
    assert beats[1] - beats[0] < 1e-6 or beats[1] - beats[0] == pytest.approx(0.05, abs=1e-6)


def test_peer_that_answers_lives_and_its_round_trip_is_known() -> None:
    heartbeat = Heartbeat(2)
    for n in range(10):
        assert heartbeat.beat(b"%d" % n, n * 25.0) is Beat.PING
        assert heartbeat.pong(b"%d" % n, n * 25.0 + 0.25) == 0.25
    assert heartbeat.round_trip == 0.25


def test_pong_tells_how_old_what_was_written_before_its_ping_is_by_then() -> None:
    heartbeat = Heartbeat(3)
    heartbeat.beat(b"0", 100.0, 99.0)
    heartbeat.beat(b"1", 125.0)
    heartbeat.beat(b"2", 150.0, 149.5)
    told = []
    for nonce, at in ((b"0", 125.5), (b"1", 126.0), (b"2", 150.25)):
        told.append((heartbeat.pong(nonce, at), heartbeat.age))
    assert told == [(25.5, 26.5), (1.0, None), (0.25, 0.75)]


def test_peer_that_never_answers_is_dead_after_the_limit() -> None:
    heartbeat = Heartbeat(2)
    beats = [heartbeat.beat(b"%d" % n, 0.0) for n in range(3)]
    assert beats == [Beat.PING, Beat.PING, Beat.DEAD]


def test_pong_of_an_earlier_ping_counts_and_makes_older_ones_void() -> None:
    heartbeat = Heartbeat(3)
    for n in range(3):
        heartbeat.beat(b"%d" % n, float(n))
    assert heartbeat.pong(b"1", 5.0) == 4.0
    assert heartbeat.pong(b"0", 6.0) is None
    assert heartbeat.pong(b"2", 6.0) == 4.0


def test_pings_that_nobody_answers_are_not_kept() -> None:
    heartbeat = Heartbeat(2)
    for n in range(10):
        heartbeat.beat(b"%d" % n, 0.0)
        heartbeat.sign_of_life()
    assert heartbeat.pong(b"1", 1.0) is None
    assert heartbeat.pong(b"8", 1.0) == 1.0


def test_forged_or_stale_pong_counts_for_nothing() -> None:
    heartbeat = Heartbeat(1)
    assert heartbeat.pong(b"", 0.0) is None
    heartbeat.beat(b"a", 0.0)
    assert heartbeat.pong(b"b", 0.0) is None
    assert heartbeat.beat(b"c", 1.0) is Beat.DEAD


def test_draining_bytes_are_a_sign_of_life() -> None:
    heartbeat = Heartbeat(1)
    for n in range(5):
        assert heartbeat.beat(b"%d" % n, 0.0) is Beat.PING
        heartbeat.sign_of_life()


def test_partition_lingers_after_its_last_subscription() -> None:
    demand = Demand(30.0)
    partition = TopicPartition("t", 0)
    demand.acquire([partition])
    demand.acquire([partition])
    demand.release([partition], 0.0)
    demand.release([partition], 10.0)
    version = demand.version
    demand.expire(39.0)
    assert demand.wanted() == {partition}
    demand.expire(40.0)
    assert demand.wanted() == frozenset()
    assert demand.version == version + 1


def test_partition_wanted_again_while_it_lingers_changes_nothing() -> None:
    demand = Demand(30.0)
    partition = TopicPartition("t", 0)
    demand.acquire([partition])
    demand.release([partition], 0.0)
    version = demand.version
    demand.acquire([partition])
    demand.expire(100.0)
    assert demand.wanted() == {partition}
    assert demand.version == version


# What comes while the credentials are looked at


def looked_at(limits: Limits | None = None) -> Session:
    session = fresh(limits)
    list(session.receive_text(HELLO, 100.0))
    return session


def test_what_comes_behind_a_hello_is_held_until_it_is_accepted() -> None:
    session = looked_at()
    for frame in (SUBSCRIBE, b'{"v":1,"type":"ack"}', HELLO):
        assert list(session.receive_text(frame, 101.0)) == []
    session.welcome(None)
    kinds = [type(action) for action in session.release(102.0)]
    assert kinds == [Perform, Refuse, Refuse]
    assert list(session.release(102.0)) == []


def test_what_is_held_has_a_limit() -> None:
    session = looked_at(Limits(max_frame_in=1024))
    actions: list[object] = []
    frames = 0
    while not actions:
        frames += 1
        actions = list(session.receive_text(SUBSCRIBE, 101.0))
    assert [a.code for a in actions if isinstance(a, Close)] == [3030]
    assert (frames - 1) * len(SUBSCRIBE) <= 1024 < frames * len(SUBSCRIBE)


def test_what_is_held_counts_as_messages_once_it_is_let_go() -> None:
    limits = Limits(messages_in=2, messages_in_window=10.0, subscriptions_per_connection=0)
    session = looked_at(limits)
    for _ in range(3):
        list(session.receive_text(SUBSCRIBE, 100.0))
    session.welcome(None)
    assert [type(a) for a in session.release(100.0)] == [Perform, Perform, Refuse]


def test_session_that_ends_meanwhile_lets_nothing_go() -> None:
    session = looked_at()
    list(session.receive_text(SUBSCRIBE, 100.0))
    session.closed()
    assert list(session.release(100.0)) == []


def test_deadline_of_hello_holds_while_the_credentials_are_looked_at() -> None:
    assert looked_at().next_deadline() == (108.0, Deadline.HELLO)


def test_frames_that_are_not_the_protocol_end_the_wait() -> None:
    session = looked_at(Limits(bad_frames=2))
    list(session.receive_binary())
    assert isinstance(list(session.receive_text(b"x", 100.0))[-1], Close)
