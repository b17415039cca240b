import io
import json
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from opentelemetry import trace

from tidewire.telemetry.logging import configure_logging, get_logger


@pytest.fixture(autouse=True)
def _untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {
        logger: logger.level for logger in map(logging.getLogger, ("httpx", "httpcore", "aiokafka"))
    }
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for logger, own in levels.items():
        logger.setLevel(own)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_service_writes_one_json_object_a_line() -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=stream)
    get_logger("tidewire_gateway.reader").info("partition assigned", partition=3)
    [line] = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "event": "partition assigned",
        "partition": 3,
        "level": "info",
        "logger": "tidewire_gateway.reader",
        "service": "gateway",
    }


def test_the_standard_library_goes_the_same_way() -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=stream)
    extra = {"node": 1, "color_message": "node \x1b[36m%d"}
    logging.getLogger("aiokafka").warning("node %d is not ready", 1, extra=extra)
    [line] = lines(stream)
    assert "color_message" not in line
    assert (line["event"], line["node"], line["service"]) == ("node 1 is not ready", 1, "gateway")


def current(trace_id: int, span_id: int) -> AbstractContextManager[trace.Span]:
    """A span of the API alone, current for the length of a block."""
    context = trace.SpanContext(trace_id, span_id, is_remote=False)
    return trace.use_span(trace.NonRecordingSpan(context))


def test_a_line_that_is_written_while_a_span_is_current_names_it() -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=stream)
    with current(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7):
        get_logger("x").info("ours")
        logging.getLogger("y").warning("a library's")
    for line in lines(stream):
        assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
        assert line["span_id"] == "00f067aa0ba902b7"
    assert len(lines(stream)) == 2


def test_a_line_that_is_written_outside_of_spans_names_none() -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=stream)
    with current(1, 1):
        pass
    get_logger("x").info("ours")
    with current(0, 0):  # what the API makes of no span
        logging.getLogger("y").warning("a library's")
    assert [{"trace_id", "span_id"} & set(line) for line in lines(stream)] == [set(), set()]


def test_people_see_the_trace_of_a_line() -> None:
    stream = io.StringIO()
    configure_logging("gateway", dev=True, stream=stream)
    with current(0xABC, 0xDEF):
        get_logger("x").info("ready")
    assert f"trace_id={0xABC:032x}" in stream.getvalue()


def test_people_get_a_line() -> None:
    stream = io.StringIO()
    configure_logging("gateway", dev=True, stream=stream)
    get_logger("x").info("ready", port=8080)
    assert "ready" in stream.getvalue()
    assert "port=8080" in stream.getvalue()


def test_what_lies_below_the_level_is_not_written() -> None:
    stream = io.StringIO()
    configure_logging("gateway", level="WARNING", stream=stream)
    get_logger("x").info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("level", "told"), [("INFO", 0), ("ERROR", 0), ("DEBUG", 1)])
def test_requests_to_neighbours_are_told_at_debug_only(level: str, told: int) -> None:
    stream = io.StringIO()
    configure_logging("publisher", level=level, stream=stream)
    logging.getLogger("httpx").info("HTTP Request: POST http://registry/v1/users/ann")
    assert len(lines(stream)) == told


@pytest.mark.parametrize("name", ["aiokafka", "aiokafka.producer.producer"])
def test_what_the_kafka_client_sends_is_told_at_no_level(name: str) -> None:
    stream = io.StringIO()
    configure_logging("router", level="DEBUG", stream=stream)
    logging.getLogger(name).debug("Sending (key=%r value=%r)", b"ann", b"hush")
    logging.getLogger(name).info("Joined group")
    assert [line["event"] for line in lines(stream)] == ["Joined group"]


def test_configured_twice_it_writes_once() -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=io.StringIO())
    configure_logging("gateway", stream=stream)
    get_logger("x").info("once")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access"])
def test_uvicorn_never_logs_a_query_string(name: str) -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=stream)
    logger = logging.getLogger(name)
    logger.info('%s - "WebSocket %s" [accepted]', "127.0.0.1", "/v1/ws?token=hush&x=1")
    logger.info('"GET /v1/ws?token=hush HTTP/1.1" 200')
    assert "hush" not in stream.getvalue()
    assert lines(stream)[0]["event"] == '127.0.0.1 - "WebSocket /v1/ws?…" [accepted]'


def test_uvicorn_does_not_leak_to_a_handler_of_somebody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure_logging("gateway", stream=io.StringIO())
    logging.getLogger("uvicorn.error").warning("path %s", "/v1/ws?token=hush")
    assert "hush" not in caplog.text


def test_a_repeated_warning_is_told_a_few_times_only() -> None:
    stream = io.StringIO()
    configure_logging("gateway", stream=stream)
    for number in range(20):
        get_logger("x").warning("record skipped", offset=number)
        logging.getLogger("y").error("boom %d", number)
        get_logger("x").info("not a warning")
    told = [(line["logger"], line["level"]) for line in lines(stream)]
    assert told.count(("x", "warning")) == 5
    assert told.count(("y", "error")) == 5
    assert told.count(("x", "info")) == 20


@pytest.mark.parametrize("dev", [False, True])
def test_an_exception_is_written_without_the_values_that_were_around(dev: bool) -> None:
    stream = io.StringIO()
    configure_logging("gateway", dev=dev, stream=stream)
    token = "hush" * 2  # noqa: F841 # a local variable that must not be shown
    try:
        raise ValueError("broken")
    except ValueError:
        get_logger("x").exception("task ended")
    assert "broken" in stream.getvalue()
    assert "hushhush" not in stream.getvalue()


def test_nothing_is_written_to_stdout_before_logging_is_configured(
    capsys: pytest.CaptureFixture[str],
) -> None:
    get_logger("unconfigured").warning("careful")
    assert capsys.readouterr().out == ""
