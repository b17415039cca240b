"""`tidewire config`: check a configuration, show settings, print the schema."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..config.streams_file import streams_schema
from .output import print_json, print_line, progress
from .service_settings import Service, settings_of

if TYPE_CHECKING:
    from .config_check import Checked

__all__ = ["register"]

FOUND = 1
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Check and show configuration.")
    group.command("check")(check)
    group.command("show")(show)
    group.command("schema")(schema)
    app.add_typer(group, name="config")


def check(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The streams file, read in place of the services'. Default: the one that services name, or streams.yaml.",
            show_default=False,
        ),
    ] = None,
    services: Annotated[
        list[Service] | None,
        typer.Option(
            "--service",
            help="Whose settings to check; may be repeated. Default: those that are told anything here.",
            show_default=False,
        ),
    ] = None,
    nodes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Gateway nodes that there will be; each of `gateway --processes` is one.",
        ),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="How long whoever stops the processes waits before it kills them.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning counts as an error.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check streams.yaml and settings before something starts with them.

    Settings are read as the services would: from the environment, .env and
    TIDEWIRE_SECRETS_DIR. Told are values that cannot be used, files that are not
    there, settings that contradict each other, within a service, between services
    and with the streams, and variables that nothing reads; each with the cure.

    Exit codes: 0 nothing is wrong, warnings aside; 1 something is; 2 `.env` or
    TIDEWIRE_SECRETS_DIR cannot be read, the message says why.
    """
    from .config_check import Plan, check_configuration

    checked = check_configuration(file, services or (), Plan(nodes, grace))
    if as_json:
        print_json(checked.to_json())
    else:
        _tell(checked)
    if checked.problems or (strict and checked.warnings):
        raise typer.Exit(FOUND)


def show(service: Service, as_json: JsonOption = False) -> None:
    """Show the settings that a service would start with, secrets masked.

    Exit codes: 0 done; 2 a setting is wrong, the message names it and the cure.
    """
    model = settings_of(service)
    from ..config.settings import load_settings, redacted

    values = redacted(load_settings(model))
    if as_json:
        print_json(values)
        return
    for name, value in _flat(values):
        print_line(f"{service.prefix}{name}={'' if value is None else value}")


def schema() -> None:
    """Print the JSON Schema of streams.yaml."""
    import json

    print_line(json.dumps(streams_schema(), indent=2))


def _tell(checked: "Checked") -> None:
    for line in (*checked.problems, *(f"warning: {line}" for line in checked.warnings)):
        print_line(line)
    if not checked.services:
        progress().print(
            "No service is told anything here: the streams alone were checked (--service NAME checks one's defaults).",
            style="dim",
        )
    if checked.problems:
        return
    if checked.file is not None:
        print_line(f"{checked.file}: good; streams: {', '.join(sorted(checked.streams))}")
    if checked.services:
        print_line(f"settings: good; services: {', '.join(checked.services)}")


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested settings under their variables' names."""
    found: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            found += _flat(value, f"{prefix}{name.upper()}__")
        else:
            found.append((prefix + name.upper(), value))
    return found
