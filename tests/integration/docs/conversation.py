"""Holds a conversation over a plain WebSocket as a document shows it."""

import asyncio
import json
import re
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from harness.transcripts import difference
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.errors import ProtocolError

__all__ = ["fault_of_conversation"]

PATIENCE = 20.0
SUB = re.compile(r'"sub":\d+')


async def fault_of_conversation(text: str, url: str) -> str | None:
    """Lines with `> ` are sent, those with `< ` have to come back, `sub` and what varies aside."""
    received: list[str] = []
    async with (
        asyncio.timeout(PATIENCE),
        connect(url, subprotocols=["tidewire.v1.json"]) as socket,  # type: ignore[list-item]  # a NewType of str
    ):
        waiting: list[dict[str, Any]] = []
        for line in text.splitlines():
            direction, frame = line[:2], line[2:]
            if direction == "> ":
                fault = _fault_of_request(frame)
                if fault is not None:
                    return fault
                await socket.send(_with_sub_of(received, frame))
                continue
            answer = await _next(socket, waiting)
            received.append(_compact(answer))
            told = difference([SUB.sub('"sub":0', _compact(json.loads(frame)))], _plain(answer))
            if told is not None:
                return told
    return None


def _fault_of_request(frame: str) -> str | None:
    faults = [each for each in decode_frame(frame) if isinstance(each, ProtocolError)]
    return f"{frame}: {faults[0]}" if faults else None


def _with_sub_of(received: list[str], frame: str) -> str:
    """The frame, about the subscription that the node has given a number of its own."""
    found = SUB.search("\n".join(received))
    return SUB.sub(found[0], frame) if found else frame


async def _next(socket: ClientConnection, waiting: list[dict[str, Any]]) -> dict[str, Any]:
    """The next message that is no `ping`."""
    while not waiting:
        frame = json.loads(await socket.recv())
        messages = frame if isinstance(frame, list) else [frame]
        waiting += [message for message in messages if message["type"] != "ping"]
    return waiting.pop(0)


def _compact(message: Any) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)


def _plain(message: dict[str, Any]) -> str:
    return SUB.sub('"sub":0', _compact(message))
