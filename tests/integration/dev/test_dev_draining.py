"""One node of a run, told to end by itself, drains and comes back; the end of the run waits for nobody."""

import os
import signal
from pathlib import Path

import pytest
import websockets

from harness.dev import running_dev
from harness.gateway import FrameClient
from harness.waiting import eventually
from tidewire.dev.parts import DRAIN_WINDOW
from tidewire.dev.running import Node, read_running
from tidewire.protocol.codes import SUBPROTOCOL

pytestmark = pytest.mark.timeout(90)


def connecting(node: Node) -> websockets.connect:
    return websockets.connect(
        node.ws, subprotocols=[websockets.Subprotocol(SUBPROTOCOL)], compression=None
    )


def node_of_the_run(data_dir: Path) -> Node:
    running = read_running(data_dir)
    assert running is not None
    return running.nodes[0]


async def test_terminated_node_moves_its_clients_and_starts_again(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_dev(data_dir, "--port", "0", "--example", "none") as run:
        before = node_of_the_run(data_dir)
        async with connecting(before) as connection:
            client = FrameClient(connection)
            await client.hello()
            os.kill(before.pid, signal.SIGTERM)
            goaway = await client.expect("goaway")
            assert goaway["reason"] == "draining"
            assert 0 < goaway["after_ms"] <= DRAIN_WINDOW * 1000
            assert (await client.closed())[0] == 3001
        await eventually(lambda: node_of_the_run(data_dir).pid != before.pid, within=30)
        assert "gateway-1 ended by itself (exit code 0); it starts again" in run.said()
        after = node_of_the_run(data_dir)
        assert after.ws == before.ws
        async with connecting(after) as connection:
            client = FrameClient(connection)
            await client.hello()
            os.kill(after.pid, signal.SIGTERM)
            await client.expect("goaway")
            assert run.end() == 0
            assert (await client.closed())[0] == 3001
