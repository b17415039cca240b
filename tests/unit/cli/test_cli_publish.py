"""`tidewire publish` says what goes with a stream and what with a user."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tidewire.cli.app import make_app
from tidewire.config.errors import ConfigError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), ["publish", *arguments], env={"COLUMNS": "200"})


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and none of the machine's settings."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("TIDEWIRE_"):
            monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--data 1", "a STREAM, or --user"),
        ("flights --user ann --data 1", "a STREAM, or --user"),
        ("--user ann --key k --data 1", "leave --key out"),
        ("--user ann", "--data JSON or --jsonl FILE"),
        ("--user ann --data 1 --jsonl -", "--data JSON or --jsonl FILE"),
        ("flights --key k --data 1 --ttl 5", "--ttl goes with --user"),
        ("flights --key k --data 1 --collapse-key c", "--collapse-key goes with --user"),
        ("flights --data 1", "--data needs --key"),
        ("flights --key k --jsonl -", "leave --key out"),
        ("--user ann --data 1 --ttl soon", "a valid number"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_with_the_cure(
    arguments: str, sentence: str
) -> None:
    result = run(*arguments.split())
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_a_user_needs_kafka_and_no_streams() -> None:
    error = run("--user", "ann", "--data", "1").exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith("no Kafka to talk to")


def test_help_tells_both_ways() -> None:
    told = run("--help").stdout
    for word in ("--user", "--ttl", "--collapse-key", "--targeted-topic", "now or never", "STREAM"):
        assert word in told
