"""Finding the stream an event goes to."""

from collections.abc import Mapping

from ..config.streams import Stream
from .errors import UnknownStreamError

__all__ = ["stream_named"]


def stream_named(streams: Mapping[str, Stream], name: str) -> Stream:
    """The stream of that name; raises `UnknownStreamError` that lists some that exist."""
    stream = streams.get(name)
    if stream is None:
        known = ", ".join(sorted(streams)[:10])
        cure = f"known are {known}" if known else "none is configured; give the publisher streams"
        raise UnknownStreamError(f"there is no stream {name!r}: {cure}")
    return stream
