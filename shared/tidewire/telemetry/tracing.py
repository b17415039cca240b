"""Traces: set up by OpenTelemetry's standard variables, off and free without them."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .._version import __version__
from ..config.errors import ConfigError
from .metrics import Metrics

if TYPE_CHECKING:  # the SDK is no part of the base install, and loaded only where there are traces
    from opentelemetry.sdk.trace import TracerProvider

    from .late_spans import SpanBook

__all__ = ["SpanOutcome", "Tracing", "configure_tracing", "span_counter"]

_SCOPE: Final = "tidewire"
_DEFAULT_RATIO: Final = 0.01
"""Of the traces that begin here, where OTEL_TRACES_SAMPLER does not say otherwise."""
_DEFAULT_PROTOCOL: Final = "http/protobuf"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_RATIO_SAMPLERS: Final = ("traceidratio", "parentbased_traceidratio")
_SAMPLERS: Final = (
    "always_on",
    "always_off",
    "parentbased_always_on",
    "parentbased_always_off",
    *_RATIO_SAMPLERS,
)

SpanOutcome = Callable[[str, int], None]
"""Called, from any thread, with ``exported``, ``failed`` or ``dropped`` and how many spans that are."""


def span_counter(metrics: Metrics) -> SpanOutcome:
    """Counts in `trace_spans_total`."""
    spans = metrics.counters("trace_spans_total", "outcome")
    return lambda outcome, number: spans[outcome].inc(number)


class Tracing:
    """A process's spans and where they go. `close` once, when nothing is traced any more."""

    def __init__(self, provider: "TracerProvider", close: Callable[[], None]) -> None:
        self.provider = provider
        self.tracer = provider.get_tracer(_SCOPE, __version__)
        self.close = close
        """Hands over what waits, and ends. It may block, for 30 s at most; where nothing answers, as long as
        OTEL_EXPORTER_OTLP_TIMEOUT says. Each span is counted then; those that came too late were dropped."""

    def book(self) -> "SpanBook":
        """A new one, for who has no time to make spans. It is to be closed before `close`."""
        from .late_spans import SpanBook

        return SpanBook(self.provider, self.tracer)

    def close_within(self, seconds: float) -> None:
        """`close` at the end of a process, which is kept from ending no longer than that. Blocks."""
        closing = threading.Thread(target=self.close, name="close-traces", daemon=True)
        closing.start()
        closing.join(seconds)


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
    if "otlp" in kinds and protocol == _DEFAULT_PROTOCOL:
        _check_endpoint(environment)
    _check_sampler(environment)
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
    kinds = dict.fromkeys(kind.strip() for kind in named.split(",") if kind.strip())
    return [kind for kind in kinds if kind != "none"]


def _check_endpoint(environment: Mapping[str, str]) -> None:
    """Over HTTP it must be a URL; the exporter takes anything, and then exports nothing."""
    name = next((name for name in _ENDPOINTS if environment.get(name)), None)
    if name is not None and not environment[name].startswith(("http://", "https://")):
        raise ConfigError(
            f"{name}={environment[name]}: begins with neither http:// nor https://; write the whole URL, or set "
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
        )


def _check_sampler(environment: Mapping[str, str]) -> None:
    """The SDK samples everything where it does not understand."""
    named = environment.get("OTEL_TRACES_SAMPLER", "")
    if not named:
        return
    if named.lower() not in _SAMPLERS:
        raise ConfigError(f"OTEL_TRACES_SAMPLER={named}: is not known; {', '.join(_SAMPLERS)} are")
    argument = environment.get("OTEL_TRACES_SAMPLER_ARG", "")
    if argument and named.lower() in _RATIO_SAMPLERS and not _is_ratio(argument):
        raise ConfigError(f"OTEL_TRACES_SAMPLER_ARG={argument}: is not a number from 0 to 1")


def _is_ratio(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def _first(environment: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((found for name in names if (found := environment.get(name))), None)
