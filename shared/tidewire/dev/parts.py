"""How each part of a run is started: commands and environments (pure)."""

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .data_dir import DataDir
from .ports import LOOPBACK
from .processes import ChildSpec
from .running import Node

__all__ = ["Common", "NodePorts", "flights_spec", "gateway_spec", "ports_of", "publisher_spec"]

DRAIN_WINDOW: Final = 5.0
"""Seconds: no load balancer waits here, and nobody wants to wait for a node to come back."""


@dataclass(frozen=True, slots=True)
class Common:
    """What all parts are told. ``static``: URL prefix → folder; ``fetch_pause``: seconds."""

    data_dir: DataDir
    kafka: str
    static: Mapping[str, Path]
    fetch_pause: float = 0.0


@dataclass(frozen=True, slots=True)
class NodePorts:
    """0 is a free one."""

    public: int
    internal: int = 0


def ports_of(node: Node) -> NodePorts:
    """The ports a node has, for its next start."""
    return NodePorts(urlsplit(node.http).port or 0, urlsplit(node.internal).port or 0)


def gateway_spec(common: Common, name: str, ports: NodePorts) -> ChildSpec:
    environment = _service(common, "TIDEWIRE_GATEWAY__") | {
        "TIDEWIRE_GATEWAY__NODE": name,
        "TIDEWIRE_GATEWAY__KAFKA__FETCH_PAUSE": str(common.fetch_pause),
        "TIDEWIRE_GATEWAY__PORT": str(ports.public),
        "TIDEWIRE_GATEWAY__INTERNAL_PORT": str(ports.internal),
        "TIDEWIRE_GATEWAY__STATIC": json.dumps(
            {prefix: str(folder) for prefix, folder in common.static.items()}
        ),
        "TIDEWIRE_GATEWAY__DRAIN_DELAY": "0",
        "TIDEWIRE_GATEWAY__DRAIN_WINDOW": str(DRAIN_WINDOW),
    }
    spec = _python(common, name, ["tidewire_gateway"], environment)
    # SIGTERM, sent to one node by hand, drains it; the end of the run waits for nobody.
    return replace(spec, ends_by=signal.SIGINT)


def publisher_spec(common: Common) -> ChildSpec:
    environment = _service(common, "TIDEWIRE_PUBLISHER__") | {"TIDEWIRE_PUBLISHER__PORT": "0"}
    return _python(common, "publisher", ["tidewire_publisher"], environment)


def flights_spec(common: Common, speed: float | None) -> ChildSpec:
    """``speed`` in simulated seconds a second; None is the example's own default."""
    arguments = ["tidewire_flights", "--kafka", common.kafka]
    arguments += ["--streams", str(common.data_dir.streams), "--json"]
    if speed is not None:
        arguments += ["--speed", repr(speed)]
    return _python(common, "flights", arguments, {})


def _service(common: Common, prefix: str) -> dict[str, str]:
    settings = {
        "HOST": LOOPBACK,
        "STREAMS": str(common.data_dir.streams),
        "KAFKA__BOOTSTRAP": common.kafka,
        "DEV": "true",
        "TOKEN_KEY_FILE": str(common.data_dir.token_key),
        "READY_JSON": "1",
    }
    return {prefix + name: value for name, value in settings.items()}


def _python(
    common: Common, name: str, arguments: list[str], environment: dict[str, str]
) -> ChildSpec:
    return ChildSpec(
        name,
        [sys.executable, "-m", *arguments],
        common.data_dir.logs / f"{name}.log",
        environment={"PYTHONUNBUFFERED": "1", **environment},
    )
