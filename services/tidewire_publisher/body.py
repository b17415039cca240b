"""Taking a request's body in: bounded in bytes, in time and in what is in work."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from fastapi import Request

from tidewire.http.bodies import BodyTooLargeError, read_bounded

from .core.admission import Admission
from .core.problems import Problem, ProblemError
from .core.requests import media_type_of

__all__ = ["Intake"]

_DISCARDED_BYTES = 64 * 1024 * 1024  # what is read and thrown away rather than cut off
_HANG_UP = {"Connection": "close"}


class Intake:
    """Every request's way in; ``timeout`` seconds for a body to arrive."""

    def __init__(self, admission: Admission, *, max_bytes: int, timeout: float) -> None:
        self._admission = admission
        self._max_bytes = max_bytes
        self._timeout = timeout

    @asynccontextmanager
    async def taken(
        self, request: Request, media_types: Sequence[str]
    ) -> AsyncIterator[tuple[str, bytes]]:
        """The body's media type and the body, which counts as in work until the block ends.

        Raises ``ProblemError`` (408, 413, 415), ``BufferFullError``, ``ClientDisconnect``.
        """
        media_type = media_type_of(request.headers, media_types)
        with self._admission.reserve(_declared_size(request, self._max_bytes)):
            yield media_type, await _read_body(request, self._max_bytes, self._timeout)


def _declared_size(request: Request, max_bytes: int) -> int:
    """The body's size as declared, the most it may be where it is not; raises ``ProblemError`` (413)."""
    text = request.headers.get("content-length", "")
    if not text.isdigit():
        return max_bytes
    size = int(text)
    if size > max_bytes:
        raise _too_large(max_bytes, hang_up=size > _DISCARDED_BYTES)
    return size


async def _read_body(request: Request, max_bytes: int, timeout: float) -> bytes:  # noqa: ASYNC109 # answers with a status of its own
    """The whole body; raises ``ProblemError`` (408, 413), ``ClientDisconnect``."""
    try:
        async with asyncio.timeout(timeout):
            return await read_bounded(request, max_bytes)
    except BodyTooLargeError:
        raise _too_large(max_bytes, hang_up=True) from None
    except TimeoutError:
        raise ProblemError(
            Problem(
                "body-timeout",
                HTTPStatus.REQUEST_TIMEOUT,
                "The body did not arrive",
                f"the body was not complete after {timeout:g} s: send it faster, or less of it",
                headers=_HANG_UP,
            )
        ) from None


def _too_large(max_bytes: int, *, hang_up: bool) -> ProblemError:
    return ProblemError(
        Problem(
            "body-too-large",
            HTTPStatus(413),
            "The body is too large",
            f"more than {max_bytes} bytes: send several smaller requests",
            headers=_HANG_UP if hang_up else {},
            outcome="too_large",
        )
    )
