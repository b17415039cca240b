"""All commands in one Typer application."""

from importlib import import_module
from importlib.util import find_spec

import typer

from ..errors import TidewireError
from . import dev
from .output import print_error

__all__ = ["make_app", "run"]

EXPLAINED = 2


def make_app() -> typer.Typer:
    app = typer.Typer(
        name="tidewire",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_about)
    dev.register(app)
    for name in ("config", "publish", "tail", "token", "topics"):
        if find_spec(f"{__package__}.{name}"):
            import_module(f"{__package__}.{name}").register(app)
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
