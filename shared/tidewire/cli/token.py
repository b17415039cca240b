"""`tidewire token`: tokens for development."""

from pathlib import Path
from typing import Annotated

import typer

from ..dev.options import DEFAULT_DATA_DIR
from ..errors import TidewireError
from ..identity.keys import ensure_key
from ..identity.rights import Action, parse_pattern
from .output import print_line, progress

__all__ = ["register"]

_MAX_TTL = 10 * 365 * 24 * 3600


class MissingExtraError(TidewireError):
    """A command needs a package that is not installed."""


def register(app: typer.Typer) -> None:
    app.command("token")(token)


def token(
    user: Annotated[list[str], typer.Option(help="Whom a token speaks for; a token for each.")],
    subscribe: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Channels to read: flights, 'flights/*', '**'."),
    ] = None,
    publish: Annotated[
        list[str] | None, typer.Option(metavar="PATTERN", help="Streams to publish to.")
    ] = None,
    ttl: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=_MAX_TTL, help="How long they are good.")
    ] = 3600,
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Data directory of the `tidewire dev` they are for.")
    ] = DEFAULT_DATA_DIR,
) -> None:
    """Print a token a line, one for each --user, that a `dev` in the same data directory accepts.

    In a PATTERN `*` is one segment, a closing `**` any number: 'flights/**' covers flights and all
    its groups. Exit codes: 0 done; 2 the key cannot be read or made.
    """
    caps = _caps(subscribe or [], publish or [])
    try:
        from ..identity.issuing import issue_token
    except ModuleNotFoundError as e:
        raise MissingExtraError(
            f"tokens need {e.name}, which is not installed: pip install 'tidewire[server]'"
        ) from None
    key = ensure_key(data_dir / "token.key")
    if not caps:
        progress().print(
            "note: good for @me and public streams; for more add --subscribe PATTERN or --publish PATTERN"
        )
    for name in user:
        if not name:
            raise typer.BadParameter("must not be empty", param_hint="--user")
        print_line(issue_token(key, name, caps, ttl=ttl))


def _caps(subscribe: list[str], publish: list[str]) -> dict[str, list[Action]]:
    caps: dict[str, list[Action]] = {}
    for action, patterns in ((Action.SUBSCRIBE, subscribe), (Action.PUBLISH, publish)):
        for pattern in patterns:
            try:
                caps.setdefault(parse_pattern(pattern), []).append(action)
            except ValueError as e:
                raise typer.BadParameter(str(e), param_hint=f"--{action}") from None
    return caps
