"""`tidewire nodes` and `tidewire user` against a registry that answers as the real one does."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.answering import answering
from tidewire.cli.app import make_app
from tidewire.cli.registry_client import RegistryAnswerError
from tidewire.config.errors import ConfigError
from tidewire.dev.data_dir import claimed
from tidewire.dev.running import Running, write_running
from tidewire.targeting.errors import InvalidUserError

Answers = dict[tuple[str, str], tuple[int, Any]]
NODES: dict[str, Any] = {
    "nodes": [
        {
            "node": "gateway-0",
            "slot": 3,
            "epoch": "0" * 32,
            "address": "http://10.0.0.1:9090",
            "zone": None,
            "state": "ready",
            "load": {"connections": 1840, "loop_lag": 0.002, "partitions": 12},
            "partitions": 0,
            "sessions": 1700,
            "lease_ms_left": 7900,
            "is_live": True,
        },
        {
            "node": "gateway-[b]",
            "slot": 4,
            "epoch": "1" * 32,
            "address": "http://10.0.0.2:9090",
            "zone": "b",
            "state": "draining",
            "load": {},
            "partitions": 0,
            "sessions": 0,
            "lease_ms_left": -20,
            "is_live": False,
        },
    ],
    "slots": {"total": 16, "used": 2},
    "frozen": False,
}
DEVICES: dict[str, Any] = {
    "user": "a/b",
    "devices": [
        {
            "connection": "c-1",
            "node": "gateway-0",
            "device": "phone",
            "since_ms": 1_700_000_000_000,
            "is_live": True,
        },
        {
            "connection": "c-2",
            "node": None,
            "device": None,
            "since_ms": 1_700_000_000_000,
            "is_live": False,
        },
    ],
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments))


def told(answers: Answers, *arguments: str) -> Result:
    with answering(answers) as registry:
        return run(*arguments, "--registry", registry.url)


def test_nodes_are_listed_with_lease_and_load() -> None:
    result = told({("GET", "/v1/nodes"): (200, NODES)}, "nodes")
    assert result.exit_code == 0, result.exception
    heading, first, second, slots = result.stdout.splitlines()
    assert heading.split() == [
        *("node", "slot", "state", "live", "sessions", "connections", "partitions"),
        *("lease", "left", "address"),
    ]
    assert first.split() == [
        *("gateway-0", "3", "ready", "yes", "1,700", "1,840", "12"),
        *("7.9", "s", "http://10.0.0.1:9090"),
    ]
    assert second.split() == [
        *("gateway-[b]", "4", "draining", "no", "0", "0.0", "s", "http://10.0.0.2:9090")
    ]
    assert slots == "2 of 16 slots held"


def test_scripts_get_the_registrys_own_answer() -> None:
    result = told({("GET", "/v1/nodes"): (200, NODES)}, "nodes", "--json")
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 1
    assert json.loads(result.stdout) == NODES


def test_no_node_and_a_freeze_are_told() -> None:
    empty = {"nodes": [], "slots": {"total": 16, "used": 0}, "frozen": True}
    result = told({("GET", "/v1/nodes"): (200, empty)}, "nodes")
    assert (result.exit_code, result.stdout) == (0, "0 of 16 slots held\n")
    assert "leases do not expire" in result.stderr


def test_a_user_is_told_by_its_devices() -> None:
    answers: Answers = {("GET", "/v1/users/a%2Fb"): (200, DEVICES)}
    result = told(answers, "user", "a/b")
    assert result.exit_code == 0, result.exception
    heading, first, second = result.stdout.splitlines()
    assert heading.split() == ["connection", "node", "device", "since", "live"]
    assert first.split()[:3] == ["c-1", "gateway-0", "phone"]
    assert first.split()[-1] == "yes"
    assert (second.split()[0], second.split()[-1]) == ("c-2", "no")
    assert json.loads(told(answers, "user", "a/b", "--json").stdout) == DEVICES


def test_a_user_who_is_away_is_no_failure() -> None:
    away = {"user": "ann", "devices": [], "mailbox": {"length": 3, "last": 17}}
    result = told({("GET", "/v1/users/ann"): (200, away)}, "user", "ann")
    assert (result.exit_code, result.stdout) == (
        0,
        "ann is not connected\nmailbox: length 3, last 17\n",
    )


def test_a_user_that_looks_like_a_step_up_is_a_user() -> None:
    away = {"user": "..", "devices": []}
    result = told({("GET", "/v1/users/%2E%2E"): (200, away)}, "user", "..")
    assert result.stdout == ".. is not connected\n"


def test_connections_are_ended_on_demand() -> None:
    ended = {"connections": 2, "nodes": [{"node": "gateway-0", "connections": 2, "error": None}]}
    answers: Answers = {("POST", "/v1/users/ann/disconnect"): (200, ended)}
    result = told(answers, "user", "ann", "--disconnect")
    assert (result.exit_code, result.stdout) == (0, "2 connections of ann closed\n")
    assert json.loads(told(answers, "user", "ann", "--disconnect", "--json").stdout) == ended


def test_a_node_that_could_not_be_told_is_named() -> None:
    ended = {
        "connections": 1,
        "nodes": [
            {"node": "gateway-0", "connections": 1},
            {"node": "gateway-1", "error": "no answer within 2 s"},
        ],
    }
    answers: Answers = {("POST", "/v1/users/ann/disconnect"): (200, ended)}
    result = told(answers, "user", "ann", "--disconnect")
    assert (result.exit_code, result.stdout) == (1, "1 connection of ann closed\n")
    assert "gateway-1 could not be told: no answer within 2 s" in result.stderr
    assert told(answers, "user", "ann", "--disconnect", "--json").exit_code == 1


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, b"<html>", "does not answer as a registry does"),
        (200, {"nodes": [{}]}, "does not answer as a registry does"),
        (500, b"oops", "answered 500: is it a registry?"),
        (404, {"detail": "Not Found"}, "answered 404: is it a registry?"),
        (
            503,
            {"type": "urn:tidewire:problem:store-unavailable", "detail": "Redis is away"},
            "answered 503: Redis is away",
        ),
    ],
)
def test_what_is_no_answer_is_one_sentence(status: int, body: Any, sentence: str) -> None:
    error = told({("GET", "/v1/nodes"): (status, body)}, "nodes").exception
    assert isinstance(error, RegistryAnswerError)
    assert sentence in str(error)
    assert "\n" not in str(error)


def test_a_registry_that_is_away_is_one_sentence() -> None:
    with answering({}) as registry:
        url = registry.url
    for command in (("nodes",), ("user", "ann")):
        error = run(*command, "--registry", url).exception
        assert isinstance(error, RegistryAnswerError)
        assert str(error).startswith(f"the registry at {url} cannot be reached (")
        assert str(error).endswith("name another with --registry URL")


@pytest.mark.parametrize(
    "url", ["registry:8082", "ftp://x", "http://", "http://[", "", "http://x:99999"]
)
def test_a_registry_that_is_no_address_is_refused(url: str) -> None:
    error = run("nodes", "--registry", url).exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith("--registry: must be a URL such as http://")


def test_a_user_that_nobody_can_be_is_refused_before_anybody_is_asked() -> None:
    for user in ("", "a\nb", "x" * 256):
        assert isinstance(run("user", user, "--registry", "http://x").exception, InvalidUserError)


def test_what_is_not_installed_is_named_with_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    monkeypatch.delitem(sys.modules, "tidewire.cli.registry_client")
    error = run("nodes", "--registry", "http://127.0.0.1:8082").exception
    assert isinstance(error, ConfigError)
    assert str(error).endswith(
        "needs httpx, which is not installed: pip install 'tidewire[server]'"
    )


def test_the_registry_of_a_run_is_found(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    here = ("--data-dir", str(data_dir))
    error = run("nodes", *here).exception
    assert isinstance(error, ConfigError)
    assert "no `tidewire dev` runs in" in str(error)
    assert "--registry URL" in str(error)
    answers: Answers = {("GET", "/v1/nodes"): (200, NODES)}
    with claimed(data_dir) as held, answering(answers) as registry:
        running = Running(
            nodes=(), publisher=None, kafka="127.0.0.1:19", redis=None, streams=held.streams
        )
        write_running(held, running)
        assert "runs none" in str(run("nodes", *here).exception)
        write_running(
            held,
            Running(
                nodes=(),
                publisher=None,
                kafka="127.0.0.1:19",
                redis=None,
                streams=held.streams,
                registry=registry.url,
            ),
        )
        assert json.loads(run("nodes", *here, "--json").stdout) == NODES


@pytest.mark.parametrize(
    "arguments", [("nodes",), ("user", "a/b"), ("user", "a/b", "--disconnect")]
)
def test_registry_is_shown_the_key_that_was_named(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    key_file = tmp_path / "internal.key"
    key_file.write_text(f"{'a' * 64}\n{'b' * 64}\n")
    with answering({}) as registry:
        run(*arguments, "--registry", registry.url)
        run(*arguments, "--registry", registry.url, "--internal-key-file", str(key_file))
    without, with_key = registry.asked
    assert "authorization" not in without.headers
    assert with_key.headers["authorization"] == f"Bearer {'a' * 64}"


def test_key_file_that_cannot_be_used_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    key_file = tmp_path / "internal.key"
    with answering({}) as registry:
        result = run("nodes", "--registry", registry.url, "--internal-key-file", str(key_file))
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception).startswith(f"{key_file}: no such internal key")
    assert registry.asked == []
