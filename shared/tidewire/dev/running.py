"""The addresses of a run: the ready line, and the file that tells other commands where it is."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .data_dir import DataDir

__all__ = [
    "Node",
    "Running",
    "console_url",
    "node_of",
    "read_running",
    "ready_message",
    "ready_of",
    "write_running",
]


@dataclass(frozen=True, slots=True)
class Node:
    """One gateway process; the field names are those of its own ready line."""

    ws: str
    http: str
    internal: str
    pid: int


@dataclass(frozen=True, slots=True)
class Running:
    """Where the parts of a run answer; None for a part that does not run."""

    nodes: tuple[Node, ...]
    publisher: str | None
    kafka: str
    redis: str | None
    streams: Path
    registry: str | None = None


def console_url(internal: str) -> str:
    """The console's page, given the URL of a node's internal port."""
    return f"{internal.rstrip('/')}/console/"


def ready_message(running: Running) -> dict[str, Any]:
    """The object of the ready line, as scripts know it."""
    return {
        "event": "ready",
        "nodes": [asdict(node) for node in running.nodes],
        "registry": running.registry,
        "publisher": running.publisher,
        "kafka": running.kafka,
        "redis": running.redis,
    }


def ready_of(output: str) -> dict[str, Any] | None:
    """The ready line among a child's output, or None while there is none."""
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        try:
            message = json.loads(line)
        except ValueError:  # a line still being written, or somebody else's
            continue
        if isinstance(message, dict) and message.get("event") == "ready":
            return message
    return None


def node_of(message: dict[str, Any]) -> Node:
    return Node(message["ws"], message["http"], message["internal"], message["pid"])


def write_running(data_dir: DataDir, running: Running) -> None:
    draft = data_dir.ready.with_suffix(".draft")
    draft.write_text(json.dumps(ready_message(running)))
    draft.replace(data_dir.ready)


def read_running(root: Path) -> Running | None:
    """Where the run that uses the data directory ``root`` answers, or None when there is none."""
    data_dir = DataDir(root.absolute())
    try:
        message = json.loads(data_dir.ready.read_text())
        nodes: Sequence[dict[str, Any]] = message["nodes"]
        pid = int(data_dir.lock.read_text())
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Running(
        nodes=tuple(map(node_of, nodes)),
        publisher=message["publisher"],
        kafka=message["kafka"],
        redis=message["redis"],
        streams=data_dir.streams,
        registry=message["registry"],
    )
