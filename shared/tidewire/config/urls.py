"""URLs that people give."""

from urllib.parse import urlsplit

__all__ = ["host_of", "is_http_url"]


def is_http_url(text: str) -> bool:
    """Whether this is an http or https URL with a host, and a port that can be asked."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def host_of(url: str) -> str:
    """The host that a URL names, without brackets; empty where it names none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
