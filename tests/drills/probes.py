"""Questions that a drill asks each node beside its load: a channel read once, a push to a user that it holds."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import httpx
from websockets.sync.client import ClientConnection, connect

from harness.waiting import wait_until
from tidewire.protocol.codes import SUBPROTOCOL

from .registry_view import RegistryView
from .users_log import OWN

__all__ = ["Reading", "hand_in", "is_unchanged", "push_through", "read_once"]

PATIENCE = 10.0
READY_WITHIN = 30.0
"""Seconds: a node that has just begun reads a channel before it tells what stands in it."""


class Reading(NamedTuple):
    """A channel read once: its tag, and the answer's bytes."""

    etag: str
    body: bytes


def hand_in(publisher: str, stream: str, events: Sequence[Mapping[str, Any]]) -> int:
    """How many of the events were acknowledged."""
    answer = _answer("POST", f"{publisher}/v1/events/{stream}", json=list(events))
    return len(answer.json().get("events", ()))


def read_once(http: str, channel: str) -> Reading:
    answer = _answer("GET", f"{http}/v1/channels/{channel}")
    assert answer.status_code == httpx.codes.OK, answer.text
    return Reading(answer.headers["etag"], answer.content)


def is_unchanged(http: str, channel: str, etag: str) -> bool:
    """Whether a node takes a tag, which may be another's, for what it holds now."""
    url = f"{http}/v1/channels/{channel}"
    answer = _answer("GET", url, headers={"If-None-Match": etag})
    return answer.status_code == httpx.codes.NOT_MODIFIED


def push_through(ws: str, publisher: str, view: RegistryView, user: str, token: str) -> str:
    """What the publisher tells of a push to a user who is connected to one node, and to no other.

    ``delivered`` only where the connection got it, too.
    """
    data = {"pushed": time.time()}
    with connect(ws, subprotocols=[SUBPROTOCOL], open_timeout=PATIENCE) as socket:  # type: ignore[list-item] # NewType of str
        _say(socket, "hello", {"token": token, "client": "drill/1"})
        _hear(socket, lambda message: message["type"] == "welcome")
        _say(socket, "subscribe", {"channel": OWN})
        _hear(socket, lambda message: message["type"] == "subscribed")
        wait_until(lambda: view.epochs_of([user]), within=PATIENCE, what=f"a place for {user}")
        pushed = {"user": user, "data": data}
        answer = _answer("POST", f"{publisher}/v1/push", json=pushed)
        assert answer.status_code == httpx.codes.OK, answer.text
        told = answer.json()
        outcomes = [device["outcome"] for device in told["devices"]] or [told["outcome"]]
        if outcomes == ["delivered"]:
            _hear(socket, lambda message: _holds(message, data))
        return " ".join(outcomes)


def _answer(method: str, url: str, **options: Any) -> httpx.Response:
    """What is answered by a service that may say for a while that it is not ready yet (503)."""
    answers: list[httpx.Response] = []

    def is_ready() -> bool:
        answers.append(httpx.request(method, url, timeout=PATIENCE, trust_env=False, **options))
        return answers[-1].status_code != httpx.codes.SERVICE_UNAVAILABLE

    wait_until(is_ready, within=READY_WITHIN, what=f"an answer of {url}")
    return answers[-1]


def _holds(message: Any, data: object) -> bool:
    events = message["payload"].get("events", ())
    return any(event["data"] == data for event in events)


def _say(socket: ClientConnection, kind: str, payload: object) -> None:
    socket.send(json.dumps({"v": 1, "type": kind, "id": 1, "payload": payload}))


def _hear(socket: ClientConnection, is_it: Callable[[Any], bool]) -> None:
    """Read on until it comes; raises ``TimeoutError`` where nothing does."""
    while True:
        frame = json.loads(socket.recv(PATIENCE))
        if any(is_it(message) for message in (frame if isinstance(frame, list) else [frame])):
            return
