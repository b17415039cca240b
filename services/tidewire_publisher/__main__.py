"""``python -m tidewire_publisher``: settings from the environment, exit code 2 when they are wrong."""

import sys

from tidewire.config.listening import bind, url_of
from tidewire.config.settings import load_settings
from tidewire.config.streams_file import load_streams
from tidewire.errors import TidewireError
from tidewire.http.public_tls import public_tls, scheme_of
from tidewire.http.serving import serve
from tidewire.http.token_check import make_token_check
from tidewire.identity.internal_keys import InternalKeys, headers_of, load_internal_keys
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.kafka.confluent_clients import ConfluentReader
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
        check = make_token_check(settings.tokens, settings.token_key_file, PREFIX, metrics)
        internal_keys = load_internal_keys(settings.internal_key_file)
        tls = public_tls(settings.tls, PREFIX, metrics)
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
            verifier=None if check is None else check.verifier,
            fetching=None if check is None else check.fetching,
            writer=AiokafkaWriter(settings.named_kafka),
            revocation_reader=ConfluentReader(settings.named_kafka) if check else None,
            registry=_registry(settings, internal_keys),
            internal_keys=internal_keys,
            metrics=metrics,
            tracer=None if tracing is None else tracing.tracer,
            record_writer=AiokafkaWriter(settings.named_kafka) if settings.console else None,
            url=url_of(sock, scheme_of(tls)),
        )
        try:
            serve(
                app,
                sock,
                shutdown_timeout=settings.shutdown_timeout,
                is_ready_told=settings.ready_json,
                tls=tls,
            )
        finally:
            if tracing is not None:
                tracing.close_within(_TRACES_TIMEOUT)
    return 0


def _registry(settings: PublisherSettings, keys: InternalKeys | None) -> HttpRegistry | None:
    if settings.registry_url is None:
        return None
    return HttpRegistry(
        settings.registry_url,
        timeout=settings.push_timeout,
        headers=headers_of(keys),
    )


if __name__ == "__main__":
    sys.exit(main())
