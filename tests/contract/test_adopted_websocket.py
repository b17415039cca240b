"""What the adopted write path relies on inside uvicorn: a release that moves it fails here, loudly."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from harness.gateway import Gateway, MemoryTopics, running_gateway, write_streams
from tidewire.kafka.memory import MemoryBroker
from tidewire_gateway.app import Clients

OVERRIDDEN = (
    "connection_lost",
    "handle_close",
    "handle_parser_exception",
    "handle_pong",
    "pause_writing",
    "resume_writing",
    "run_asgi",
    "send_500_response",
    "send_receive_event_to_app",
    "shutdown",
)
READ = (
    "close_sent",
    "close_timer",
    "conn",
    "connections",
    "curr_msg_data_type",
    "disconnected",
    "frames",
    "handshake_complete",
    "loop",
    "queue",
    "read_paused",
    "scope",
    "transport",
    "writable",
)


def test_uvicorn_is_of_the_range_this_was_tried_on() -> None:
    assert uvicorn.__version__.startswith("0.54.")


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_method_that_is_overridden_exists(name: str) -> None:
    assert callable(getattr(WebSocketsSansIOProtocol, name))


def test_state_that_is_read_exists() -> None:
    source = inspect.getsource(WebSocketsSansIOProtocol)
    assert [name for name in READ if f"self.{name}" not in source] == []


async def test_adopted_connection_has_no_task_and_no_queue(tmp_path: Path) -> None:
    streams = {"s": {"topic": "t", "public": True}}
    topics = MemoryTopics(MemoryBroker(), streams)
    clients = Clients(reader=topics.broker.reader, admin=topics.broker.admin)
    path = write_streams(tmp_path, streams)
    async with running_gateway(path, clients) as gateway, gateway.connect() as client:
        await client.subscribe("s")
        protocol: Any = only_connection(gateway)
        assert protocol.queue is None
        assert protocol.scope is None
        assert not protocol.tasks


def only_connection(gateway: Gateway) -> WebSocketsSansIOProtocol:
    (connection,) = gateway.node.connections
    protocol: WebSocketsSansIOProtocol = connection._protocol
    return protocol
