"""What services say of themselves in OpenAPI, without one that runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from fastapi import FastAPI

import tidewire_gateway.app
import tidewire_publisher.app
import tidewire_registry.app
import tidewire_router.app
from tidewire.http.health import Stage
from tidewire.kafka.memory import MemoryBroker
from tidewire.telemetry.metrics import create_metrics
from tidewire_gateway.internal_app import create_internal_app
from tidewire_gateway.routes import make_one_off_router
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.settings import RegistrySettings
from tidewire_registry.stores.memory import MemoryStore

__all__ = ["apps", "documents"]

_STREAMS: Final = Path(__file__).parents[2] / "examples" / "flights" / "streams.yaml"


def documents() -> Mapping[str, dict[str, Any]]:
    """By the file's name."""
    return {name: app.openapi() for name, app in apps().items()}


def apps() -> Mapping[str, FastAPI]:
    """Each service's; a node's internal port with the console, which adds to it."""
    broker = MemoryBroker()
    public = _gateway(broker)
    return {
        "gateway": public,
        "gateway-internal": create_internal_app(public),
        "publisher": tidewire_publisher.app.create_app(
            PublisherSettings(streams=_STREAMS, dev=True),
            streams={},
            verifier=None,
            writer=broker.writer(),
        ),
        "registry": tidewire_registry.app.create_app(
            RegistrySettings(), store=MemoryStore(lambda: 0)
        ),
        "router": tidewire_router.app.create_app(lambda: Stage.READY, create_metrics("router")),
    }


def _gateway(broker: MemoryBroker) -> FastAPI:
    settings = GatewaySettings(streams=_STREAMS, dev=True, console=True)
    clients = tidewire_gateway.app.Clients(broker.reader, broker.admin, writer=broker.writer)
    app = tidewire_gateway.app.create_app(settings, clients)
    nothing = cast(Any, None)  # the node that reads channels is made when it starts
    app.include_router(make_one_off_router(nothing, nothing, nothing))
    return app
