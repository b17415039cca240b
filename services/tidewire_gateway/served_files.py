"""Files that a node serves: a page, and the scripts that it loads."""

import mimetypes
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tidewire.config.errors import ConfigError

from .settings import PREFIX

__all__ = ["ServedFiles", "mounts_of", "prepare_types"]

AddHeaders = Callable[[Scope, MutableHeaders], None]


class ServedFiles(StaticFiles):
    """A browser may keep them, and asks before each use whether they are still what is served.

    Told nothing, it guesses for how long it may show them unasked: a page would come up while its node is down, and stay dead.
    ``add_headers`` adds what else an answer says.
    """

    def __init__(self, *, add_headers: AddHeaders | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._add_headers = add_headers

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        if self._add_headers is not None:
            self._add_headers(scope, response.headers)
        return response


def mounts_of(static: Mapping[str, Path]) -> list[Mount]:
    """Where each folder is served, the longest prefix first. Blocks; raises ``ConfigError`` for what is no folder."""
    mounts = []
    for prefix, folder in sorted(static.items(), key=lambda item: -len(item[0])):
        if not folder.is_dir():
            raise ConfigError(f"{PREFIX}STATIC: {folder} is no folder: name one that is there")
        files = ServedFiles(directory=folder, html=True)
        mounts.append(Mount(prefix, files, name=f"static {prefix}"))
    if mounts:
        prepare_types()
    return mounts


def prepare_types() -> None:
    """Blocks: what tells a file's type reads files itself, and would at the first answer."""
    mimetypes.init()
