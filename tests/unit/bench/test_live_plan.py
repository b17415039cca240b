"""What `tidewire bench` may be asked for."""

import json
from typing import Any

import pytest

from tidewire.bench.errors import PlanError
from tidewire.bench.live.plan import Plan, Publication
from tidewire.bench.live.publishing import data_of, keys_of
from tidewire.bench.live.sites import MetricsMeter, Site, check_url, shares_of
from tidewire.bench.live.subscribing import load_options
from tidewire.config.streams import Stream
from tidewire.protocol.codes import Mode

URL = "ws://127.0.0.1:1/v1/ws"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"connections": 0}, "--connections 0"),
        ({"connections": 20_001}, "give 1 to 20,000"),
        ({"seconds": 0}, "--seconds 0"),
        ({"seconds": float("nan")}, "--seconds nan"),
        ({"seconds": 3601}, "give above 0 to 3,600"),
        ({"handshake_seconds": -1}, "--handshakes -1"),
        ({"interval_ms": -1}, "--interval -1"),
        ({"connect_rate": -0.5}, "--connect-rate -0.5"),
        ({"channel": "two words"}, "CHANNEL 'two words'"),
        ({"channel": "flights/"}, "STREAM or STREAM/GROUP"),
    ],
)
def test_option_that_is_impossible_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError) as raised:
        Plan(**{"channel": "flights", **options})
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rate": 0}, "--publish 0"),
        ({"rate": 100_001}, "give above 0 to 100,000"),
        ({"keys": 0}, "--keys 0"),
        ({"data_bytes": 10}, "--data-bytes 10"),
    ],
)
def test_publication_that_is_impossible_is_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(PlanError) as raised:
        Publication(**{"stream": "flights", "rate": 1.0, **options})
    assert said in str(raised.value)


def test_bounds_themselves_are_possible() -> None:
    publication = Publication(stream="flights", rate=100_000, keys=100_000, data_bytes=900_000)
    Plan(channel="flights/JFK", connections=20_000, seconds=3600, publication=publication)


def publishing(channel: str, *, keys: int = 3) -> Plan:
    stream = channel.partition("/")[0]
    return Plan(channel=channel, publication=Publication(stream=stream, rate=5.0, keys=keys))


def test_published_stream_is_that_of_the_channel() -> None:
    with pytest.raises(PlanError, match="notices") as raised:
        Plan(channel="flights/JFK", publication=Publication(stream="notices", rate=1.0))
    assert "--stream flights" in str(raised.value)


@pytest.mark.parametrize(
    ("group", "channel", "keys"),
    [
        ("none", "board", ["bench-0", "bench-1", "bench-2"]),
        ("key", "board", ["bench-0", "bench-1", "bench-2"]),
        ("key-prefix", "board", ["bench-0/bench", "bench-1/bench", "bench-2/bench"]),
        ("key-prefix", "board/JFK", ["JFK/bench-0", "JFK/bench-1", "JFK/bench-2"]),
    ],
)
def test_keys_are_those_that_the_channel_shows(group: Any, channel: str, keys: list[str]) -> None:
    assert keys_of(publishing(channel), Stream(topic="board", group=group)) == keys


def test_channel_of_one_key_takes_one_key() -> None:
    rules = Stream(topic="board", group="key")
    assert keys_of(publishing("board/a", keys=1), rules) == ["a"]
    with pytest.raises(PlanError, match="--keys 1"):
        keys_of(publishing("board/a"), rules)


def test_stream_of_other_entities_is_refused() -> None:
    with pytest.raises(PlanError, match="value:flight"):
        keys_of(publishing("board"), Stream(topic="board", entity="value:flight"))


@pytest.mark.parametrize("size", [50, 150, 5000])
def test_data_is_json_of_the_size_asked_for(size: int) -> None:
    data = data_of(123_456_789, size)
    assert len(data) == size
    assert json.loads(data)["bench_at"] == 123_456_789


def test_connections_ask_for_what_the_plan_says() -> None:
    plan = Plan(channel="flights/JFK", connections=10, mode=Mode.EVERY, interval_ms=250)
    options = load_options(plan, URL, 5, ["t1", "t2"])
    hello, subscribe = json.loads(options.script[0])
    assert hello["payload"]["token"] == "{token}"
    assert subscribe["payload"] == {
        "channel": "flights/JFK",
        "snapshot": False,
        "mode": "every",
        "interval_ms": 250,
    }
    assert (options.connections, options.clock, options.stamp) == (5, "unix-ms", '"ts":')


def test_anonymous_connections_leave_the_defaults_to_the_stream() -> None:
    hello, subscribe = json.loads(load_options(publishing("board"), URL, 1, []).script[0])
    assert "token" not in hello["payload"]
    assert subscribe["payload"] == {"channel": "board", "snapshot": False}


def test_where_the_plan_publishes_only_its_own_events_count() -> None:
    options = load_options(publishing("board"), URL, 1, [])
    assert options.event == options.stamp
    assert options.stamp.encode() in data_of(1, 50)
    assert options.clock == "monotonic-ns"


def test_connect_rate_is_shared_among_the_sites_and_churn_knows_none() -> None:
    plan = Plan(channel="board", connections=10, connect_rate=100.0)
    assert load_options(plan, URL, 5, []).connect_rate == 50.0
    assert load_options(plan, URL, 5, [], churn=True).connect_rate == 0.0


def test_connections_are_spread_evenly() -> None:
    assert shares_of(10, 3) == [4, 3, 3]
    with pytest.raises(PlanError, match="at least 3"):
        shares_of(2, 3)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("wss://a/v1/ws", "no TLS"),
        ("http://a/v1/ws", "ws://HOST:PORT"),
        ("ws:///v1/ws", "ws://HOST:PORT"),
    ],
)
def test_address_that_cannot_be_loaded_is_refused(url: str, said: str) -> None:
    with pytest.raises(PlanError, match=said):
        check_url(url)


def test_internal_address_is_http() -> None:
    with pytest.raises(PlanError, match="--internal file:"):
        MetricsMeter("file:///etc/passwd")


def test_site_that_nobody_meters_has_no_usage() -> None:
    assert Site(URL).usage() is None
