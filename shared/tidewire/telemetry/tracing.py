"""Traces: set up by OpenTelemetry's standard variables, off and free without them."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from opentelemetry import trace

from .._version import __version__
from ..config.errors import ConfigError

__all__ = ["SpanOutcome", "Tracing", "configure_tracing"]

_SCOPE: Final = "tidewire"
_DEFAULT_RATIO: Final = 0.01
"""Of the traces that begin here, where OTEL_TRACES_SAMPLER does not say otherwise."""
_DEFAULT_PROTOCOL: Final = "http/protobuf"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")

SpanOutcome = Callable[[str, int], None]
"""Called, from any thread, with ``exported``, ``failed`` or ``dropped`` and how many spans that are."""


class Tracing:
    """A process's spans and where they go. `close` once, when nothing is traced any more."""

    def __init__(self, provider: trace.TracerProvider, close: Callable[[], None]) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer(_SCOPE, __version__)
        self.close = close
        """Hands over what waits, and ends; it may block as long as OTEL_EXPORTER_OTLP_TIMEOUT says."""


def configure_tracing(
    service: str,
    instance: str,
    *,
    on_spans: SpanOutcome,
    environment: Mapping[str, str] = os.environ,
) -> Tracing | None:
    """What `OTEL_*` asks for; None where it asks for nothing.

    There are spans where `OTEL_TRACES_EXPORTER` (otlp, console) or an OTLP endpoint is set, unless `OTEL_SDK_DISABLED` is
    true. Who began a trace decides whether it is sampled; of those that begin here one in a hundred is, or as many as
    `OTEL_TRACES_SAMPLER` says. Raises `ConfigError` for what cannot be used.
    """
    kinds = _exporters(environment)
    if not kinds or environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    protocol = _first(environment, _PROTOCOLS) or _DEFAULT_PROTOCOL
    try:
        from .span_export import (
            make_exporter,
            make_provider,
        )  # the SDK is no part of the base install
    except ImportError as error:
        raise ConfigError(
            f"traces need {error.name}, which is not installed: install tidewire[server], or set "
            "OTEL_SDK_DISABLED=true"
        ) from error
    ratio = None if environment.get("OTEL_TRACES_SAMPLER") else _DEFAULT_RATIO
    provider = make_provider(
        environment.get("OTEL_SERVICE_NAME") or f"tidewire-{service}",
        instance,
        [make_exporter(kind, protocol) for kind in kinds],
        ratio=ratio,
        on_spans=on_spans,
    )
    return Tracing(provider, provider.shutdown)


def _exporters(environment: Mapping[str, str]) -> Sequence[str]:
    named = environment.get("OTEL_TRACES_EXPORTER")
    if not named:
        return ["otlp"] if _first(environment, _ENDPOINTS) else []
    kinds = [kind.strip() for kind in named.split(",") if kind.strip()]
    return [kind for kind in kinds if kind != "none"]


def _first(environment: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((found for name in names if (found := environment.get(name))), None)
