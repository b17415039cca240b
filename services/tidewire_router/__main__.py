"""``python -m tidewire_router``: settings from the environment; exit code 2 when they, or the topic, cannot be used."""

import socket
import sys
from collections.abc import Awaitable, Callable

import uvloop

from tidewire.config.listening import bind, url_of
from tidewire.config.settings import load_settings
from tidewire.errors import TidewireError
from tidewire.identity.internal_keys import InternalKeys, headers_of, load_internal_keys
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.kafka.aiokafka_group import AiokafkaGroupReader
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.system.reporting import instance_name, reported
from tidewire.system.rules import ROUTER
from tidewire.targeting.errors import PartitionsChangedError
from tidewire.targeting.mailboxes import Mailboxes
from tidewire.targeting.registry_http import HttpRegistry
from tidewire.telemetry.logging import configure_logging
from tidewire.telemetry.metrics import Metrics, create_metrics
from tidewire.telemetry.tracing import Tracing, configure_tracing, span_counter

from .app import create_app
from .instruments import Instruments
from .reporting import RouterObserver
from .router import Router, RouterParts
from .server import serve
from .settings import PREFIX, RouterSettings
from .stores import mailboxes_at
from .topic import TopicFacts
from .traces import MessageTraces

__all__ = ["main"]

_SERVICE = "tidewire-router"
_FAILED = 1
_UNUSABLE = 2
_TRACES_TIMEOUT = 1.0

_Opener = Callable[[TopicFacts], Awaitable[Mailboxes]]


def main() -> int:
    """Run a router until SIGTERM or SIGINT; returns the exit code, 1 where a new start may help."""
    metrics = create_metrics("router")
    try:
        settings = load_settings(RouterSettings)
        keys = load_internal_keys(settings.internal_key_file)
        open_mailboxes = mailboxes_at(
            settings.redis_url, settings.mailbox_limits, replicas=settings.mailbox_replicas
        )
        tracing = configure_tracing(
            "router", instance_name(settings.instance_id), on_spans=span_counter(metrics)
        )
        internal = bind(settings.internal_host, settings.internal_port, f"{PREFIX}INTERNAL_PORT")
    except TidewireError as error:
        return _told(error, _UNUSABLE)
    configure_logging("router", dev=settings.dev, level=settings.log_level)
    with internal:
        try:
            uvloop.run(_route(settings, open_mailboxes, internal, metrics, tracing, keys=keys))
        except PartitionsChangedError as error:
            return _told(error, _UNUSABLE)
        except TidewireError as error:
            return _told(error, _FAILED)
        finally:
            if tracing is not None:
                tracing.close_within(_TRACES_TIMEOUT)
    return 0


def _message_traces(
    settings: RouterSettings, tracing: Tracing | None, metrics: Metrics
) -> MessageTraces | None:
    if tracing is None:
        return None
    counters = metrics.counters("router_traced_messages_total", "outcome")
    return MessageTraces(
        tracing.tracer,
        settings.targeted_topic,
        settings.inbox_topic,
        most_per_second=settings.trace_limit,
        counted=lambda outcome: counters[outcome].inc(),
    )


async def _route(
    settings: RouterSettings,
    open_mailboxes: _Opener,
    internal: socket.socket,
    metrics: Metrics,
    tracing: Tracing | None,
    *,
    keys: InternalKeys | None,
) -> None:
    kafka = settings.named_kafka
    parts = RouterParts(
        reader=AiokafkaGroupReader(kafka, settings.targeted_topic, settings.membership),
        writer=AiokafkaWriter(kafka),
        registry=HttpRegistry(settings.registry_url, headers=headers_of(keys)),
        make_admin=lambda: ConfluentAdmin(kafka),
        open_mailboxes=open_mailboxes,
        traces=_message_traces(settings, tracing, metrics),
    )
    router = Router(settings, parts, Instruments(metrics))
    app = create_app(lambda: router.stage, metrics, keys)
    async with reported(
        "router",
        settings.instance_id,
        url_of(internal),
        writer=AiokafkaWriter(kafka) if settings.console else None,
        observe=RouterObserver(metrics, lambda: router.stage).observe,
        rules=ROUTER,
        metrics=metrics,
    ):
        await serve(router, app, internal, is_ready_told=settings.ready_json)


def _told(error: TidewireError, code: int) -> int:
    sys.stderr.write(f"{_SERVICE}: {error}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
