"""Run one gateway node: ``python -m tidewire_gateway``, told by ``TIDEWIRE_GATEWAY__*``."""

import sys

import uvloop

from tidewire.config.listening import bind
from tidewire.config.settings import load_settings
from tidewire.errors import TidewireError
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.telemetry.logging import configure_logging

from .app import Clients, create_app
from .server import serve
from .settings import PREFIX, GatewaySettings

__all__ = ["main"]

_UNUSABLE = 2


def main() -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code, 2 where the configuration cannot be used."""
    try:
        settings = load_settings(GatewaySettings)
        configure_logging("gateway", dev=settings.dev, level=settings.log_level)
        kafka = settings.named_kafka
        app = create_app(
            settings,
            Clients(reader=lambda: ConfluentReader(kafka), admin=lambda: ConfluentAdmin(kafka)),
        )
        public = bind(settings.host, settings.port, f"{PREFIX}PORT")
        internal = bind(settings.internal_host, settings.internal_port, f"{PREFIX}INTERNAL_PORT")
    except TidewireError as error:
        sys.stderr.write(f"tidewire-gateway: {error}\n")
        return _UNUSABLE
    with public, internal:
        uvloop.run(serve(settings, app, public, internal))
    return 0


if __name__ == "__main__":
    sys.exit(main())
