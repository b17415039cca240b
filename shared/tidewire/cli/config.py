"""`tidewire config`: check streams.yaml, show settings, print the schema."""

from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.errors import ConfigError
from ..config.streams_file import load_streams, streams_schema
from .output import print_json, print_line

__all__ = ["register"]

FOUND = 1
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")]


class Service(StrEnum):
    GATEWAY = "gateway"
    PUBLISHER = "publisher"
    REGISTRY = "registry"
    ROUTER = "router"


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Check and show configuration.")
    group.command("check")(check)
    group.command("show")(show)
    group.command("schema")(schema)
    app.add_typer(group, name="config")


def check(
    file: Annotated[Path, typer.Argument(help="The streams file.")] = Path("streams.yaml"),
    as_json: JsonOption = False,
) -> None:
    """Check a streams.yaml; every problem is told with its line and the cure.

    Exit codes: 0 nothing is wrong; 1 something is.
    """
    try:
        streams = load_streams(file).streams
    except ConfigError as e:
        problems = str(e).splitlines()
        if as_json:
            print_json({"ok": False, "problems": problems})
        else:
            print_line("\n".join(problems))
        raise typer.Exit(FOUND) from None
    if as_json:
        print_json({"ok": True, "streams": sorted(streams)})
    else:
        print_line(f"{file}: good; streams: {', '.join(sorted(streams))}")


def show(service: Service, as_json: JsonOption = False) -> None:
    """Show the settings that a service would start with, secrets masked.

    Exit codes: 0 done; 2 a setting is wrong, the message names it and the cure.
    """
    values, variables = _settings_of(service)
    if as_json:
        print_json(values)
        return
    for name, value in _flat(values):
        print_line(f"{variables}{name}={'' if value is None else value}")


def schema() -> None:
    """Print the JSON Schema of streams.yaml."""
    import json

    print_line(json.dumps(streams_schema(), indent=2))


def _settings_of(service: Service) -> tuple[dict[str, Any], str]:
    """A service's settings, redacted, and its variables' prefix."""
    try:
        from ..config.settings import ServiceSettings, load_settings, redacted

        module = import_module(f"tidewire_{service}.settings")
    except ModuleNotFoundError as e:
        raise ConfigError(
            f"the {service}'s settings need what is not installed ({e.name}): "
            "pip install 'tidewire[server]'"
        ) from None
    settings: type[ServiceSettings] = getattr(module, f"{service.capitalize()}Settings")
    return redacted(load_settings(settings)), settings.model_config.get("env_prefix", "")


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings under their variables' names."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{name.upper()}__")
        else:
            found.append((prefix + name.upper(), value))
    return found
