"""`tidewire gateway` becomes the gateway, or says what is missing."""

import os
import sys

import pytest
from typer.testing import CliRunner, Result

from tidewire.cli import gateway
from tidewire.cli.app import make_app
from tidewire.config.errors import ConfigError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), ["gateway", *arguments])


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that this process would have become."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, command: commands.append(command))
    return commands


@pytest.mark.parametrize(("options", "number"), [((), "1"), (("--processes", "4"), "4")])
def test_command_becomes_the_gateway(
    became: list[list[str]], options: tuple[str, ...], number: str
) -> None:
    assert run(*options).exit_code == 0
    assert became == [[sys.executable, "-m", "tidewire_gateway", "--processes", number]]


def test_number_that_is_none_is_refused(became: list[list[str]]) -> None:
    assert run("--processes", "many").exit_code == 2
    assert became == []


def test_what_is_not_installed_is_named_with_the_cure(
    became: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "NEEDED", ("sys", "no_such_package"))
    error = run().exception
    assert isinstance(error, ConfigError)
    assert str(error) == (
        "the gateway needs what is not installed (no_such_package): pip install 'tidewire[server]'"
    )
    assert became == []


def test_help_says_how_to_configure_it_and_what_the_option_does() -> None:
    told = run("--help").stdout
    for word in (
        "TIDEWIRE_GATEWAY__STREAMS",
        "tidewire config show gateway",
        "--processes",
        "SIGTERM",
    ):
        assert word in told
