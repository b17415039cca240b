"""For how long records are unread, by what is known when the ends are asked for."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.records import TopicPartition
from tidewire_gateway.core.consumer_lag import ConsumerLag, Reach

P, Q = TopicPartition("t", 0), TopicPartition("t", 1)
START_MS = 1_700_000_000_000.0


def ms(seconds: float) -> int:
    return int(START_MS + seconds * 1000)


def test_who_has_read_everything_does_not_lag_however_old_the_last_record_is() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    assert lag.measure({P: Reach(7, 7, ms(-1e6))}, 10.0, ms(10)) == 0
    assert lag.measure({P: Reach(8, 7, None)}, 20.0, ms(20)) == 0
    assert lag.measure({}, 30.0, ms(30)) == 0


def test_what_is_unread_of_a_busy_partition_is_as_old_as_the_last_record_read() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    assert lag.measure({P: Reach(100, 160, ms(1000 - 4.5))}, 1000.0, ms(1000)) == 4.5


def test_a_record_of_a_quiet_partition_is_no_older_than_the_last_measurement() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    lag.measure({P: Reach(7, 7, ms(-3600))}, 3600.0, ms(3600))
    assert lag.measure({P: Reach(7, 8, ms(-3600))}, 3610.0, ms(3610)) == 10.0


def test_lag_of_a_partition_that_stands_still_grows() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    lag.measure({P: Reach(7, 7, None)}, 10.0, ms(10))
    found = [lag.measure({P: Reach(7, 7 + n, None)}, 10.0 + n, ms(10 + n)) for n in range(1, 100)]
    assert found == list(range(1, 100))


def test_who_reads_on_but_never_gets_to_the_end_is_level_with_earlier_ends() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    assert lag.measure({P: Reach(0, 100, None)}, 10.0, ms(10)) == 10.0
    assert lag.measure({P: Reach(50, 200, None)}, 20.0, ms(20)) == 20.0
    assert lag.measure({P: Reach(100, 300, None)}, 30.0, ms(30)) == 20.0
    assert lag.measure({P: Reach(300, 400, None)}, 40.0, ms(40)) == 10.0


def test_records_from_before_the_assignment_count_from_the_assignment_on() -> None:
    lag = ConsumerLag()
    lag.begin(P, 100.0)
    assert lag.measure({P: Reach(3, 90, ms(-1e7))}, 102.5, ms(102.5)) == 2.5
    lag.begin(P, 110.0)
    assert lag.measure({P: Reach(0, 90, None)}, 111.0, ms(111)) == 1.0


def test_the_partition_that_lags_most_is_told_of_and_who_is_gone_is_forgotten() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    lag.begin(Q, 5.0)
    both = {P: Reach(0, 1, None), Q: Reach(0, 1, None)}
    assert lag.measure(both, 10.0, ms(10)) == 10.0
    assert lag.measure({Q: both[Q]}, 10.0, ms(10)) == 5.0
    assert lag.measure(both, 20.0, ms(20)) == 15.0


def test_clock_that_is_behind_the_producers_makes_no_negative_lag() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    assert lag.measure({P: Reach(5, 6, ms(500))}, 10.0, ms(10)) == 0


def test_a_topic_that_was_cut_off_is_measured_anew() -> None:
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    lag.measure({P: Reach(50, 100, None)}, 10.0, ms(10))
    assert lag.measure({P: Reach(60, 40, None)}, 20.0, ms(20)) == 0
    assert lag.measure({P: Reach(60, 70, None)}, 30.0, ms(30)) == 10.0
    assert lag.measure({P: Reach(70, 80, None)}, 40.0, ms(40)) == 10.0


@given(
    st.lists(st.floats(0.0, 20.0), max_size=40),
    st.lists(st.tuples(st.floats(0.1, 15.0), st.integers(0, 12)), min_size=1, max_size=20),
    st.booleans(),
)
def test_no_record_waits_longer_than_is_told(
    pauses: list[float], measurements: list[tuple[float, int]], knows_timestamps: bool
) -> None:
    arrivals: list[float] = []
    for pause in pauses:
        arrivals.append((arrivals[-1] if arrivals else 0.0) + pause)
    lag = ConsumerLag()
    lag.begin(P, 0.0)
    now, read = 0.0, 0
    for after, more in measurements:
        now += after
        end = bisect_left(arrivals, now)
        read = min(read + more, end)
        last_ms = int(arrivals[read - 1] * 1000) if read and knows_timestamps else None
        told = lag.measure({P: Reach(read, end, last_ms)}, now, now * 1000)
        if read == end:
            assert told == 0
        else:
            assert now - arrivals[read] <= told + 1e-6
            assert told <= now
