"""Every error that this package raises on purpose.

TidewireClientError
├── PermanentCloseError    the server says: do not come back
├── SubscriptionError      one subscription was refused or ended by the server
├── NotReadyError          a deadline passed before the server answered; also a TimeoutError
├── ClientClosedError      the client was closed while something waited for it
└── MalformedFrameError    the server broke the protocol; the client reconnects by itself
"""

__all__ = [
    "AddressError",
    "ClientClosedError",
    "MalformedFrameError",
    "NotReadyError",
    "PermanentCloseError",
    "SubscriptionError",
    "TidewireClientError",
]


class TidewireClientError(Exception):
    """The root: the message names what is wrong and, where there is one, the cure."""


class AddressError(TidewireClientError, ValueError):
    """A client connects to ``ws://`` or ``wss://`` addresses."""


class PermanentCloseError(TidewireClientError):
    """The connection ended for good; reconnecting would meet the same answer.

    ``code`` is the close code (3500-3999), 3005 when a token expired that nobody can replace, or the
    HTTP status when the first handshake was refused.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the server refuses this client ({code}): {reason or 'no reason given'}")
        self.code = code
        self.reason = reason


class SubscriptionError(TidewireClientError):
    """The server refused or ended a subscription, or refused to change it.

    ``code`` is the protocol's word for it, for example ``unknown_channel`` or ``forbidden``.
    """

    def __init__(self, channel: str, code: str, message: str) -> None:
        super().__init__(f"{channel}: {message} ({code})")
        self.channel = channel
        self.code = code
        self.message = message


class NotReadyError(TidewireClientError, TimeoutError):
    """The server did not answer in time; the client goes on trying."""


class ClientClosedError(TidewireClientError):
    """The client was closed."""


class MalformedFrameError(TidewireClientError):
    """The server sent a frame that the protocol does not allow."""
