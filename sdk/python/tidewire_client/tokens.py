"""The current token: given once, or fetched and renewed by the application's function."""

import asyncio
from collections.abc import Awaitable, Callable

from .policy import LinkEnd

__all__ = ["LinkLost", "Tokens"]

GetToken = Callable[[], Awaitable[str]]


class LinkLost(Exception):  # noqa: N818 -- an outcome that the supervisor judges, not an error to show
    """A connection could not be made, or ended before it stood."""

    def __init__(self, end: LinkEnd) -> None:
        super().__init__(end.reason)
        self.end = end


class Tokens:
    """Keeps a fetched token until it is told that it expired."""

    def __init__(self, token: str | None, get_token: GetToken | None, *, timeout: float) -> None:
        self._token = token
        self._get_token = get_token
        self._timeout = timeout

    @property
    def can_renew(self) -> bool:
        return self._get_token is not None

    def expire(self) -> None:
        if self.can_renew:
            self._token = None

    async def current(self) -> str | None:
        """The token to show, None for an anonymous client. Raises ``LinkLost``."""
        if self._token is None and self._get_token is not None:
            try:
                async with asyncio.timeout(self._timeout):
                    self._token = await self._get_token()
            except Exception as error:
                raise LinkLost(LinkEnd(f"get_token failed: {error!r}")) from error
        return self._token
