"""`tidewire publisher|registry|router` become the service, or say what is missing."""

import os
import sys

import pytest
from typer.testing import CliRunner

from tidewire.cli import services
from tidewire.cli.app import make_app
from tidewire.config.errors import ConfigError

SERVICES = ["publisher", "registry", "router"]


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that this process would have become."""
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _program, command: commands.append(command))
    return commands


@pytest.mark.parametrize("service", SERVICES)
def test_command_becomes_the_service(became: list[list[str]], service: str) -> None:
    assert CliRunner().invoke(make_app(), [service]).exit_code == 0
    assert became == [[sys.executable, "-m", f"tidewire_{service}"]]


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_not_installed_is_named_with_the_cure(
    became: list[list[str]], monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    for name in ("SERVER", "TARGETED"):
        monkeypatch.setattr(services, name, ("sys", "no_such_package"))
    error = CliRunner().invoke(make_app(), [service]).exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"the {service} needs what is not installed (no_such_package)")
    assert became == []


@pytest.mark.parametrize("service", SERVICES)
def test_help_says_how_to_configure_it(service: str) -> None:
    told = CliRunner().invoke(make_app(), [service, "--help"]).stdout
    assert f"TIDEWIRE_{service.upper()}__" in told
    assert f"tidewire config show {service}" in told
