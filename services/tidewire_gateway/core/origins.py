"""Which pages may use the public port: browsers name the `Origin` of the page that asks, programs name none."""

import re
from collections.abc import Iterable, Sequence

__all__ = ["ANY", "NULL", "SAME_ORIGIN", "Origins", "normalised"]

ANY = "*"
"""Every page."""
NULL = "null"
"""Pages without an origin: files, sandboxed frames. Any site can make one."""
SAME_ORIGIN = "same-origin"
"""Pages of the host and port that are asked."""

_AUTHORITY = r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::(?P<port>[0-9]{1,5}))?"
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_AUTHORITY}")
_HOST = re.compile(_AUTHORITY)
_PORTS = {"http": 80, "https": 443}


class Origins:
    """``allowed`` are origins, and the words of this module; raises ``ValueError`` for what is none."""

    def __init__(self, allowed: Iterable[str]) -> None:
        words = {ANY, NULL, SAME_ORIGIN}
        given = set(allowed)
        self._is_any = ANY in given
        self._is_same_allowed = SAME_ORIGIN in given
        self._allowed = {normalised(origin) for origin in given - words} | (given & {NULL})

    def allow(self, origins: Sequence[str], hosts: Sequence[str]) -> bool:
        """Whether a request may come in; the values of its headers `Origin` and `Host`, as many as there are."""
        if not origins or self._is_any:
            return True
        if len(origins) > 1:
            return False
        if origins[0] == NULL:
            return NULL in self._allowed
        try:
            origin = normalised(origins[0])
        except ValueError:
            return False
        return origin in self._allowed or (
            self._is_same_allowed and len(hosts) == 1 and _is_same(origin, hosts[0])
        )


def normalised(origin: str) -> str:
    """``scheme://host[:port]`` in lower case, without the scheme's own port; raises ``ValueError`` for anything else."""
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        raise ValueError("an origin is SCHEME://HOST[:PORT], nothing behind it")
    scheme, host, port = found["scheme"], found["host"], found["port"]
    is_default = port is None or int(port) == _PORTS.get(scheme)
    return f"{scheme}://{host}" if is_default else f"{scheme}://{host}:{int(port)}"


def _is_same(origin: str, host: str) -> bool:
    """Whether ``origin``, normalised, is what was asked: by host and port, since a proxy may have ended TLS before us."""
    found = _HOST.fullmatch(host.lower())
    scheme = origin.partition("://")[0]
    return found is not None and normalised(f"{scheme}://{found[0]}") == origin
