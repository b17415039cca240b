"""Further peers from a TOML file: benchmarks/peers/README.md documents its tables."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from .errors import PeerFileError
from .peers import Feed, Peer

__all__ = ["load_peers"]

_REQUIRED = ("name", "command", "feed")
_TEXTS = ("name", "feed", "ready", "event", "path", "address", "variable", "install")
_LISTS = ("command", "script")
_KEYS = (*_TEXTS, *_LISTS, "environment")


def load_peers(file: Path, variables: Mapping[str, str] = os.environ) -> list[Peer]:
    """The peers of a file, in its order; commands run in the file's folder.

    Raises `PeerFileError` where the file cannot be read or a table cannot be used.
    """
    try:
        document = tomllib.loads(file.read_text())
    except OSError as error:
        raise PeerFileError(f"{file}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise PeerFileError(f"{file}: is not TOML: {error}") from error
    tables = document.get("peer")
    if list(document) != ["peer"] or not isinstance(tables, list):
        raise PeerFileError(f"{file}: has tables [[peer]] and nothing else")
    peers = [_Table(file, number, table).peer(variables) for number, table in enumerate(tables, 1)]
    names = [peer.name for peer in peers]
    for name in names:
        if names.count(name) > 1:
            raise PeerFileError(f"{file}: more than one peer has the name {name!r}")
    return peers


class _Table:
    """One ``[[peer]]``; errors name it by its number, counted from 1."""

    def __init__(self, file: Path, number: int, content: Any) -> None:
        self._file = file
        self._number = number
        self._content = content

    def peer(self, variables: Mapping[str, str]) -> Peer:
        self._check()
        given = dict(self._content)
        command = tuple(given.pop("command"))
        named_by = given.pop("variable", None)
        if named_by is not None and variables.get(named_by):
            command = (variables[named_by], *command[1:])
        script = tuple(given.pop("script", ()))
        return Peer(command=command, script=script, folder=self._file.resolve().parent, **given)

    def _check(self) -> None:
        if not isinstance(self._content, dict):
            raise PeerFileError(f"{self._file}: [[peer]] {self._number} is not a table")
        for key in self._content:
            if key not in _KEYS:
                raise self._error(key, f"is unknown; keys are {', '.join(_KEYS)}")
        for key in _REQUIRED:
            if key not in self._content:
                raise self._error(key, "is missing")
        for key, value in self._content.items():
            self._check_kind(key, value)
        self._check_values()

    def _check_kind(self, key: str, value: Any) -> None:
        if key in _TEXTS:
            if not isinstance(value, str) or (key in _REQUIRED and not value):
                raise self._error(key, "is a text")
        elif key in _LISTS:
            if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
                raise self._error(key, "is a list of texts")
        elif not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise self._error(key, "is a table of texts")

    def _check_values(self) -> None:
        if not self._content["command"]:
            raise self._error("command", "is empty")
        if self._content["feed"] not in get_args(Feed):
            raise self._error("feed", f"is one of {', '.join(get_args(Feed))}")
        if not self._content.get("path", "/").startswith("/"):
            raise self._error("path", 'begins with "/"')
        address = self._content.get("address", "host:{port}")
        host, _, port = address.rpartition(":")
        if not host or not (port == "{port}" or port.isdigit()):
            raise self._error("address", "is HOST:PORT, or HOST:{port} for a free one")

    def _error(self, key: str, what: str) -> PeerFileError:
        return PeerFileError(f"{self._file}: [[peer]] {self._number}: {key} {what}")
