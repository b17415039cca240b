"""How parts are started, and what their ready lines say."""

import json
import signal
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tidewire.dev.data_dir import DataDir
from tidewire.dev.parts import (
    DRAIN_WINDOW,
    Common,
    NodePorts,
    flights_spec,
    gateway_spec,
    ports_of,
    publisher_spec,
    registry_spec,
    router_spec,
)
from tidewire.dev.running import Node, Running, node_of, ready_message, ready_of

COMMON = Common(
    DataDir(Path("/data")),
    kafka="127.0.0.1:9",
    redis="redis://127.0.0.1:10",
    registry_port=11,
    static={"/": Path("/page"), "/sdk/": Path("/sdk")},
)
NODE = Node("ws://127.0.0.1:1/v1/ws", "http://127.0.0.1:1", "http://127.0.0.1:2", 7)
RUNNING = Running((NODE,), "http://127.0.0.1:3", "127.0.0.1:4", None, Path("/data/streams.yaml"))


def test_gateway_is_told_its_ports_its_streams_and_what_it_serves() -> None:
    spec = gateway_spec(COMMON, "gateway-2", NodePorts(8081, 9000))
    told = {
        name.removeprefix("TIDEWIRE_GATEWAY__"): value for name, value in spec.environment.items()
    }
    assert spec.command[1:] == ["-m", "tidewire_gateway"]
    assert (told["HOST"], told["PORT"], told["INTERNAL_PORT"]) == ("127.0.0.1", "8081", "9000")
    assert (told["NODE"], told["STREAMS"]) == ("gateway-2", "/data/streams.yaml")
    assert (told["KAFKA__BOOTSTRAP"], told["DEV"]) == ("127.0.0.1:9", "true")
    assert told["TOKEN_KEY_FILE"] == "/data/token.key"
    assert json.loads(told["STATIC"]) == {"/": "/page", "/sdk/": "/sdk"}


def test_node_drains_when_it_is_told_to_end_alone_and_at_once_with_the_run() -> None:
    spec = gateway_spec(COMMON, "gateway-1", NodePorts(0))
    assert spec.environment["TIDEWIRE_GATEWAY__DRAIN_DELAY"] == "0"
    assert float(spec.environment["TIDEWIRE_GATEWAY__DRAIN_WINDOW"]) == DRAIN_WINDOW
    assert spec.ends_by is signal.SIGINT


def test_limits_that_would_meet_everybody_on_one_machine_are_lifted_and_no_other() -> None:
    told = gateway_spec(COMMON, "gateway-1", NodePorts(0)).environment
    limits = {name.rpartition("LIMITS__")[2]: v for name, v in told.items() if "LIMITS__" in name}
    assert limits == {
        "CONNECTIONS_PER_ADDRESS": "0",
        "ADDRESS_HANDSHAKES_PER_SECOND": "0",
        "HANDSHAKES_PER_SECOND": "0",
    }


def test_node_rests_between_fetches_where_the_broker_needs_it() -> None:
    told = gateway_spec(replace(COMMON, fetch_pause=0.02), "gateway-1", NodePorts(0)).environment
    assert told["TIDEWIRE_GATEWAY__KAFKA__FETCH_PAUSE"] == "0.02"


def test_publisher_takes_a_free_port_on_loopback() -> None:
    environment = publisher_spec(COMMON).environment
    assert environment["TIDEWIRE_PUBLISHER__HOST"] == "127.0.0.1"
    assert environment["TIDEWIRE_PUBLISHER__PORT"] == "0"


def test_every_part_tells_the_console_how_it_is_under_a_name_that_lasts() -> None:
    node = gateway_spec(COMMON, "gateway-1", NodePorts(0)).environment
    publisher = publisher_spec(COMMON).environment
    registry = registry_spec(COMMON).environment
    router = router_spec(COMMON).environment
    assert node["TIDEWIRE_GATEWAY__CONSOLE"] == "true"
    assert publisher["TIDEWIRE_PUBLISHER__CONSOLE"] == "true"
    assert registry["TIDEWIRE_REGISTRY__CONSOLE"] == "true"
    assert registry["TIDEWIRE_REGISTRY__KAFKA__BOOTSTRAP"] == COMMON.kafka
    assert router["TIDEWIRE_ROUTER__CONSOLE"] == "true"
    names = {
        publisher["TIDEWIRE_PUBLISHER__INSTANCE"],
        registry["TIDEWIRE_REGISTRY__INSTANCE"],
        router["TIDEWIRE_ROUTER__INSTANCE_ID"],
    }
    assert names == {"dev"}


def test_replay_keeps_its_own_speed_unless_told_one() -> None:
    assert "--speed" not in flights_spec(COMMON, None).command
    assert list(flights_spec(COMMON, 60.5).command)[-2:] == ["--speed", "60.5"]


def test_node_starts_again_on_the_ports_it_had() -> None:
    assert ports_of(NODE) == NodePorts(1, 2)


def test_ready_message_has_the_fields_that_scripts_rely_on() -> None:
    assert ready_message(RUNNING) == {
        "event": "ready",
        "nodes": [
            {
                "ws": "ws://127.0.0.1:1/v1/ws",
                "http": "http://127.0.0.1:1",
                "internal": "http://127.0.0.1:2",
                "pid": 7,
            }
        ],
        "registry": None,
        "publisher": "http://127.0.0.1:3",
        "kafka": "127.0.0.1:4",
        "redis": None,
    }


@given(st.text(st.characters(exclude_characters="{")), st.integers(0, 200))
def test_ready_line_is_found_once_it_is_whole(noise: str, cut: int) -> None:
    line = json.dumps({"event": "ready", "ws": "w", "http": "h", "internal": "i", "pid": 1})
    whole = ready_of(f'{noise}\n{{"event":"progress"}}\n[1]\n{line}\nmore\n')
    assert whole is not None
    assert node_of(whole) == Node("w", "h", "i", 1)
    assert ready_of(f"{noise}\n{line[: min(cut, len(line) - 1)]}") is None
