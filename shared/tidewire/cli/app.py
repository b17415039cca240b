"""All commands in one Typer application."""

import typer

from ..errors import TidewireError
from . import config, dev, publish, tail, token, topics
from .output import print_error

__all__ = ["make_app", "run"]

EXPLAINED = 2
MODULES = (dev, publish, tail, topics, token, config)


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


def _about() -> None:
    """Kafka-backed event streaming to browsers."""


def run() -> int:
    """Run the command that the arguments name; a `TidewireError` is one sentence on stderr."""
    try:
        make_app()()
    except TidewireError as error:
        print_error(error)
        return EXPLAINED
    return 0
