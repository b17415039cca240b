"""`python -m tidewire_gateway` as people run it: its own process, told by its environment, without a broker."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from harness.one_address import LIFTED_VARIABLES
from harness.ports import LOOPBACK, free_port
from harness.processes import is_gone
from harness.waiting import wait_until

__all__ = ["GatewayProcess", "children_of", "gateway_environment", "hello", "running_process"]

PATIENCE = 15.0


@dataclass(frozen=True)
class GatewayProcess:
    """A process that is ready; ``ready`` is the first line it printed."""

    process: "subprocess.Popen[str]"
    ready: dict[str, Any]
    errors: Path

    @property
    def nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self.ready["nodes"]
        return nodes

    def said(self) -> str:
        """What it and those below it wrote on stderr."""
        return self.errors.read_text()


def gateway_environment(streams: Path, **variables: str) -> dict[str, str]:
    """Settings under their names without prefix; a free port, and a broker that is away. Without TLS, as behind a proxy."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
    away = f"{LOOPBACK}:{free_port()}"
    settings = {"STREAMS": str(streams), "PORT": "0", "KAFKA__BOOTSTRAP": away, **LIFTED_VARIABLES}
    if "TLS__CERTIFICATE_FILE" not in variables:
        settings["TRUST_PROXY_TLS"] = "true"
    settings |= variables
    return own | {f"TIDEWIRE_GATEWAY__{name}": text for name, text in settings.items()}


@contextlib.contextmanager
def running_process(
    streams: Path, *options: str, launcher: Sequence[str] = (), **variables: str
) -> Iterator[GatewayProcess]:
    """A process for the length of a block, killed after it. ``launcher`` becomes it, as `nice` would."""
    errors = streams.with_name("gateway.stderr")
    with errors.open("w") as stderr:
        process = subprocess.Popen(
            [*launcher, sys.executable, "-m", "tidewire_gateway", *options],
            env=gateway_environment(streams, READY_JSON="1", **variables),
            cwd=streams.parent,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, errors.read_text()
        yield GatewayProcess(process, json.loads(line), errors)
    finally:
        below = children_of(process.pid)
        process.kill()
        process.communicate(timeout=PATIENCE)
        for pid in below:
            wait_until(partial(is_gone, pid), what=f"the end of process {pid}")


def children_of(pid: int) -> list[int]:
    """Processes that this one started and has not reaped."""
    try:
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@contextlib.contextmanager
def hello(ws: str) -> Iterator[tuple[ClientConnection, str]]:
    """A welcomed connection, and the name of its node."""
    with connect(ws, compression=None, open_timeout=PATIENCE, proxy=None) as connection:
        message = {"v": 1, "type": "hello", "id": 1, "payload": {"client": "test/1"}}
        connection.send(json.dumps(message))
        welcome = json.loads(connection.recv(timeout=PATIENCE))
        assert welcome["type"] == "welcome", welcome
        yield connection, welcome["payload"]["node"]
