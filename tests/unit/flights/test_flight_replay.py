"""The replay's steps: what is published when, laps, the clock's row, a full buffer."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.errors import BufferFullError
from tidewire_flights.clock import SimClock
from tidewire_flights.events import FLIGHTS, NOTICES, REPLAY, Event
from tidewire_flights.laps import LapEvent, ReplayPoint, Start
from tidewire_flights.replay import CLOCK_KEY, Replay


class RecordingPublisher:
    """Keeps what was published; refuses once when ``full_at`` events are unflushed."""

    def __init__(self, full_at: int = 10_000) -> None:
        self.published: list[tuple[str, str, object]] = []
        self.unflushed = 0
        self.full_at = full_at

    def publish(self, stream: str, key: str, data: object) -> None:
        if self.unflushed >= self.full_at:
            raise BufferFullError("the buffer is full")
        self.unflushed += 1
        self.published.append((stream, key, data))

    def flush(self) -> None:
        self.unflushed = 0

    def keys(self) -> list[str]:
        return [key for stream, key, _ in self.published if stream != REPLAY]


def events_each_minute(lap: int = 1, *, first: int = 0, count: int = 5) -> list[LapEvent]:
    return [LapEvent(lap, Event(first + 60 * n, FLIGHTS, f"JFK/B6-{n}", {})) for n in range(count)]


def endless(events: list[LapEvent]) -> Iterator[LapEvent]:
    yield from events
    while True:
        yield LapEvent(events[-1].lap, Event(10**12, FLIGHTS, "never", {}))


def replay_of(
    events: list[LapEvent], *, speed: float = 60.0, publisher: RecordingPublisher | None = None
) -> tuple[Replay, RecordingPublisher]:
    publisher = publisher or RecordingPublisher()
    return Replay(publisher, Start((), endless(events)), ReplayPoint(1, 0), speed), publisher


def test_events_come_when_the_simulated_clock_reaches_them() -> None:
    replay, publisher = replay_of(events_each_minute())
    assert replay.step(0.0) == 1
    assert replay.step(0.9) == 0
    assert replay.step(0.2) == 1
    assert publisher.keys() == ["JFK/B6-0", "JFK/B6-1"]


def test_a_machine_that_slept_goes_on_without_a_burst() -> None:
    replay, publisher = replay_of(events_each_minute(count=50))
    replay.step(3600.0)
    assert publisher.keys() == ["JFK/B6-0", "JFK/B6-1"]


def test_the_board_at_the_start_is_published_before_anything_else() -> None:
    publisher = RecordingPublisher()
    board = (Event(-5, FLIGHTS, "EWR/UA-1", {}),)
    replay = Replay(publisher, Start(board, endless(events_each_minute())), ReplayPoint(1, 0), 60.0)
    replay.publish_board()
    replay.step(0.0)
    assert publisher.keys() == ["EWR/UA-1", "JFK/B6-0"]


def test_the_next_lap_takes_the_clock_back_and_says_which_lap_it_is() -> None:
    first, second = (
        events_each_minute(count=2, first=1000),
        events_each_minute(2, first=10, count=1),
    )
    replay, publisher = replay_of([*first, *second], speed=2000.0)
    replay.step(1.0)
    progress = replay.report(1.0)
    assert publisher.keys() == ["JFK/B6-0", "JFK/B6-1", "JFK/B6-0"]
    assert progress.point == ReplayPoint(2, 10)


def test_the_clock_row_tells_time_speed_and_rates_and_all_before_it_is_acknowledged() -> None:
    events = [
        *events_each_minute(count=2),
        LapEvent(1, Event(61, NOTICES, "EWR/UA-1", {})),
    ]
    replay, publisher = replay_of(events, speed=120.0)
    replay.step(1.0)
    replay.report(0.5)
    stream, key, row = publisher.published[-1]
    assert (stream, key) == (REPLAY, CLOCK_KEY)
    assert row == {
        "sim": 120_000,
        "lap": 1,
        "speed": 120.0,
        "rate": 6.0,
        "rates": {"JFK": 4.0},
        "published": 3,
    }
    assert publisher.unflushed == 1


def test_rates_start_anew_after_each_report() -> None:
    replay, _ = replay_of(events_each_minute(count=2))
    replay.step(1.0)
    replay.report(1.0)
    assert replay.report(1.0).rate == 0.0


def test_a_full_buffer_is_flushed_and_nothing_is_lost() -> None:
    replay, publisher = replay_of(
        events_each_minute(count=7), speed=3600.0, publisher=RecordingPublisher(full_at=2)
    )
    replay.step(1.0)
    assert publisher.keys() == [f"JFK/B6-{n}" for n in range(7)]


def test_a_speed_beyond_what_a_step_takes_slows_the_clock_and_skips_nothing() -> None:
    replay, publisher = replay_of(events_each_minute(count=5000), speed=10**6)
    assert replay.step(1.0) == 2000
    assert replay.step(1.0) == 2000
    assert replay.step(1.0) == 1000
    assert publisher.keys() == [f"JFK/B6-{n}" for n in range(5000)]


@given(elapsed=st.lists(st.floats(-10, 10_000), max_size=20), speed=st.floats(0.1, 10_000))
def test_the_clock_never_runs_backwards_and_never_leaps(elapsed: list[float], speed: float) -> None:
    clock = SimClock(0.0, speed)
    for stretch in elapsed:
        before, clock = clock.at, clock.advanced(stretch)
        assert before <= clock.at <= before + speed * 1.000001
