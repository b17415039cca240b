"""`tidewire topics`: make, list and check the Kafka topics that Tidewire uses."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from ..config.streams import Stream
from ..dev.options import DEFAULT_DATA_DIR
from ..kafka.ports import TopicAdmin
from ..kafka.settings import KafkaSettings
from ..system.streams import system_streams
from ..topics import (
    DEFAULT_SLOTS,
    TopicReport,
    TopicsReport,
    check_topics,
    make_missing,
    revocations_topic,
    targeted_topics,
)
from .connection import Connection, DataDirOption, KafkaOption, StreamsOption, connection
from .output import print_json, print_line, print_table, progress
from .topics_report import as_table, plan_lines, plan_wire, topic_lines, topics_wire

__all__ = ["register"]

BY_HAND = 1
NOT_MADE = 3
ANSWER_TIMEOUT = 10.0
TargetedOption = Annotated[
    bool, typer.Option("--targeted", help="Also the topics of messages to users.")
]
SlotsOption = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, max=10_000, help="Nodes that there may be, for messages to users."
    ),
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
ListedAnywayOption = Annotated[bool, typer.Option("--targeted", hidden=True)]
ConsoleListedAnywayOption = Annotated[bool, typer.Option("--console", hidden=True)]
"""Of `list` both change nothing: 0.1.0 had them, and scripts that give them go on."""
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON line on stdout.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Kafka topics that Tidewire uses.")
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
    plan_only: Annotated[
        bool, typer.Option("--plan", "--dry-run", help="Print the plan and make nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the topics of the streams and of revocations that are missing; a topic that exists is checked, never changed.

    The plan comes first. On a terminal it is asked whether to go ahead; a script, --yes and --json are not asked. Exit codes: 0
    every topic is as it should be; 1 one differs, or cannot be made; 2 Kafka or a file is not there; 3 topics are
    missing and were not made: after --plan, or since the answer was no.
    """
    to = connection(kafka, streams, data_dir)
    with _admin(to) as admin:
        wanted = _wanted(to, targeted, slots, console_too, replication)
        before = check_topics(admin, wanted)
        if plan_only:
            _tell_plan(before, as_json=as_json)
            raise typer.Exit(_exit_code(before))
        if not as_json:
            for line in plan_lines(before):
                _news(line)
            if before.missing and not yes and not _is_agreed(len(before.missing)):
                _news("nothing was made")
                raise typer.Exit(NOT_MADE)
        _tell(make_missing(admin, wanted, before, about_to=_making), as_json=as_json)


def list_topics(
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    targeted: ListedAnywayOption = False,
    slots: SlotsOption = DEFAULT_SLOTS,
    console_too: ConsoleListedAnywayOption = False,
    replication: ReplicationOption = None,
    as_json: JsonOption = False,
) -> None:
    """List every topic that Tidewire would use, those of messages to users and of the console too, and how they stand.

    Of a topic that is not there, what `apply` would make. Exit codes: 0 done, whatever they look like; 2 Kafka or a file
    is not there.
    """
    to = connection(kafka, streams, data_dir)
    with _admin(to) as admin:
        report = check_topics(admin, _wanted(to, True, slots, True, replication))
    if as_json:
        print_json(topics_wire(report))
    else:
        print_table(as_table(report))


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
def _admin(to: Connection) -> Iterator[TopicAdmin]:
    admin = _connect(to.kafka)
    try:
        admin.wait_until_ready(ANSWER_TIMEOUT)
        yield admin
    finally:
        admin.close()


def _connect(kafka: KafkaSettings) -> TopicAdmin:
    from ..kafka.confluent_clients import ConfluentAdmin  # librdkafka is slow to load

    return ConfluentAdmin(kafka)


def _is_agreed(count: int) -> bool:
    """Asks where somebody can answer; anything but yes is no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    topics = "1 topic" if count == 1 else f"{count} topics"
    progress().print(f"make {topics}? [y/N]", end=" ", markup=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _making(topic: TopicReport) -> None:
    _news(f"making {topic.topic}")


def _news(text: str) -> None:
    progress().print(text, markup=False)


def _exit_code(report: TopicsReport) -> int:
    if report.differing:
        return BY_HAND
    return NOT_MADE if report.missing else 0


def _tell_plan(report: TopicsReport, *, as_json: bool) -> None:
    if as_json:
        print_json(plan_wire(report))
        return
    for line in plan_lines(report):
        print_line(line)


def _tell(report: TopicsReport, *, as_json: bool) -> None:
    if as_json:
        print_json(topics_wire(report))
    else:
        for topic in report.topics:
            for line in topic_lines(topic):
                print_line(line)
    if not report.is_ok:
        raise typer.Exit(BY_HAND)
