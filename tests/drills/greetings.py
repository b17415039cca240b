"""Connections that show a token and are judged by what the node says to it."""

import asyncio
import json
from collections.abc import Sequence
from typing import NamedTuple

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

__all__ = ["Greeted", "greet_all"]

PATIENCE = 20.0
WELCOMED = 1000


class Greeted(NamedTuple):
    """``code``: that of the node's close, 1000 where it said welcome; ``seconds`` until it said so."""

    code: int
    seconds: float


def greet_all(urls: Sequence[str], tokens: Sequence[str]) -> list[Greeted]:
    """Each token at once, to the nodes in turn."""

    async def greet() -> list[Greeted]:
        pairs = [(urls[n % len(urls)], token) for n, token in enumerate(tokens)]
        return await asyncio.gather(*(_greet(url, token) for url, token in pairs))

    return asyncio.run(greet())


async def _greet(url: str, token: str) -> Greeted:
    loop = asyncio.get_running_loop()
    hello = {"v": 1, "type": "hello", "id": 1, "payload": {"client": "drill/1", "token": token}}
    async with asyncio.timeout(PATIENCE), connect(url, compression=None, proxy=None) as connection:
        began_at = loop.time()
        await connection.send(json.dumps(hello))
        try:
            while json.loads(await connection.recv())["type"] != "welcome":
                pass
        except ConnectionClosed as closed:
            code = 1006 if closed.rcvd is None else closed.rcvd.code
            return Greeted(code, loop.time() - began_at)
        return Greeted(WELCOMED, loop.time() - began_at)
