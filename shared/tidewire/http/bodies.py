"""A request's body, taken in up to a size."""

from starlette.requests import Request

from ..errors import TidewireError

__all__ = ["BodyTooLargeError", "read_bounded"]


class BodyTooLargeError(TidewireError):
    """More has come than may; the rest was not read."""


async def read_bounded(request: Request, most: int) -> bytes:
    """The whole body, of ``most`` bytes; raises ``BodyTooLargeError``, ``ClientDisconnect``."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise BodyTooLargeError(f"the body has more than {most} bytes")
    return bytes(body)
