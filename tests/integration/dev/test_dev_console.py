"""The console of a `tidewire dev`: every part tells how it is, and the example has flights to follow."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from harness.dev import DevRun, running_dev
from harness.gateway_process import PATIENCE, hello
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

PARTS = {"gateway/gateway-1", "gateway/gateway-2", "publisher/dev", "registry/dev", "router/dev"}


def subscribe(connection: ClientConnection, channel: str) -> None:
    message = {"v": 1, "type": "subscribe", "id": 2, "payload": {"channel": channel}}
    connection.send(json.dumps(message))


def listening(connection: ClientConnection) -> Callable[[], list[dict[str, Any]]]:
    """Gives the events of the next message."""

    def listen() -> list[dict[str, Any]]:
        message = json.loads(connection.recv(timeout=PATIENCE))
        assert message["type"] != "error", message
        events: list[dict[str, Any]] = message["payload"].get("events", [])
        return events

    return listen


def operators_ws(run: DevRun, node: int) -> str:
    internal: str = run.ready["nodes"][node]["internal"]
    return f"{internal.replace('http', 'ws', 1)}/v1/ws"


def test_every_part_tells_how_it_is_and_sampled_flights_are_followed(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data", "--port", "0", "--nodes", "2") as run:
        with hello(operators_ws(run, 1)) as (operator, _):
            subscribe(operator, "tidewire.system")
            listen, records = listening(operator), dict[str, dict[str, Any]]()

            def all_are_ready() -> bool:
                records.update((event["key"], event["data"]) for event in listen())
                return all(
                    records.get(part, {}).get("state") == "ready"
                    and records[part]["figures"].get("store_up", True)
                    and records[part]["figures"].get("nodes", 2) == 2
                    for part in PARTS
                )

            wait_until(all_are_ready, within=30, what="a record of every part")
            assert set(records) == PARTS
            assert records["gateway/gateway-1"]["figures"]["lease"]["held"]
            with urllib.request.urlopen(f"{records['router/dev']['internal']}/healthz") as answer:
                assert answer.status == 200
        with (
            hello(operators_ws(run, 0)) as (operator, _),
            hello(run.ready["nodes"][0]["ws"]) as (client, _),
        ):
            subscribe(operator, "tidewire.flows")
            subscribe(client, "flights")
            [flow, *_] = wait_until(listening(operator), within=30, what="a flow")
            assert flow["data"]["node"] == "gateway-1"
            assert flow["data"]["sampled"]
        found = subprocess.run(
            [
                *(sys.executable, "-m", "tidewire.cli", "console", "--no-browser"),
                *("--data-dir", str(tmp_path / "data")),
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert found.stdout == f"{run.ready['nodes'][0]['internal']}/console/\n", found.stderr
