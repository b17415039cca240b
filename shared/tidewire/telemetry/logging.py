"""Logs: structlog and the standard library through one handler; JSON for machines, lines for people."""

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

from .limits import RepeatLimiter

__all__ = ["configure_logging", "get_logger"]

_UVICORN_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_PER_REQUEST_LOGGERS = ("httpx", "httpcore")
_TELLING_PAYLOADS = ("aiokafka",)
"""At DEBUG: key and value of each record that is sent."""
_QUERY = re.compile(r"\?[^\s\"']*")
_OURS = "_tidewire"


def _with_span(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Name the span that is current, so that a trace leads to its lines and a line to its trace."""
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        event["trace_id"] = trace.format_trace_id(span.trace_id)
        event["span_id"] = trace.format_span_id(span.span_id)
    return event


_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    _with_span,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
)


def configure_logging(
    service: str, *, dev: bool = False, level: str = "INFO", stream: TextIO | None = None
) -> None:
    """Send every log record of the process to ``stream`` (stderr), as JSON or, with ``dev``, as lines.

    Repeated warnings are told five times a minute, then counted; uvicorn's lines lose their query
    strings, which may carry tokens; HTTP clients tell their requests at DEBUG only, and the Kafka client
    never what it sends. A line that is written while a span is current has its ``trace_id`` and
    ``span_id``. Called again, it replaces what it set up before.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _named(service),
                *(_for_people(handler.stream) if dev else _for_machines()),
            ],
        )
    )
    handler.addFilter(_RepeatFilter(RepeatLimiter(), time.monotonic))
    root = logging.getLogger()
    for old in [h for h in root.handlers if getattr(h, _OURS, False)]:
        root.removeHandler(old)
    setattr(handler, _OURS, True)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _PER_REQUEST_LOGGERS:
        logging.getLogger(name).setLevel(
            logging.NOTSET if level == "DEBUG" else max(root.level, logging.WARNING)
        )
    for name in _TELLING_PAYLOADS:
        logging.getLogger(name).setLevel(max(root.level, logging.INFO))
    for name in _UVICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        if not any(isinstance(f, QueryFilter) for f in logger.filters):
            logger.addFilter(QueryFilter())


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A structured logger that writes through the standard library's logger ``name``."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return logger


class QueryFilter(logging.Filter):
    """Takes query strings out of a record's text and arguments."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = _without_query(record.msg)
        if isinstance(record.args, Mapping):
            record.args = {k: _without_query(v) for k, v in record.args.items()}
        elif record.args:
            record.args = tuple(_without_query(value) for value in record.args)
        return True


class _RepeatFilter(logging.Filter):
    """Holds back warnings (and worse) that were told often enough; says how many there were."""

    def __init__(self, limiter: RepeatLimiter, clock: Callable[[], float]) -> None:
        super().__init__()
        self._limiter = limiter
        self._clock = clock

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        event = record.msg
        text = event.get("event") if isinstance(event, dict) else event
        held_back = self._limiter.admit((record.name, record.levelno, str(text)), self._clock())
        if held_back is None:
            return False
        if held_back and isinstance(event, dict):
            event["held_back"] = held_back
        elif held_back:
            record.held_back = held_back
        return True


def _without_query(value: Any) -> Any:
    return _QUERY.sub("?…", value) if isinstance(value, str) else value


def _named(service: str) -> Processor:
    def add_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event.pop("color_message", None)  # uvicorn's second copy of the text
        event.setdefault("service", service)
        return event

    return add_service


def _for_machines() -> list[Processor]:
    return [
        # Without local variables: they hold payloads and tokens.
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]


def _for_people(stream: TextIO) -> list[Processor]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]
