"""Faults of the remote side, each with the code that travels on the wire."""

from ..errors import TidewireError
from .codes import ErrorCode

__all__ = ["ChannelSizeError", "ProtocolError"]


class ProtocolError(TidewireError):
    """The peer sent something the protocol does not allow.

    ``code`` and ``message`` go into the ``error`` frame as they are; ``request_id`` is the id of the
    request at fault where it could be read; ``retry_after_ms`` tells when a repetition may succeed.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        request_id: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.retry_after_ms = retry_after_ms


class ChannelSizeError(ProtocolError):
    """A channel's name is longer than the protocol has them."""
