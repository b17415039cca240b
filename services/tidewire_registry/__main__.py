"""``python -m tidewire_registry``: settings from the environment, exit code 2 when they are wrong."""

import sys
import time

from tidewire.config.errors import ConfigError
from tidewire.config.listening import bind, url_of
from tidewire.config.settings import load_settings
from tidewire.errors import TidewireError
from tidewire.http.serving import serve
from tidewire.identity.internal_keys import load_internal_keys
from tidewire.kafka.ports import RecordWriter
from tidewire.targeting.redis_urls import connect
from tidewire.telemetry.logging import configure_logging, get_logger

from .app import create_app
from .settings import MEMORY, PREFIX, RegistrySettings
from .stores.memory import MemoryStore
from .stores.port import RegistryStore
from .stores.redis import RedisStore

__all__ = ["main"]

_UNUSABLE = 2


def main() -> int:
    """Run the registry; returns the exit code."""
    try:
        settings = load_settings(RegistrySettings)
        keys = load_internal_keys(settings.internal_key_file)
        store = _store(settings)
        sock = bind(settings.host, settings.port, f"{PREFIX}PORT")
    except TidewireError as e:
        sys.stderr.write(f"tidewire-registry: {e}\n")
        return _UNUSABLE
    configure_logging("registry", dev=settings.dev, level=settings.log_level)
    if settings.redis_url == MEMORY:
        get_logger("tidewire_registry").warning(
            "what is registered lives in this process alone, and ends with it"
        )
    with sock:
        serve(
            create_app(
                settings,
                store=store,
                keys=keys,
                record_writer=_record_writer(settings),
                url=url_of(sock),
            ),
            sock,
            shutdown_timeout=settings.shutdown_timeout,
            is_ready_told=settings.ready_json,
        )
    return 0


def _record_writer(settings: RegistrySettings) -> RecordWriter | None:
    kafka = settings.console_kafka
    if kafka is None:
        return None
    from tidewire.kafka.aiokafka_clients import AiokafkaWriter  # only the console needs it

    return AiokafkaWriter(kafka)


def _store(settings: RegistrySettings) -> RegistryStore:
    if settings.redis_url == MEMORY:
        return MemoryStore(_monotonic_ms, settings.rules, settings.connections_per_user)
    try:
        client = connect(settings.redis_url)
    except ConfigError as e:
        raise ConfigError(f"{PREFIX}REDIS_URL: {e}; or {MEMORY} for a single process") from None
    return RedisStore(
        client,
        settings.rules,
        connections_per_user=settings.connections_per_user,
        timeout=settings.store_timeout,
    )


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
