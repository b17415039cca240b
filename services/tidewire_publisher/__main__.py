"""``python -m tidewire_publisher``: settings from the environment, exit code 2 when they are wrong."""

import sys

from tidewire.config.listening import bind, url_of
from tidewire.config.settings import load_settings
from tidewire.config.streams_file import load_streams
from tidewire.errors import TidewireError
from tidewire.http.serving import serve
from tidewire.identity.keys import load_key
from tidewire.identity.tokens import TokenVerifier
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.system.reporting import instance_name
from tidewire.targeting.registry_http import HttpRegistry
from tidewire.telemetry.logging import configure_logging, get_logger
from tidewire.telemetry.metrics import create_metrics
from tidewire.telemetry.tracing import configure_tracing, span_counter

from .app import create_app
from .settings import PREFIX, PublisherSettings

__all__ = ["main"]

_UNUSABLE = 2
_TRACES_TIMEOUT = 1.0


def main() -> int:
    """Run the publisher; returns the exit code."""
    metrics = create_metrics("publisher")
    try:
        settings = load_settings(PublisherSettings)
        streams = load_streams(settings.streams).streams
        key = load_key(settings.token_key_file) if settings.token_key_file else None
        tracing = configure_tracing(
            "publisher", instance_name(settings.instance), on_spans=span_counter(metrics)
        )
        sock = bind(settings.host, settings.port, f"{PREFIX}PORT")
    except TidewireError as e:
        sys.stderr.write(f"tidewire-publisher: {e}\n")
        return _UNUSABLE
    configure_logging("publisher", dev=settings.dev, level=settings.log_level)
    if settings.dev:
        get_logger("tidewire_publisher").warning(
            "development mode: requests without a token are accepted"
        )
    with sock:
        app = create_app(
            settings,
            streams=streams,
            verifier=TokenVerifier(key) if key else None,
            writer=AiokafkaWriter(settings.named_kafka),
            registry=_registry(settings),
            metrics=metrics,
            tracer=None if tracing is None else tracing.tracer,
            record_writer=AiokafkaWriter(settings.named_kafka) if settings.console else None,
            url=url_of(sock),
        )
        try:
            serve(
                app,
                sock,
                shutdown_timeout=settings.shutdown_timeout,
                is_ready_told=settings.ready_json,
            )
        finally:
            if tracing is not None:
                tracing.close_within(_TRACES_TIMEOUT)
    return 0


def _registry(settings: PublisherSettings) -> HttpRegistry | None:
    if settings.registry_url is None:
        return None
    return HttpRegistry(settings.registry_url, timeout=settings.push_timeout)


if __name__ == "__main__":
    sys.exit(main())
