"""`tidewire publish`: one event from the arguments, or many from JSON lines."""

import asyncio
import logging
import sys
from typing import Annotated

import typer

from ..dev.options import DEFAULT_DATA_DIR
from ..ingest.documents import read_data
from ..kafka.records import RecordPosition
from ..publishing import AsyncPublisher, Event
from ..publishing.routing import stream_named
from .connection import Connection, DataDirOption, KafkaOption, StreamsOption, connection
from .jsonl import LineReader, PublishLines
from .output import print_json, print_line, progress
from .publish_report import PublishReport

__all__ = ["register"]

SOURCE = "tidewire-cli"
SKIPPED = 1


def register(app: typer.Typer) -> None:
    app.command("publish")(publish)


def publish(
    stream: Annotated[str, typer.Argument(help="The stream's name in streams.yaml.")],
    key: Annotated[str | None, typer.Option(help="What the event is about.")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="The event, as it is published; null removes the key."),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-", help='Many: a line {"key": …, "data": …, "headers"?: {…}} each.'
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="A Kafka header; repeatable.")
    ] = None,
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line with its position for each event, in order.")
    ] = False,
) -> None:
    """Publish events and tell where they were written.

    Exit codes: 0 all were written; 1 lines were skipped, each was told; 2 the event cannot be
    published, or Kafka or a file is not there.
    """
    headers = _headers(header or [])
    _check_options(key, data, jsonl)
    # What the client says on the way is in the error, if one comes.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    to = connection(kafka, streams, data_dir)
    stream_named(to.streams, stream)
    if jsonl is not None:
        _publish_lines(to, stream, jsonl, headers, as_json=as_json)
        return
    raw = (data or "").encode(
        "utf-8", "surrogateescape"
    )  # what the shell gave, checked as JSON later
    event = Event(key=key, data=read_data(raw), headers=headers)
    position = asyncio.run(_publish_one(to, stream, event))
    if as_json:
        print_json(position._asdict())
    else:
        print_line(f"{position.topic} partition {position.partition} offset {position.offset}")


async def _publish_one(to: Connection, stream: str, event: Event) -> RecordPosition:
    async with AsyncPublisher.connect(to.kafka, to.streams, source=SOURCE) as publisher:
        return await publisher.publish_event(stream, event)


def _publish_lines(
    to: Connection, stream: str, source: str, headers: dict[str, str], *, as_json: bool
) -> None:
    report = PublishReport(source, as_json=as_json, is_shown=sys.stderr.isatty())
    with LineReader(source) as lines, report:
        asyncio.run(_run_lines(to, stream, PublishLines(lines, headers, report)))
    count = "1 event" if report.written == 1 else f"{report.written:,} events"
    progress().print(f"{count} written to {stream}")
    if report.skipped:
        total = report.written + report.skipped
        progress().print(f"{report.skipped:,} of {total:,} lines were skipped")
        raise typer.Exit(SKIPPED)


async def _run_lines(to: Connection, stream: str, lines: PublishLines) -> None:
    async with AsyncPublisher.connect(to.kafka, to.streams, source=SOURCE) as publisher:
        await lines.run(lambda event: publisher.publish_event(stream, event))


def _check_options(key: str | None, data: str | None, jsonl: str | None) -> None:
    if (data is None) == (jsonl is None):
        raise typer.BadParameter("give one of the two: --data JSON or --jsonl FILE")
    if data is not None and key is None:
        raise typer.BadParameter("--data needs --key: what the event is about")
    if jsonl is not None and key is not None:
        raise typer.BadParameter("with --jsonl the key stands in each line; leave --key out")


def _headers(pairs: list[str]) -> dict[str, str]:
    headers = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=TEXT", param_hint="--header")
        headers[name] = text
    return headers
