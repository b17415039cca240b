"""Traces as the standard variables ask for them: whether, whereto, of whom, and each span counted once."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from harness.waiting import wait_until
from tidewire.config.errors import ConfigError
from tidewire.telemetry.span_export import make_provider
from tidewire.telemetry.tracing import Tracing, configure_tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
CONSOLE = {"OTEL_TRACES_EXPORTER": "console"}
SEVERAL = 10


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


class Counts:
    """What `on_spans` was told, by whichever thread."""

    def __init__(self) -> None:
        self.told: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, outcome: str, count: int) -> None:
        with self._lock:
            self.told[outcome] += count


def ignore(outcome: str, count: int) -> None:
    del outcome, count


def configured(environment: Mapping[str, str]) -> Tracing | None:
    return configure_tracing("gateway", "node-1", on_spans=ignore, environment=environment)


@pytest.fixture
def counts() -> Counts:
    return Counts()


class Gate(SpanExporter):
    """Answers a batch when it is let to, with what it is told to answer, or raises it."""

    def __init__(self, answer: SpanExportResult | Exception = SpanExportResult.SUCCESS) -> None:
        self.answer = answer
        self.batches: list[int] = []
        self.opened = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.batches.append(len(spans))
        self.opened.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def shutdown(self) -> None:
        self.opened.set()


def provider_of(
    exporter: SpanExporter, counts: Counts, ratio: float | None = 1.0
) -> TracerProvider:
    return make_provider("tidewire-gateway", "node-1", [exporter], ratio=ratio, on_spans=counts)


def send(provider: trace.TracerProvider, count: int) -> None:
    tracer = provider.get_tracer("test")
    for _ in range(count):
        tracer.start_span("push prices").end()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_TRACES_EXPORTER": "none", **ENDPOINT},
        {"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_SDK_DISABLED": "true", **CONSOLE},
        {"OTEL_SDK_DISABLED": " TRUE ", **ENDPOINT},
        {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "zipkin"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_SERVICE_NAME": "mine"},
    ],
)
def test_nothing_is_traced_where_nothing_is_asked_for(environment: dict[str, str]) -> None:
    assert configured(environment) is None


@pytest.mark.parametrize(
    "environment",
    [
        ENDPOINT,
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://127.0.0.1:9/v1/traces"},
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:9"},
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", **ENDPOINT},
        {"OTEL_TRACES_EXPORTER": "otlp"},
        {"OTEL_TRACES_EXPORTER": "console, otlp"},
        {"OTEL_SDK_DISABLED": "false", **CONSOLE},
        {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", **ENDPOINT},
        {"OTEL_TRACES_SAMPLER": "TraceIdRatio", "OTEL_TRACES_SAMPLER_ARG": "0.5", **ENDPOINT},
        {"OTEL_TRACES_SAMPLER": "always_on", "OTEL_TRACES_SAMPLER_ARG": "ignored", **ENDPOINT},
    ],
)
def test_what_is_asked_for_is_traced(environment: dict[str, str]) -> None:
    tracing = configured(environment)
    assert tracing is not None
    tracing.close()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"OTEL_TRACES_EXPORTER": "otlp,zipkin"},
            "OTEL_TRACES_EXPORTER=zipkin: .* otlp, console and none are",
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json", **ENDPOINT},
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/json: .* grpc and http/protobuf are",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"},
            "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318: .* http:// .*PROTOCOL=grpc",
        ),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "collector/v1/traces", **ENDPOINT},
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=collector/v1/traces: ",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "sometimes", **ENDPOINT},
            "OTEL_TRACES_SAMPLER=sometimes: .*always_on, .*parentbased_traceidratio are",
        ),
        (
            {
                "OTEL_TRACES_SAMPLER": "traceidratio",
                "OTEL_TRACES_SAMPLER_ARG": "10%",
                **ENDPOINT,
            },
            "OTEL_TRACES_SAMPLER_ARG=10%: is not a number from 0 to 1",
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "7", **ENDPOINT},
            "OTEL_TRACES_SAMPLER_ARG=7: is not a number from 0 to 1",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_cure(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(environment)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many"}, "OTEL_BSP_MAX_QUEUE_SIZE=many: is not a whole"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "0"}, "OTEL_…: max_queue_size must be"),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "11"},
            "OTEL_…: max_export_batch_size must be less",
        ),
        ({"OTEL_SPAN_LINK_COUNT_LIMIT": "few"}, "OTEL_…: OTEL_SPAN_LINK_COUNT_LIMIT must be"),
    ],
)
def test_numbers_that_cannot_be_used_are_refused(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError, match=message):
        configured(CONSOLE)


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "zip"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
    ],
)
def test_what_the_exporter_refuses_is_told_as_a_setting(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError, match=rf"OTEL_EXPORTER_OTLP_…: .*{text}"):
        configured({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **ENDPOINT})


@pytest.mark.parametrize(
    ("module", "environment"),
    [
        ("opentelemetry.sdk.trace", CONSOLE),
        ("opentelemetry.exporter.otlp.proto.http.trace_exporter", ENDPOINT),
        (
            "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", **ENDPOINT},
        ),
    ],
)
def test_packages_that_are_not_installed_are_named(
    module: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tidewire.telemetry.span_export")
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=rf"{module}.* not installed: install tidewire\[server\]"):
        configured(environment)


def sampled_share(tracing: Tracing, count: int) -> float:
    spans = [tracing.tracer.start_span("send prices") for _ in range(count)]
    return sum(span.get_span_context().trace_flags.sampled for span in spans) / count


def test_of_traces_that_begin_here_few_are_sampled_and_of_others_those_that_their_producer_sampled() -> (
    None
):
    tracing = configured(CONSOLE)
    assert tracing is not None
    assert 0 < sampled_share(tracing, 20_000) < 0.03
    for flag in (TraceFlags.SAMPLED, TraceFlags.DEFAULT):
        parent = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(flag))
        span = tracing.tracer.start_span("x", set_span_in_context(NonRecordingSpan(parent)))
        assert span.get_span_context().trace_flags == flag
        assert span.get_span_context().trace_id == 7
    tracing.close()


def test_the_sampler_that_is_named_decides_of_traces_that_begin_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_on")
    tracing = configured({**CONSOLE, "OTEL_TRACES_SAMPLER": "parentbased_always_on"})
    assert tracing is not None
    assert sampled_share(tracing, 10) == 1
    tracing.close()


def test_a_process_is_named_by_its_service_unless_the_variables_name_it(
    monkeypatch: pytest.MonkeyPatch, counts: Counts
) -> None:
    def resource() -> Mapping[str, object]:
        provider = provider_of(InMemorySpanExporter(), counts)
        provider.shutdown()
        return provider.resource.attributes

    ours = resource()
    assert (ours["service.name"], ours["service.instance.id"]) == ("tidewire-gateway", "node-1")
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=pushing,service.instance.id=pod-7,deployment.environment.name=test",
    )
    theirs = resource()
    assert (theirs["service.name"], theirs["service.instance.id"]) == ("pushing", "pod-7")
    assert theirs["deployment.environment.name"] == "test"
    assert theirs["service.version"] == ours["service.version"]
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shorter")
    assert resource()["service.name"] == "shorter"


def test_each_span_is_counted_once_by_what_became_of_it(counts: Counts) -> None:
    gate = Gate()
    gate.opened.set()
    provider = provider_of(gate, counts)
    send(provider, SEVERAL)
    provider.force_flush()
    assert counts.told == {"exported": SEVERAL}
    gate.answer = SpanExportResult.FAILURE
    send(provider, SEVERAL)
    provider.force_flush()
    gate.answer = OSError("no route")
    send(provider, SEVERAL)
    provider.force_flush()
    assert counts.told == {"exported": SEVERAL, "failed": 2 * SEVERAL}
    provider.shutdown()
    send(provider, 1)
    assert counts.told == {"exported": SEVERAL, "failed": 2 * SEVERAL, "dropped": 1}


@pytest.fixture
def small_queue(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", str(SEVERAL))
    return SEVERAL


def test_what_a_small_queue_has_no_room_for_is_dropped_and_what_is_on_its_way_takes_room(
    small_queue: int, counts: Counts
) -> None:
    gate = Gate()
    provider = provider_of(gate, counts)
    send(provider, small_queue)
    wait_until(lambda: gate.batches, what="the exporter has the first batch")
    send(provider, 5)
    assert counts.told == {"dropped": 5}
    gate.opened.set()
    wait_until(lambda: counts.told["exported"] == small_queue, what="the first batch is exported")
    send(provider, small_queue)
    provider.shutdown()
    assert counts.told == {"dropped": 5, "exported": 2 * small_queue}


def test_spans_that_are_not_sampled_take_no_room_and_are_not_counted(
    small_queue: int, counts: Counts
) -> None:
    gate = Gate()
    gate.opened.set()
    provider = provider_of(gate, counts, ratio=0.0)
    send(provider, 3 * small_queue)
    provider.shutdown()
    assert counts.told == {}
    assert gate.batches == []


def test_at_the_end_the_first_batch_that_fails_is_the_last_that_is_tried(
    small_queue: int, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
    gate = Gate(SpanExportResult.FAILURE)
    provider = provider_of(gate, counts)
    send(provider, small_queue)
    wait_until(lambda: gate.batches, what="the exporter has the first batch")
    ending = threading.Thread(target=provider.shutdown)
    ending.start()
    queue = provider._active_span_processor._span_processors[0]
    wait_until(lambda: queue._exporter.is_ending, what="the end has begun")  # type: ignore[attr-defined]
    gate.opened.set()
    ending.join()
    assert gate.batches == [2]
    assert counts.told == {"failed": small_queue}


def test_what_still_waits_when_the_end_may_last_no_longer_is_dropped_and_not_counted_again(
    small_queue: int, counts: Counts
) -> None:
    class Stuck(Gate):
        def shutdown(self) -> None:
            return

    gate = Stuck()
    provider = provider_of(gate, counts)
    send(provider, small_queue)
    wait_until(lambda: gate.batches, what="the exporter has the batch")
    with pytest.MonkeyPatch.context() as hurried:
        hurried.setattr(threading.Thread, "join", lambda *_: None)  # the wait for it is over
        provider.shutdown()
    assert counts.told == {"dropped": small_queue}
    gate.opened.set()
    for thread in threading.enumerate():
        if thread.name == "OtelBatchSpanRecordProcessor":
            thread.join()
    assert counts.told == {"dropped": small_queue}
