"""``python -m tidewire_router``: settings from the environment; exit code 2 when they, or the topic, cannot be used."""

import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop

from tidewire.config.listening import bind
from tidewire.config.settings import load_settings
from tidewire.errors import TidewireError
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.kafka.aiokafka_group import AiokafkaGroupReader
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.targeting.errors import PartitionsChangedError
from tidewire.targeting.mailboxes import Mailboxes
from tidewire.targeting.registry_http import HttpRegistry
from tidewire.telemetry.logging import configure_logging
from tidewire.telemetry.metrics import create_metrics

from .app import create_app
from .instruments import Instruments
from .router import Router, RouterParts
from .server import serve
from .settings import PREFIX, RouterSettings
from .stores import mailboxes_at
from .topic import TopicFacts

__all__ = ["main"]

_SERVICE = "tidewire-router"
_FAILED = 1
_UNUSABLE = 2

_Opener = Callable[[TopicFacts], Awaitable[Mailboxes]]


def main() -> int:
    """Run a router until SIGTERM or SIGINT; returns the exit code, 1 where a new start may help."""
    try:
        settings = load_settings(RouterSettings)
        open_mailboxes = mailboxes_at(
            settings.redis_url, settings.mailbox_limits, replicas=settings.mailbox_replicas
        )
        internal = bind(settings.internal_host, settings.internal_port, f"{PREFIX}INTERNAL_PORT")
    except TidewireError as error:
        return _told(error, _UNUSABLE)
    configure_logging("router", dev=settings.dev, level=settings.log_level)
    with internal:
        try:
            uvloop.run(_route(settings, open_mailboxes, internal))
        except PartitionsChangedError as error:
            return _told(error, _UNUSABLE)
        except TidewireError as error:
            return _told(error, _FAILED)
    return 0


async def _route(
    settings: RouterSettings, open_mailboxes: _Opener, internal: socket.socket
) -> None:
    metrics = create_metrics("router")
    kafka = settings.named_kafka
    parts = RouterParts(
        reader=AiokafkaGroupReader(kafka, settings.targeted_topic, settings.membership),
        writer=AiokafkaWriter(kafka),
        registry=HttpRegistry(settings.registry_url),
        make_admin=lambda: ConfluentAdmin(kafka),
        open_mailboxes=open_mailboxes,
    )
    router = Router(settings, parts, Instruments(metrics))
    app = create_app(lambda: router.is_ready, metrics)
    await serve(router, app, internal, is_ready_told=settings.ready_json)


def _told(error: TidewireError, code: int) -> int:
    sys.stderr.write(f"{_SERVICE}: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
