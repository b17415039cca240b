"""The console's page and the SDK that it loads, on the internal port."""

import re
from pathlib import Path
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Mount
from starlette.types import Scope

from tidewire.http.sdk_files import javascript_sdk

from ..served_files import ServedFiles, prepare_types

__all__ = ["PREFIX", "content_security_policy", "page_mounts"]

PREFIX: Final = "/console"
_STATIC: Final = Path(__file__).with_name("static")
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_POLICY: Final = (
    "default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page_mounts() -> list[Mount]:
    """Where the files are served, the longest prefix first. Blocks."""
    prepare_types()
    page = ServedFiles(directory=_STATIC, html=True, add_headers=_guard)
    mounts = [Mount(PREFIX, page, name="console")]
    sdk = javascript_sdk()
    if sdk is not None:
        files = ServedFiles(directory=sdk, add_headers=_guard)
        mounts.insert(0, Mount(f"{PREFIX}/sdk", files, name="console sdk"))
    return mounts


def content_security_policy(host: str) -> str:
    """Nothing but what this port serves, and its WebSocket, which not every browser takes for itself.

    ``host`` is the request's; one that is none is left out.
    """
    is_authority = _AUTHORITY.fullmatch(host) is not None
    return _POLICY.format(sockets=f" ws://{host} wss://{host}" if is_authority else "")


def _guard(scope: Scope, headers: MutableHeaders) -> None:
    headers["content-security-policy"] = content_security_policy(
        Headers(scope=scope).get("host", "")
    )
    headers["x-content-type-options"] = "nosniff"
    headers["referrer-policy"] = "no-referrer"
