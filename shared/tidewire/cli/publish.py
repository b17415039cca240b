"""`tidewire publish`: events to a stream or to one user, from the arguments or from JSON lines."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from typing import Annotated, TypeVar

import typer

from ..dev.options import DEFAULT_DATA_DIR
from ..ingest.documents import read_data
from ..publishing import TARGETED_TOPIC, Event, UserEvent
from .connection import DataDirOption, KafkaOption, StreamsOption
from .jsonl import LineReader, PublishLines
from .output import print_json, print_line, progress
from .publish_report import PublishReport
from .publish_target import Delivery, Target, stream_target, user_target

__all__ = ["register"]

SKIPPED = 1
E = TypeVar("E", Event, UserEvent)


def register(app: typer.Typer) -> None:
    app.command("publish")(publish)


def publish(
    stream: Annotated[
        str | None,
        typer.Argument(metavar="STREAM", help="Its name in streams.yaml; or give --user."),
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(metavar="USER", help="Instead of a stream: one user, wherever it is."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="What the event of a stream is about.")] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="JSON", help="The event, as it is published; in a stream null removes the key."
        ),
    ] = None,
    jsonl: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|-",
            help='Many: a line {"key": …, "data": …, "headers"?: {…}} each; '
            'with --user {"data": …, "ttl_ms"?, "collapse_key"?, "id"?}.',
        ),
    ] = None,
    ttl: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="With --user: how long it waits for a user who is away; 0: now or never.",
        ),
    ] = None,
    collapse_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="With --user: of those that wait with one KEY the newest stays."
        ),
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TEXT", help="A Kafka header; repeatable.")
    ] = None,
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    targeted_topic: Annotated[
        str, typer.Option(metavar="TOPIC", help="With --user: where routers read.")
    ] = TARGETED_TOPIC,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line with its position for each event, in order.")
    ] = False,
) -> None:
    """Publish events to a STREAM, or to one user, and tell where they were written.

    Exit codes: 0 all were written; 1 lines were skipped, each was told; 2 the event cannot be
    published, or Kafka or a file is not there.
    """
    headers = _headers(header or [])
    _check_source(data, jsonl)
    # What the client says on the way is in the error, if one comes.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    raw = read_data((data or "").encode("utf-8", "surrogateescape"))  # checked as JSON later
    if user is not None:
        _check_for_user(stream, key)
        event = UserEvent(user, raw, ttl, collapse_key, headers=headers)
        delivery = Delivery(ttl, collapse_key)
        _run(
            user_target(user, delivery, targeted_topic, kafka, data_dir),
            event,
            jsonl,
            as_json=as_json,
        )
        return
    name = _check_for_stream(stream, key, jsonl, ttl, collapse_key)
    target = stream_target(name, kafka, streams, data_dir)
    _run(target, Event(key, raw, headers), jsonl, as_json=as_json)


def _run(target: Target[E], event: E, jsonl: str | None, *, as_json: bool) -> None:
    """Publish ``event``, or the lines of ``jsonl`` with its headers."""
    if jsonl is not None:
        _publish_lines(target, jsonl, event.headers, as_json=as_json)
        return
    position = asyncio.run(target.publish_one(event))
    if as_json:
        print_json(position._asdict())
    else:
        print_line(f"{position.topic} partition {position.partition} offset {position.offset}")


def _publish_lines(
    target: Target[E], source: str, headers: Mapping[str, str | bytes], *, as_json: bool
) -> None:
    report = PublishReport(source, as_json=as_json, is_shown=sys.stderr.isatty())
    with LineReader(source) as lines, report:
        asyncio.run(target.publish_lines(PublishLines(lines, headers, report, parse=target.parse)))
    count = "1 event" if report.written == 1 else f"{report.written:,} events"
    progress().print(f"{count} written to {target.name}", markup=False)
    if report.skipped:
        total = report.written + report.skipped
        progress().print(f"{report.skipped:,} of {total:,} lines were skipped")
        raise typer.Exit(SKIPPED)


def _check_source(data: str | None, jsonl: str | None) -> None:
    if (data is None) == (jsonl is None):
        raise typer.BadParameter("give one of the two: --data JSON or --jsonl FILE")


def _check_for_user(stream: str | None, key: str | None) -> None:
    if stream is not None:
        raise typer.BadParameter("give one of the two: a STREAM, or --user for one user")
    if key is not None:
        raise typer.BadParameter("what goes to one user has no key: leave --key out")


def _check_for_stream(
    stream: str | None,
    key: str | None,
    jsonl: str | None,
    ttl: float | None,
    collapse_key: str | None,
) -> str:
    if stream is None:
        raise typer.BadParameter("give one of the two: a STREAM, or --user for one user")
    for option, given in (("--ttl", ttl), ("--collapse-key", collapse_key)):
        if given is not None:
            raise typer.BadParameter(f"{option} goes with --user, not with a STREAM")
    if jsonl is None and key is None:
        raise typer.BadParameter("--data needs --key: what the event is about")
    if jsonl is not None and key is not None:
        raise typer.BadParameter("with --jsonl the key stands in each line; leave --key out")
    return stream


def _headers(pairs: list[str]) -> dict[str, str]:
    headers = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=TEXT", param_hint="--header")
        headers[name] = text
    return headers
