"""`tidewire console`: open the console of a gateway node in a browser."""

import http.client
import urllib.error
import urllib.request
import webbrowser
from pathlib import Path
from typing import Annotated, Final

import typer

from ..config.errors import ConfigError
from ..config.urls import is_http_url
from ..dev.options import DEFAULT_DATA_DIR
from ..dev.running import Running, console_url, read_running
from .connection import DataDirOption
from .output import print_line, progress

__all__ = ["register"]

_ANSWER_TIMEOUT: Final = 5.0
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404


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
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print where it is.")
    ] = False,
) -> None:
    """Open the console: how every process is, and what becomes of events on their way.

    Its address goes to stdout. Exit codes: 0 done; 2 there is no console, the message says what is missing.
    """
    page = console_url(_given(url) if url is not None else _first_node(data_dir))
    _check(page)
    print_line(page)
    if not (no_browser or webbrowser.open(page)):
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


def _check(page: str) -> None:
    """Raises ``ConfigError`` where no console answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # nodes are neighbours
    try:
        opener.open(page, timeout=_ANSWER_TIMEOUT).close()
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == _FORBIDDEN:
            raise ConfigError(
                f"the node does not go by the name in {page}: take an IP address, or add the name to its "
                "TIDEWIRE_GATEWAY__CONSOLE_HOSTS"
            ) from None
        if error.code == _NOT_FOUND:
            raise ConfigError(
                f"there is no console at {page}: set TIDEWIRE_GATEWAY__CONSOLE=true for the node, and name its "
                "internal port"
            ) from None
        raise ConfigError(f"{page} answers with {error.code}: see the node's log") from None
    except OSError as error:
        raise ConfigError(f"nothing answers at {page} ({error}): see that the node runs") from None
    except (http.client.InvalidURL, UnicodeError):
        raise ConfigError(f"--url: {page!r} is no URL that can be asked") from None
    except http.client.HTTPException:
        raise ConfigError(
            f"what answers at {page} speaks no HTTP: name a node's internal port with --url"
        ) from None
