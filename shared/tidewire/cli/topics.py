"""`tidewire topics`: make and check the Kafka topics of the streams."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.table import Table

from ..config.streams import Stream
from ..dev.options import DEFAULT_DATA_DIR
from ..kafka.settings import KafkaSettings
from ..system.streams import system_streams
from ..topics import (
    DEFAULT_SLOTS,
    TopicReport,
    TopicsReport,
    apply_topics,
    check_topics,
    revocations_topic,
    targeted_topics,
)
from ..topics.plan import Status
from .connection import Connection, DataDirOption, KafkaOption, StreamsOption, connection
from .output import console, print_json, print_line

__all__ = ["register"]

FOUND = 1
ANSWER_TIMEOUT = 10.0
TargetedOption = Annotated[
    bool, typer.Option("--targeted", help="Also the topics of messages to users.")
]
SlotsOption = Annotated[
    int,
    typer.Option(metavar="N", min=1, max=10_000, help="Nodes that there may be, with --targeted."),
]
ReplicationOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=32,
        help="Replicas of the topics that are no stream's. Default: as many as the stream with most has.",
    ),
]
ConsoleOption = Annotated[
    bool,
    typer.Option("--console", help="Also the topics of the console: the system's own streams."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")]
_COLOURS = {
    Status.OK: "green",
    Status.CREATED: "green",
    Status.MISSING: "yellow",
    Status.DIFFERS: "red",
}


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Kafka topics of the streams.")
    group.command("apply")(apply)
    group.command("list")(list_topics)
    group.command("check")(check)
    app.add_typer(group, name="topics")


def apply(
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    targeted: TargetedOption = False,
    slots: SlotsOption = DEFAULT_SLOTS,
    console_too: ConsoleOption = False,
    replication: ReplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make the topics of the streams and of revocations that are missing; a topic that exists is checked, never changed.

    Exit codes: 0 every topic is as it should be; 1 one differs; 2 Kafka or a file is not there.
    """
    to = connection(kafka, streams, data_dir)
    with _admin(to) as admin:
        wanted = _wanted(to, targeted, slots, console_too, replication)
        _tell(apply_topics(admin, wanted), as_json=as_json)


def list_topics(
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    targeted: TargetedOption = False,
    slots: SlotsOption = DEFAULT_SLOTS,
    console_too: ConsoleOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the streams' topics and how they stand.

    Exit codes: 0 done, whatever they look like; 2 Kafka or a file is not there.
    """
    to = connection(kafka, streams, data_dir)
    with _admin(to) as admin:
        report = check_topics(admin, _wanted(to, targeted, slots, console_too))
    if as_json:
        print_json(_wire(report))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("topic", "streams", "partitions", "state"):
        table.add_column(heading, justify="right" if heading == "partitions" else "left")
    for topic in report.topics:
        state = f"[{_COLOURS[topic.status]}]{topic.status}[/]"
        table.add_row(topic.topic, ", ".join(topic.streams), str(topic.partitions), state)
    console().print(table)


def check(
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    targeted: TargetedOption = False,
    slots: SlotsOption = DEFAULT_SLOTS,
    console_too: ConsoleOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the topics with streams.yaml; nothing is made or changed.

    Exit codes: 0 every topic is as it should be; 1 one is missing or differs; 2 Kafka or a file is
    not there.
    """
    to = connection(kafka, streams, data_dir)
    with _admin(to) as admin:
        _tell(check_topics(admin, _wanted(to, targeted, slots, console_too)), as_json=as_json)


def _wanted(
    to: Connection, targeted: bool, slots: int, console_too: bool, replication: int | None = None
) -> Mapping[str, Stream]:
    """``replication`` None: as many replicas as the stream with most has."""
    most = max((stream.replication for stream in to.streams.values()), default=1)
    replicas = most if replication is None else replication
    return (
        to.streams
        | revocations_topic(replication=replicas)
        | (targeted_topics(slots=slots, replication=replicas) if targeted else {})
        | (system_streams(replication=replicas) if console_too else {})
    )


@contextmanager
def _admin(to: Connection) -> Iterator[Any]:
    admin = _connect(to.kafka)
    try:
        admin.wait_until_ready(ANSWER_TIMEOUT)
        yield admin
    finally:
        admin.close()


def _connect(kafka: KafkaSettings) -> Any:
    from ..kafka.confluent_clients import ConfluentAdmin  # librdkafka is slow to load

    return ConfluentAdmin(kafka)


def _tell(report: TopicsReport, *, as_json: bool) -> None:
    if as_json:
        print_json(_wire(report))
    else:
        for topic in report.topics:
            _tell_topic(topic)
    if not report.is_ok:
        raise typer.Exit(FOUND)


def _tell_topic(topic: TopicReport) -> None:
    partitions = "1 partition" if topic.partitions == 1 else f"{topic.partitions} partitions"
    said = {
        Status.OK: f"ok, {partitions}",
        Status.CREATED: f"created, {partitions}",
        Status.MISSING: "missing; make it with `tidewire topics apply`",
        Status.DIFFERS: "differs",
    }
    print_line(f"{topic.topic}: {said[topic.status]}")
    for difference in topic.differences:
        print_line(f"  {difference}")


def _wire(report: TopicsReport) -> dict[str, Any]:
    return {
        "ok": report.is_ok,
        "topics": [
            {
                "topic": topic.topic,
                "streams": list(topic.streams),
                "state": topic.status.value,
                "partitions": topic.partitions,
                "differences": [
                    {"setting": d.setting, "wanted": d.wanted, "found": d.found}
                    for d in topic.differences
                ],
            }
            for topic in report.topics
        ],
    }
