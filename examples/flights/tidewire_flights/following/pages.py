"""Which pages may call: those that the gateways of this run serve."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

__all__ = ["RunPages", "origins_of"]

_NAMES = ("127.0.0.1", "localhost")


def origins_of(running: Any) -> frozenset[str]:
    """The origins of a run's pages, from its ready message; none where it is no such thing."""
    try:
        ports = [urlsplit(node["http"]).port for node in running["nodes"]]
    except (KeyError, TypeError, ValueError):
        return frozenset()
    return frozenset(f"http://{name}:{port}" for port in ports for name in _NAMES)


class RunPages(CORSMiddleware):
    """CORS for the pages of the run whose ready message stands in ``run_file``, looked up when asked."""

    def __init__(self, app: ASGIApp, *, run_file: Path) -> None:
        super().__init__(
            app,
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization"],
            max_age=600,
        )
        self._run_file = run_file

    def is_allowed_origin(self, origin: str) -> bool:
        try:
            running = json.loads(self._run_file.read_bytes())
        except (OSError, ValueError):
            return False  # the run is about to be ready, or to end: the page asks again
        return origin in origins_of(running)
