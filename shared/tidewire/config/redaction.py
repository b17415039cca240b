"""Settings for people to read: what is secret in them is masked (pure)."""

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

__all__ = ["is_secret", "redact"]

_SECRET_NAME = re.compile(
    r"password|passphrase|secret|credential|(token|api)_?key(?!_file)|_token$"
)
_MASK = "**********"


def is_secret(name: str) -> bool:
    """Whether a setting of this name holds a secret itself."""
    return bool(_SECRET_NAME.search(name.lower()))


def redact(name: str, value: Any) -> Any:
    """A plain JSON value of the setting ``name`` with every secret in it masked."""
    match value:
        case dict():
            return {k: redact(k, v) for k, v in value.items()}
        case list():
            return [redact(name, v) for v in value]
        case str() if value and is_secret(name):
            return _MASK
        case str() if "://" in value:
            return _without_password(value)
        case str() if "@" in value and name.lower().endswith("url"):
            return _MASK  # nobody can tell where the password in it begins
        case _:
            return value


def _without_password(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return _MASK
    beside = parts.path + parts.query + parts.fragment
    if "@" in beside or _SECRET_NAME.search(parts.query.lower()):
        return f"{parts.scheme}://{_MASK}"  # a password with a slash in it ends anywhere
    if parts.username is not None and parts.password is None:
        return f"{parts.scheme}://{_MASK}"  # which stands where the user should
    if parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username or ''}:{_MASK}@{host}"))
