"""`tidewire console`: open the console of a gateway node in a browser."""

import http.client
import secrets
import time
import urllib.error
import urllib.request
import webbrowser
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

import typer

from ..config.errors import ConfigError
from ..config.urls import is_http_url
from ..dev.options import DEFAULT_DATA_DIR
from ..dev.running import Running, console_url, read_running
from ..identity.internal_keys import InternalKeys, headers_of, load_internal_keys
from ..identity.internal_passes import LOGIN, LOGIN_TTL, issue_pass
from .connection import DataDirOption
from .internal_key import InternalKeyOption
from .output import print_line, progress

__all__ = ["register"]

_ANSWER_TIMEOUT: Final = 5.0


def register(app: typer.Typer) -> None:
    app.command("console")(console)


def console(
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="INTERNAL_URL",
            help="A node's internal port. Default: the first node of the running `tidewire dev`.",
        ),
    ] = None,
    internal_key_file: InternalKeyOption = None,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print where it is.")
    ] = False,
) -> None:
    """Open the console: how every process is, and what becomes of events on their way.

    Where the node asks for the internal key, so does the page; given the key, the browser is logged in. Its address goes to stdout. Exit codes: 0 done; 2 there is no console, the message says what is missing.
    """
    page = console_url(_given(url) if url is not None else _first_node(data_dir))
    keys = load_internal_keys(internal_key_file)
    _check(page, keys)
    print_line(page)
    if not (no_browser or webbrowser.open(page if keys is None else _logging_in(page, keys))):
        progress().print("no browser can be opened here: open the address in one")


def _given(url: str) -> str:
    if not is_http_url(url):
        raise ConfigError(f"--url: must be a URL such as http://127.0.0.1:9000 (is {url!r})")
    return url


def _first_node(data_dir: Path) -> str:
    running: Running | None = read_running(data_dir)
    if running is None:
        raise ConfigError(
            f"no console to open: no `tidewire dev` runs in {data_dir}; start one, name its directory with "
            "--data-dir, or a node's internal port with --url"
        )
    return running.nodes[0].internal


def _logging_in(page: str, keys: InternalKeys) -> str:
    """A link that can be used once, soon: its fragment goes to no server, and gives away nothing of the key."""
    shown = issue_pass(keys, LOGIN, int(time.time()) + LOGIN_TTL, secrets.token_urlsafe(16))
    return f"{page}login#pass={shown}"


class _Staying(urllib.request.HTTPRedirectHandler):
    """The key goes to the place that was named and no other."""

    def redirect_request(self, *_: object) -> None:
        return None


def _check(page: str, keys: InternalKeys | None) -> None:
    """Raises ``ConfigError`` where no console answers."""
    opener = urllib.request.build_opener(
        _Staying,
        urllib.request.ProxyHandler({}),  # nodes are neighbours
    )
    try:
        request = urllib.request.Request(page, headers=headers_of(keys))  # noqa: S310 - http(s), checked
        opener.open(request, timeout=_ANSWER_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == HTTPStatus.UNAUTHORIZED and keys is None:
            return  # the page asks for the key
        raise ConfigError(_refusal(page, error.code)) from None
    except OSError as error:
        raise ConfigError(f"nothing answers at {page} ({error}): see that the node runs") from None
    except (http.client.InvalidURL, UnicodeError):
        raise ConfigError(f"--url: {page!r} is no URL that can be asked") from None
    except http.client.HTTPException:
        raise ConfigError(
            f"what answers at {page} speaks no HTTP: name a node's internal port with --url"
        ) from None


def _refusal(page: str, status: int) -> str:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return (
                f"the node at {page} takes another internal key: name the file of its "
                "TIDEWIRE_GATEWAY__INTERNAL_KEY_FILE with --internal-key-file"
            )
        case HTTPStatus.FORBIDDEN:
            return (
                f"the node does not go by the name in {page}: take an IP address, or add the name to its "
                "TIDEWIRE_GATEWAY__CONSOLE_HOSTS"
            )
        case HTTPStatus.NOT_FOUND:
            return (
                f"there is no console at {page}: set TIDEWIRE_GATEWAY__CONSOLE=true for the node, and name its "
                "internal port"
            )
        case _:
            return f"{page} answers with {status}: see the node's log"
