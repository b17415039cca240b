"""Spans on their way to a collector: one suite over a recording endpoint and a real OpenTelemetry Collector.

`make test-collector` builds that and names it in TIDEWIRE_COLLECTOR; elsewhere the recording endpoint alone is asked. The SDK
reads the environment of its process, so each test configures one of its own.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from harness.otlp import AWAY, GRPC, HTTP, OK, REFUSED, Recorder, attributes_in
from harness.ports import LOOPBACK, free_port
from harness.waiting import wait_until
from tidewire._version import __version__

COLLECTOR: Final = os.environ.get("TIDEWIRE_COLLECTOR", "")
PROTOCOLS: Final = (HTTP, GRPC)
QUEUE: Final = 20
BATCH: Final = 5
MANY: Final = 2000

pytestmark = pytest.mark.timeout(120)

CHILD: Final = """
import gc, json, os, sys, threading
from collections import Counter

from opentelemetry import trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

answers, sys.stdout = sys.stdout, open(os.environ["CONSOLE_TO"], "w")
from tidewire.telemetry.logging import configure_logging
from tidewire.telemetry.tracing import configure_tracing

configure_logging("gateway")
counts, lock = Counter(exported=0, failed=0, dropped=0), threading.Lock()

def on_spans(outcome, count):
    with lock:
        counts[outcome] += count

def context(trace_id, span_id):
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))

def send(name, count):
    for number in range(int(count)):
        parent = trace.set_span_in_context(NonRecordingSpan(context(0xA0 + number, 0xB0)))
        links = [Link(context(0xC0, 0xD0), {"tidewire.key": "JFK"}), Link(context(0xC1, 0xD1))]
        attributes = {"messaging.system": "kafka", "messaging.batch.message_count": 40, "share": 0.5, "keys": ["a", "b"]}
        span = tracing.tracer.start_span(
            f"{name} {number}", parent, kind=SpanKind.PRODUCER, attributes=attributes, links=links
        )
        ids.append(f"{span.get_span_context().span_id:016x}")
        span.end()
    return ids

def alive():
    from opentelemetry.sdk.trace import ReadableSpan
    gc.collect()
    return sum(isinstance(one, ReadableSpan) for one in gc.get_objects())

ids = []
tracing = configure_tracing("gateway", "node-1", on_spans=on_spans)
commands = {
    "is_on": lambda: tracing is not None,
    "loaded": lambda: sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter", "grpc"))),
    "send": send,
    "counts": lambda: dict(counts),
    "alive": alive,
    "close": lambda: tracing.close(),
}
for line in sys.stdin:
    command, *arguments = line.split()
    print(json.dumps(commands[command](*arguments)), file=answers, flush=True)
sys.stdout.flush()
"""


class Process:
    """A process that configures traces from the variables it is given."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self._log, self._console = folder / "stderr", folder / "console"
        bare = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-c", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**bare, "CONSOLE_TO": str(self._console), **variables},
            )

    def ask(self, command: str, *arguments: object) -> Any:
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        print(command, *arguments, file=self._popen.stdin, flush=True)
        answer = self._popen.stdout.readline()
        assert answer, self.log()
        return json.loads(answer)

    def wait_for(self, **counts: int) -> None:
        """Until that much, and no more, has been counted."""
        expected = {"exported": 0, "failed": 0, "dropped": 0, **counts}
        wait_until(
            lambda: self.ask("counts") == expected,
            within=60,
            what=f"{expected} (it says why in {self._log})",
        )

    def log(self) -> str:
        return self._log.read_text()

    def console(self) -> str:
        return self._console.read_text()

    def end(self) -> None:
        self._popen.communicate()

    def kill(self) -> None:
        self._popen.kill()
        self._popen.communicate()


class Collector:
    """A real one, which hands what it was sent on to a recorder, and answers when that has answered."""

    def __init__(self, folder: Path, recorder: Recorder) -> None:
        self._log = folder / "collector"
        self._recorder = recorder
        self._popen: subprocess.Popen[bytes] | None = None
        self.ports = {protocol: free_port() for protocol in PROTOCOLS}

    def start(self) -> None:
        with self._log.open("ab") as log:
            command = [COLLECTOR, f"--config=yaml:{json.dumps(self._config())}"]
            self._popen = popen = subprocess.Popen(command, stdout=log, stderr=log)

        def is_ready() -> bool:
            assert popen.poll() is None, self._log.read_text()
            return all(map(_answers, self.ports.values()))

        wait_until(is_ready, within=60, what="the collector answers")

    def stop(self) -> None:
        if self._popen is not None:
            self._popen.kill()
            self._popen.wait()

    def _config(self) -> dict[str, Any]:
        here = {name: f"{LOOPBACK}:{port}" for name, port in self.ports.items()}
        receiver = {
            "protocols": {
                "http": {"endpoint": here[HTTP]},
                "grpc": {"endpoint": here[GRPC]},
            }
        }
        exporter = {
            "endpoint": f"http://{LOOPBACK}:{self._recorder.ports[HTTP]}",
            "compression": "none",
            "sending_queue": {"enabled": False},
            "retry_on_failure": {"enabled": False},
        }
        return {
            "receivers": {"otlp": receiver},
            "exporters": {"otlp_http": exporter},
            "service": {
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_http"]}}
            },
        }


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


Begin = Callable[..., Process]


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    recorder.start()
    yield recorder
    recorder.stop()


@pytest.fixture(params=["recorder", *(["collector"] if COLLECTOR else [])])
def endpoint(
    request: pytest.FixtureRequest, recorder: Recorder, tmp_path: Path
) -> Iterator[Recorder | Collector]:
    """What processes export to; `recorder` has what arrived."""
    if request.param == "recorder":
        yield recorder
        return
    collector = Collector(tmp_path, recorder)
    collector.start()
    yield collector
    collector.stop()


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def begin(
    endpoint: Recorder | Collector, protocol: str, recorder: Recorder, tmp_path: Path
) -> Iterator[Begin]:
    """Begin a process that exports to ``endpoint`` over ``protocol``."""
    begun: list[Process] = []

    def begin(**variables: str) -> Process:
        usual = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{LOOPBACK}:{endpoint.ports[protocol]}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_BSP_SCHEDULE_DELAY": "20",
        }
        process = Process(tmp_path, {**usual, **variables})
        begun.append(process)
        return process

    yield begin
    for process in begun:
        process.kill()
    recorder.answers.set()


def test_spans_arrive_as_they_were_sent(begin: Begin, recorder: Recorder) -> None:
    process = begin(OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test")
    ids = process.ask("send", "push", 3)
    process.ask("close")
    process.wait_for(exported=3)
    spans = sorted(recorder.spans(), key=lambda span: span.name)
    assert [span.name for span in spans] == ["push 0", "push 1", "push 2"]
    assert [span.span_id.hex() for span in spans] == ids
    assert [int(span.trace_id.hex(), 16) for span in spans] == [0xA0, 0xA1, 0xA2]
    for span in spans:
        assert span.parent_span_id.hex() == f"{0xB0:016x}"
        assert span.kind == Span.SPAN_KIND_PRODUCER
        assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano
        assert attributes_in(span.attributes) == {
            "messaging.system": "kafka",
            "messaging.batch.message_count": 40,
            "share": 0.5,
            "keys": ["a", "b"],
        }
        assert [
            (
                int(link.trace_id.hex(), 16),
                int(link.span_id.hex(), 16),
                attributes_in(link.attributes),
            )
            for link in span.links
        ] == [(0xC0, 0xD0, {"tidewire.key": "JFK"}), (0xC1, 0xD1, {})]
    for request in recorder.requests:
        (resource,) = request.resource_spans
        about = attributes_in(resource.resource.attributes)
        assert about["service.name"] == "tidewire-gateway"
        assert about["service.instance.id"] == "node-1"
        assert about["service.version"] == __version__
        assert about["deployment.environment.name"] == "test"
        (scope,) = resource.scope_spans
        assert (scope.scope.name, scope.scope.version) == ("tidewire", __version__)


def test_while_nothing_answers_spans_fail_and_afterwards_they_arrive_again(
    begin: Begin, endpoint: Recorder | Collector, recorder: Recorder
) -> None:
    process = begin(OTEL_EXPORTER_OTLP_TIMEOUT="2")
    process.ask("send", "before", 3)
    process.wait_for(exported=3)
    endpoint.stop()
    process.ask("send", "meanwhile", 4)
    process.wait_for(exported=3, failed=4)
    endpoint.start()
    process.ask("send", "after", 5)
    process.ask("close")
    process.wait_for(exported=8, failed=4)
    assert sorted(span.name for span in recorder.spans()) == sorted(
        [f"before {n}" for n in range(3)] + [f"after {n}" for n in range(5)]
    )
    assert "spans not exported" in process.log()


def test_what_the_endpoint_cannot_take_just_now_is_sent_again(
    begin: Begin, recorder: Recorder
) -> None:
    recorder.status = AWAY
    process = begin()
    process.ask("send", "push", 2)
    wait_until(lambda: recorder.refusals, within=30, what="the first try")
    recorder.status = OK
    process.wait_for(exported=2)
    assert sorted(span.name for span in recorder.spans()) == ["push 0", "push 1"]


def test_a_full_queue_drops_and_each_span_is_counted_once(begin: Begin, recorder: Recorder) -> None:
    recorder.answers.clear()
    process = begin(
        OTEL_BSP_MAX_QUEUE_SIZE=str(QUEUE),
        OTEL_BSP_MAX_EXPORT_BATCH_SIZE=str(BATCH),
        OTEL_EXPORTER_OTLP_TIMEOUT="60",
    )
    process.ask("send", "first", BATCH)
    wait_until(lambda: recorder.authorizations, within=30, what="the first batch is on its way")
    process.ask("send", "more", MANY)
    process.wait_for(dropped=MANY + BATCH - QUEUE)
    assert process.ask("alive") <= QUEUE + 1  # the last one is a variable still
    recorder.answers.set()
    process.wait_for(exported=QUEUE, dropped=MANY + BATCH - QUEUE)
    process.ask("close")
    process.ask("send", "late", 2)
    process.wait_for(exported=QUEUE, dropped=MANY + BATCH - QUEUE + 2)
    assert len(recorder.spans()) == QUEUE


def test_where_nothing_answers_the_end_comes_all_the_same_and_counts_what_waited(
    begin: Begin, recorder: Recorder
) -> None:
    recorder.answers.clear()
    process = begin(OTEL_EXPORTER_OTLP_TIMEOUT="1", OTEL_BSP_SCHEDULE_DELAY="60000")
    process.ask("send", "push", QUEUE)
    process.ask("close")
    assert process.ask("counts") == {"exported": 0, "failed": QUEUE, "dropped": 0}
    assert process.log().count("spans not exported") == 1


@pytest.mark.parametrize("endpoint", ["recorder"], indirect=True)
def test_a_refusal_is_told_with_its_reason_and_without_the_token(
    begin: Begin, recorder: Recorder, protocol: str
) -> None:
    recorder.status = REFUSED
    process = begin(OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer%20of-the-collector")
    process.ask("send", "push", 2)
    process.wait_for(failed=2)
    assert set(recorder.authorizations) == {"Bearer of-the-collector"}
    assert ("UNAUTHENTICATED" if protocol == GRPC else "401") in process.log()
    assert "of-the-collector" not in process.log()


@pytest.mark.parametrize("endpoint", ["recorder"], indirect=True)
@pytest.mark.parametrize(
    "off", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}], ids=str
)
def test_where_traces_are_off_nothing_of_them_is_loaded(
    begin: Begin, off: dict[str, str], recorder: Recorder
) -> None:
    process = begin(**off)
    assert process.ask("is_on") is False
    assert process.ask("loaded") == []
    process.end()
    assert recorder.authorizations == []


@pytest.mark.parametrize("endpoint", ["recorder"], indirect=True)
@pytest.mark.parametrize("kinds", ["console", "otlp,console"])
def test_the_console_is_written_to_alone_or_beside_a_collector(
    begin: Begin, kinds: str, recorder: Recorder
) -> None:
    process = begin(OTEL_TRACES_EXPORTER=kinds)
    (span_id,) = process.ask("send", "push", 1)
    process.ask("close")
    process.wait_for(exported=1 + ("otlp" in kinds))
    process.end()
    written = json.loads(process.console())
    assert written["name"] == "push 0"
    assert written["context"]["span_id"] == f"0x{span_id}"
    assert len(recorder.spans()) == ("otlp" in kinds)
