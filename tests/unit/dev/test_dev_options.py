"""Options of `tidewire dev`: what is refused, and with which words."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.dev.errors import OptionError
from tidewire.dev.options import DevOptions, Example

ports = st.integers(1, 65_535)
hosts = st.sampled_from(["127.0.0.1", "kafka", "broker-1.example", "[::1]"])


@given(st.lists(st.tuples(hosts, ports), min_size=1, max_size=5))
def test_any_list_of_addresses_is_a_broker(pairs: list[tuple[str, int]]) -> None:
    broker = ",".join(f"{host}:{port}" for host, port in pairs)
    assert DevOptions(broker=broker).broker == broker


@pytest.mark.parametrize("word", ["embedded", "kafka"])
def test_words_for_included_brokers_are_taken(word: str) -> None:
    assert DevOptions(broker=word).broker == word


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"port": 65_536}, "--port 65536"),
        ({"port": -1}, "--port -1"),
        ({"nodes": 0}, "--nodes 0"),
        ({"nodes": 65}, "--nodes 65"),
        ({"speed": 0.0}, "--speed 0"),
        ({"speed": float("nan")}, "--speed nan"),
        ({"speed": float("inf")}, "--speed inf"),
        ({"broker": ""}, "--broker ''"),
        ({"broker": "kafka:"}, "--broker 'kafka:'"),
        ({"broker": "a:1,,b:2"}, "--broker 'a:1,,b:2'"),
        ({"broker": "a:0"}, "--broker 'a:0'"),
        ({"broker": "a:٣"}, "--broker 'a:٣'"),
        ({"redis": "127.0.0.1:6379"}, "--redis '127.0.0.1:6379'"),
        ({"redis": "redis://h:99999"}, "--redis 'redis://h:99999'"),
    ],
)
def test_unusable_value_is_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(OptionError) as refused:
        DevOptions(**options)
    assert said in str(refused.value)


def test_example_is_served_unless_only_own_streams_are_wanted() -> None:
    own = Path("streams.yaml")
    assert DevOptions().serves_example
    assert DevOptions(example=Example.NONE).serves_example
    assert DevOptions(streams=own).serves_example
    assert not DevOptions(streams=own, example=Example.NONE).serves_example
