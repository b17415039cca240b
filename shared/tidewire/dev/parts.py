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
from .options import MOST_NODES
from .ports import LOOPBACK
from .processes import ChildSpec
from .running import Node

__all__ = [
    "Common",
    "NodePorts",
    "flights_spec",
    "following_spec",
    "gateway_spec",
    "ports_of",
    "publisher_spec",
    "registry_spec",
    "router_spec",
]

RUN_VARIABLE: Final = "TIDEWIRE_DEV_RUN"
"""Names the data directory of the run that a process is part of, for who looks at processes."""
RUN_INSTANCE: Final = "dev"
"""Of the parts that there are one of: the same in the next run, whose records take the place of this one's."""
DRAIN_WINDOW: Final = 5.0
"""Seconds: no load balancer waits here, and nobody wants to wait for a node to come back."""

_LIFTED: Final = (
    "CONNECTIONS_PER_ADDRESS",
    "ADDRESS_HANDSHAKES_PER_SECOND",
    "HANDSHAKES_PER_SECOND",
)
"""Limits of a node that would meet everybody at once, since all come from one address."""


@dataclass(frozen=True, slots=True)
class Common:
    """What all parts are told. ``static``: URL prefix → folder; ``fetch_pause``: seconds.

    ``epoch``: of topics, where the broker has no topic ids. The registry stays at its port, so that parts need not wait for it.
    """

    data_dir: DataDir
    kafka: str
    redis: str
    registry_port: int
    static: Mapping[str, Path]
    epoch: str | None = None
    fetch_pause: float = 0.0

    @property
    def registry(self) -> str:
        """The registry's URL."""
        return f"http://{LOOPBACK}:{self.registry_port}"


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
        "TIDEWIRE_GATEWAY__CONSOLE": "true",
        "TIDEWIRE_GATEWAY__KAFKA__FETCH_PAUSE": str(common.fetch_pause),
        "TIDEWIRE_GATEWAY__PORT": str(ports.public),
        "TIDEWIRE_GATEWAY__INTERNAL_PORT": str(ports.internal),
        "TIDEWIRE_GATEWAY__STATIC": json.dumps(
            {prefix: str(folder) for prefix, folder in common.static.items()}
        ),
        "TIDEWIRE_GATEWAY__TARGETED__REGISTRY_URL": common.registry,
        "TIDEWIRE_GATEWAY__TARGETED__REDIS_URL": common.redis,
        "TIDEWIRE_GATEWAY__DRAIN_DELAY": "0",
        "TIDEWIRE_GATEWAY__DRAIN_WINDOW": str(DRAIN_WINDOW),
        **{f"TIDEWIRE_GATEWAY__LIMITS__{name}": "0" for name in _LIFTED},
    }
    if common.epoch is not None:
        environment["TIDEWIRE_GATEWAY__TARGETED__EPOCH"] = common.epoch
    spec = _python(common, name, ["tidewire_gateway"], environment)
    # SIGTERM, sent to one node by hand, drains it; the end of the run waits for nobody.
    return replace(spec, ends_by=signal.SIGINT)


def publisher_spec(common: Common) -> ChildSpec:
    environment = _service(common, "TIDEWIRE_PUBLISHER__") | {
        "TIDEWIRE_PUBLISHER__PORT": "0",
        "TIDEWIRE_PUBLISHER__CONSOLE": "true",
        "TIDEWIRE_PUBLISHER__INSTANCE": RUN_INSTANCE,
        "TIDEWIRE_PUBLISHER__REGISTRY_URL": common.registry,
    }
    return _python(common, "publisher", ["tidewire_publisher"], environment)


def registry_spec(common: Common) -> ChildSpec:
    settings = {
        "HOST": LOOPBACK,
        "PORT": str(common.registry_port),
        "REDIS_URL": common.redis,
        "SLOTS": str(MOST_NODES),
        "CONSOLE": "true",
        "KAFKA__BOOTSTRAP": common.kafka,
        "INSTANCE": RUN_INSTANCE,
        "DEV": "true",
        "READY_JSON": "1",
    }
    environment = {f"TIDEWIRE_REGISTRY__{name}": value for name, value in settings.items()}
    return _python(common, "registry", ["tidewire_registry"], environment)


def router_spec(common: Common) -> ChildSpec:
    settings = {
        "KAFKA__BOOTSTRAP": common.kafka,
        "KAFKA__FETCH_PAUSE": str(common.fetch_pause),
        "REDIS_URL": common.redis,
        "REGISTRY_URL": common.registry,
        "INSTANCE_ID": RUN_INSTANCE,
        "CONSOLE": "true",
        "INTERNAL_HOST": LOOPBACK,
        "INTERNAL_PORT": "0",
        "DEV": "true",
        "READY_JSON": "1",
    }
    if common.epoch is not None:
        settings["EPOCH"] = common.epoch
    environment = {f"TIDEWIRE_ROUTER__{name}": value for name, value in settings.items()}
    return _python(common, "router", ["tidewire_router"], environment)


def flights_spec(common: Common, speed: float | None) -> ChildSpec:
    """``speed`` in simulated seconds a second; None is the example's own default."""
    arguments = ["tidewire_flights", "--kafka", common.kafka]
    arguments += ["--streams", str(common.data_dir.streams), "--json"]
    if speed is not None:
        arguments += ["--speed", repr(speed)]
    return _python(common, "flights", arguments, {})


def following_spec(common: Common, port: int) -> ChildSpec:
    """The example's own service, where visitors say which flights they follow."""
    arguments = ["tidewire_flights.following", "--kafka", common.kafka, "--port", str(port)]
    arguments += ["--streams", str(common.data_dir.streams)]
    arguments += ["--token-key", str(common.data_dir.token_key)]
    arguments += ["--data", str(common.data_dir.root / "example" / "following.db")]
    arguments += ["--run", str(common.data_dir.ready), "--fetch-pause", repr(common.fetch_pause)]
    return _python(common, "following", [*arguments, "--json"], {})


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
        environment={
            "PYTHONUNBUFFERED": "1",
            RUN_VARIABLE: str(common.data_dir.root),
            **environment,
        },
    )
