"""All commands in one Typer application."""

from typing import Annotated

import typer

from .._version import __version__
from ..errors import TidewireError
from . import (
    bench,
    config,
    console,
    dev,
    gateway,
    nodes,
    publish,
    revoke,
    services,
    tail,
    token,
    topics,
    user,
)
from .output import print_error, print_line

__all__ = ["make_app", "run"]

EXPLAINED = 2
MODULES = (
    dev,
    console,
    gateway,
    services,
    publish,
    tail,
    topics,
    nodes,
    user,
    token,
    revoke,
    config,
    bench,
)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        print_line(f"tidewire {__version__}")
        raise typer.Exit


def make_app() -> typer.Typer:
    app = typer.Typer(
        name="tidewire",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_about)
    for module in MODULES:
        module.register(app)
    return app


def _about(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Show it.")
    ] = False,
) -> None:
    """Kafka-backed event streaming to browsers."""


def run() -> int:
    """Run the command that the arguments name; a `TidewireError` is one sentence on stderr."""
    try:
        make_app()()
    except TidewireError as error:
        print_error(error)
        return EXPLAINED
    return 0
