"""Run a gateway node, or several behind one port: ``python -m tidewire_gateway [--processes N]``."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from structlog.contextvars import bind_contextvars

from tidewire.config.errors import ConfigError
from tidewire.config.listening import bind, reserved
from tidewire.config.settings import load_settings
from tidewire.config.streams_file import load_streams
from tidewire.errors import TidewireError
from tidewire.http.certificate import ServedCertificate
from tidewire.identity.internal_keys import load_internal_keys
from tidewire.kafka.ports import RecordReader, RecordWriter
from tidewire.kafka.settings import KafkaSettings
from tidewire.telemetry.logging import configure_logging

from .processes.errors import UnusableNodeError
from .processes.node_process import node_command
from .processes.parent import die_with
from .processes.plan import MOST_PROCESSES, plan_nodes
from .processes.supervisor import Supervisor
from .settings import PREFIX, GatewaySettings

if TYPE_CHECKING:
    from .targeted.service import TargetedParts

__all__ = ["main"]

_UNUSABLE = 2
_SERVICE = "tidewire-gateway"


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code, 2 where the configuration cannot be used."""
    options = _parse(arguments)
    with contextlib.ExitStack() as held:
        try:
            serve = _prepare(options, held)
        except TidewireError as error:
            sys.stderr.write(f"{_SERVICE}: {error}\n")
            return _UNUSABLE
        try:
            serve()
        except UnusableNodeError:  # the node has said why
            return _UNUSABLE
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        _SERVICE, description="Run a gateway node, told by TIDEWIRE_GATEWAY__… (environment, .env)."
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        default="1",
        help=f"nodes behind the one public port, 1 to {MOST_PROCESSES}; default 1",
    )
    parser.add_argument("--child-of", metavar="PID", type=int, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def _prepare(options: argparse.Namespace, held: contextlib.ExitStack) -> Callable[[], None]:
    """What serves until it is told to end; ``held`` closes its sockets. Raises ``TidewireError``."""
    processes = _number_of(options.processes)
    if options.child_of is not None:
        die_with(options.child_of)
    settings = load_settings(GatewaySettings)
    configure_logging("gateway", dev=settings.dev, level=settings.log_level)
    if processes > 1:
        return _prepare_several(settings, processes, held)
    return _prepare_one(settings, held, is_one_of_several=options.child_of is not None)


def _number_of(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:4]) <= MOST_PROCESSES):
        raise ConfigError(f"--processes {text} is not possible: give 1 to {MOST_PROCESSES}")
    return int(text)


def _prepare_one(
    settings: GatewaySettings, held: contextlib.ExitStack, *, is_one_of_several: bool
) -> Callable[[], None]:
    import uvloop  # these are most of a node's start and memory; who supervises nodes needs none of them

    from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader

    from .app import Clients, create_app
    from .descriptors import fit_connections, warn_of_shortage
    from .proxies import warn_of_one_address
    from .server import serve

    if is_one_of_several:
        bind_contextvars(node=settings.node)  # their logs go to the same place
    fitted = fit_connections(settings)
    kafka = settings.named_kafka
    app = create_app(
        fitted,
        Clients(
            reader=lambda: ConfluentReader(kafka),
            admin=lambda: ConfluentAdmin(kafka),
            targeted=_targeted(settings, lambda: ConfluentReader(kafka)),
            writer=lambda: _writer(kafka),
        ),
    )
    public = held.enter_context(
        bind(settings.host, settings.port, f"{PREFIX}PORT", is_shared=is_one_of_several)
    )
    internal = held.enter_context(
        bind(settings.internal_host, settings.internal_port, f"{PREFIX}INTERNAL_PORT")
    )

    def serve_node() -> None:
        warn_of_shortage(settings, fitted)
        warn_of_one_address(settings)
        uvloop.run(serve(fitted, app, public, internal, is_one_of_several=is_one_of_several))

    return serve_node


def _writer(kafka: KafkaSettings) -> RecordWriter:
    from tidewire.kafka.aiokafka_clients import AiokafkaWriter  # only the console needs it

    return AiokafkaWriter(kafka)


def _targeted(
    settings: GatewaySettings, make_reader: Callable[[], RecordReader]
) -> "Callable[[str], TargetedParts] | None":
    """None where the node has no messages to users; raises ``ConfigError`` for a URL of Redis, or a key, that cannot be used."""
    if settings.targeted.registry_url is None or settings.targeted.redis_url is None:
        return None
    from tidewire.targeting.redis_urls import connect

    from .targeted.compose import targeted_parts

    connect(settings.targeted.redis_url)  # which connects to nothing yet
    keys = load_internal_keys(settings.internal_key_file)
    return lambda internal_url: targeted_parts(settings.targeted, internal_url, make_reader, keys)


def _prepare_several(
    settings: GatewaySettings, processes: int, held: contextlib.ExitStack
) -> Callable[[], None]:
    from tidewire.identity.key_sources import named_keys

    load_streams(settings.streams)  # what all of them would fail for is told once
    named_keys(settings.tokens, settings.token_key_file, PREFIX)
    load_internal_keys(settings.internal_key_file)
    if settings.tls.is_on:
        ServedCertificate(settings.tls, PREFIX)
    port = held.enter_context(reserved(settings.host, settings.port, f"{PREFIX}PORT"))
    plans = plan_nodes(settings, port, processes)

    async def serve() -> None:
        await Supervisor(
            plans,
            node_command(),
            drain_time=settings.drain_delay + settings.drain_window,
            is_ready_told=settings.ready_json,
        ).run()

    return lambda: asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
