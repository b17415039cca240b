"""Where `tidewire bench` finds what it measures."""

import os
from pathlib import Path

import pytest

from tidewire.bench.errors import PlanError
from tidewire.bench.live.sites import MetricsMeter, ProcessMeter
from tidewire.cli.bench_nodes import default_channel, found_sites, made_tokens
from tidewire.dev.data_dir import DataDir
from tidewire.dev.running import Node, Running, write_running
from tidewire.identity.keys import ensure_key
from tidewire.identity.tokens import TokenVerifier

A, B = "ws://127.0.0.1:1/v1/ws", "ws://127.0.0.1:2/v1/ws"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The data directory of a run with two nodes and one stream."""
    data_dir = DataDir(tmp_path)
    data_dir.lock.write_text(str(os.getpid()))
    nodes = tuple(Node(url, "http://x", "http://y", pid) for url, pid in ((A, 11), (B, 12)))
    write_running(data_dir, Running(nodes, None, "127.0.0.1:3", None, data_dir.streams))
    data_dir.streams.write_text("streams: {board: {topic: board}}")
    return tmp_path


def test_nodes_of_the_run_are_metered_by_process(run: Path) -> None:
    sites = found_sites([], [], run)
    assert [(site.url, site.meters) for site in sites] == [
        (A, [ProcessMeter(11)]),
        (B, [ProcessMeter(12)]),
    ]


def test_named_node_of_the_run_is_known_and_another_is_not(run: Path) -> None:
    known, other = found_sites([B, "ws://127.0.0.1:3/v1/ws"], [], run)
    assert known.meters == [ProcessMeter(12)]
    assert (other.meters, "--internal" in other.unmetered) == ((), True)


def test_internal_addresses_go_with_the_urls(tmp_path: Path) -> None:
    one, two = "http://127.0.0.1:8", "http://127.0.0.1:9"
    assert [site.meters for site in found_sites([A, B], [one, two], tmp_path)] == [
        [MetricsMeter(one)],
        [MetricsMeter(two)],
    ]
    (behind_one_port,) = found_sites([A], [one, two], tmp_path)
    assert len(behind_one_port.meters) == 2


@pytest.mark.parametrize(
    ("urls", "internals", "said"),
    [
        ([], [], "no `tidewire dev` runs in"),
        ([A, B], ["http://127.0.0.1:8"], "one for each"),
        ([A, A], [], "given twice"),
        (["wss://127.0.0.1/"], [], "no TLS"),
    ],
)
def test_what_cannot_be_measured_is_said(
    tmp_path: Path, urls: list[str], internals: list[str], said: str
) -> None:
    with pytest.raises(PlanError, match=said):
        found_sites(urls, internals, tmp_path)


def test_internal_address_without_url_is_refused(run: Path) -> None:
    with pytest.raises(PlanError, match="goes with --url"):
        found_sites([], ["http://127.0.0.1:8"], run)


@pytest.mark.parametrize(
    ("streams", "channel"), [("board", "board"), ("flights notices", "flights")]
)
def test_channel_is_the_examples_or_the_only_one(run: Path, streams: str, channel: str) -> None:
    declared = ", ".join(f"{name}: {{topic: {name}}}" for name in streams.split())
    DataDir(run).streams.write_text(f"streams: {{{declared}}}")
    assert default_channel(run) == channel


def test_choice_of_streams_is_left_to_the_user(
    run: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    DataDir(run).streams.write_text("streams: {b: {topic: b}, a: {topic: a}}")
    with pytest.raises(PlanError, match="the streams are a, b"):
        default_channel(run)
    with pytest.raises(PlanError, match="name the CHANNEL"):
        default_channel(tmp_path_factory.mktemp("none"))


def test_connections_are_users_of_their_own_where_the_key_is(run: Path) -> None:
    sites = found_sites([], [], run)
    assert made_tokens(sites, 3, run, ttl=60) == []
    verifier = TokenVerifier(ensure_key(DataDir(run).token_key))
    tokens = made_tokens(sites, 3, run, ttl=60)
    assert [verifier.verify(token).user for token in tokens] == ["bench-0", "bench-1", "bench-2"]


def test_key_of_the_run_makes_no_tokens_for_others(run: Path) -> None:
    ensure_key(DataDir(run).token_key)
    elsewhere = found_sites(["ws://127.0.0.1:3/v1/ws"], [], run)
    assert made_tokens(elsewhere, 3, run, ttl=60) == []
