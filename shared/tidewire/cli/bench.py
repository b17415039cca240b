"""`tidewire bench`: figures of a running system."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape

from ..bench.errors import PlanError
from ..bench.live.document import document
from ..bench.live.figures import Outcome
from ..bench.live.plan import Plan, Publication
from ..bench.live.publishing import SOURCE, PacedPublisher, keys_of
from ..bench.live.remarks import remarks
from ..bench.live.run import Task, run_bench
from ..bench.live.sites import shares_of
from ..bench.machine import describe_machine
from ..dev.options import DEFAULT_DATA_DIR
from ..protocol.codes import Mode
from ..publishing import Publisher
from ..publishing.routing import stream_named
from .bench_nodes import default_channel, found_sites, made_tokens
from .bench_report import BenchProgress, tables
from .connection import DataDirOption, KafkaOption, StreamsOption, connection
from .output import console, print_json, progress

__all__ = ["register"]

INTERRUPTED = 130
TOKEN_TTL = 3600.0
PUBLISHING = "Publishing"
_LAYOUT = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


def register(app: typer.Typer) -> None:
    app.command("bench")(bench)


def bench(
    channel: Annotated[
        str | None,
        typer.Argument(help="STREAM or STREAM/GROUP. Default: flights, or the run's only stream."),
    ] = None,
    connections: Annotated[int, typer.Option(help="Held at a time, up to 20,000.")] = 200,
    seconds: Annotated[float, typer.Option(help="Measured after the warm-up, up to 3600.")] = 10.0,
    mode: Annotated[
        Mode | None, typer.Option(help="What to be promised; by default what the stream gives.")
    ] = None,
    interval: Annotated[
        int | None, typer.Option(metavar="MS", help="Shortest time between two batches.")
    ] = None,
    handshakes: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Then measure connections that come and go, so long."),
    ] = None,
    connect_rate: Annotated[
        float, typer.Option(metavar="N", help="Open so many a second; 0: as fast as it goes.")
    ] = 0.0,
    url: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WS", help="ws://HOST:PORT/v1/ws, repeatable. Default: the run's nodes."
        ),
    ] = None,
    internal: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HTTP",
            help="Internal port of a node, for CPU and memory: one for each --url, or several for one.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="TIDEWIRE_TOKEN", help="Whom all are. Default: a user each, where a dev runs."
        ),
    ] = None,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    publish: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Write so many events a second into --stream.",
            rich_help_panel=PUBLISHING,
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(help="Into which; the one of CHANNEL.", rich_help_panel=PUBLISHING),
    ] = None,
    keys: Annotated[
        int, typer.Option(help="Keys they are of, in turn.", rich_help_panel=PUBLISHING)
    ] = 100,
    data_bytes: Annotated[
        int, typer.Option(help="JSON of each.", rich_help_panel=PUBLISHING)
    ] = 150,
    kafka: KafkaOption = None,
    streams: StreamsOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the JSON document there as well.")
    ] = None,
) -> None:
    """Measure a system that runs: what arrives, how late, and what it costs.

    Opens --connections WebSocket connections, spread over the nodes of the
    `tidewire dev` in --data-dir (or over each --url), subscribes them to
    CHANNEL without a snapshot, warms up for a second, measures for --seconds:

        tidewire bench
        tidewire bench flights/JFK --connections 5000 --mode every
        tidewire bench --publish 1000 --stream flights --handshakes 5
        tidewire bench flights --url ws://a:80/v1/ws --internal http://a:9090

    The age of an event is the time from its record's timestamp until it is
    here, by this machine's clock; a field "ts" inside the data counts, too.
    With --publish it is the time from the moment an event was due (a late one
    keeps it) until it is here, and other events do not count. Of several nodes
    the slowest one's quantiles are told. CPU a frame: all that the nodes did,
    by frames. Memory a connection: how much they grew while the connections
    were opened; rough below some thousands, and after an earlier run.

    With --publish records are written into the topic and stay there; their
    keys are removed at the end. Kafka is found as by `tidewire publish`.

    With --handshakes connections come and go afterwards, 128 at a time to each
    node, subscribing as the others did; the same users come again.

    The table goes to stdout, notes to stderr. The JSON document has machine,
    options, interrupted, figures (of all), sites (of each address), published,
    handshakes and warnings; what was not to be had is null. Names end in their
    unit; cores are CPU seconds a second.

    The load client is compiled at first use: needs Linux and a C compiler. Its
    own CPU is told: near a whole core, the figures are its own.

    Exit codes: 0 measured; 2 it cannot be measured, the message says why and
    the cure; 130 interrupted, with what was measured until then.
    """
    sites = found_sites(url or [], internal or [], data_dir)
    plan = Plan(
        channel=channel or stream or default_channel(data_dir),
        connections=connections,
        seconds=seconds,
        mode=mode,
        interval_ms=interval,
        connect_rate=connect_rate,
        publication=_publication(publish, stream, keys, data_bytes),
        handshake_seconds=handshakes,
    )
    shares_of(plan.connections, len(sites))
    _check_out(out)
    ttl = TOKEN_TTL + plan.seconds + (plan.handshake_seconds or 0.0)
    tokens = [token] if token else made_tokens(sites, plan.connections, data_dir, ttl=ttl)
    with _interruptible(), contextlib.ExitStack() as stack:
        publisher = None
        if plan.publication is not None:
            publisher = stack.enter_context(_publisher(plan, kafka, streams, data_dir))
        shown = stack.enter_context(BenchProgress(is_shown=sys.stderr.isatty() and not as_json))
        task = Task(plan=plan, sites=sites, tokens=tokens, publisher=publisher)
        outcome = run_bench(task, shown)
    _tell(plan, outcome, as_json=as_json, out=out)
    if outcome.is_interrupted:
        raise typer.Exit(INTERRUPTED)


def _publication(
    rate: float | None, stream: str | None, keys: int, data_bytes: int
) -> Publication | None:
    if rate is None:
        if stream is not None:
            raise PlanError("--stream: is for --publish RATE; what is measured is the CHANNEL")
        return None
    if stream is None:
        raise PlanError(
            "--publish: writes records that stay in Kafka, so say into which stream: add --stream STREAM"
        )
    return Publication(stream=stream, rate=rate, keys=keys, data_bytes=data_bytes)


@contextlib.contextmanager
def _publisher(
    plan: Plan, kafka: str | None, streams: Path | None, data_dir: Path
) -> Iterator[PacedPublisher]:
    """What the plan publishes through: Kafka as `tidewire publish` finds it, with nothing held back."""
    assert plan.publication is not None
    to = connection(kafka, streams, data_dir)
    rules = stream_named(to.streams, plan.publication.stream)
    keys = keys_of(plan, rules)
    progress().print(
        f"[yellow]writes {plan.publication.rate:g} records a second into topic {rules.topic}[/], "
        f"{len(keys):,} keys like {keys[0]!r}; they are removed afterwards, the records stay"
    )
    settings = to.kafka.model_copy(update={"linger": 0.0})
    with Publisher.connect(settings, to.streams, source=SOURCE) as publisher:
        yield PacedPublisher(publisher, plan.publication, keys)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM interrupts as Ctrl-C does; an interrupt that nobody took ends the command."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        progress().print("interrupted before anything was measured")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_out(out: Path | None) -> None:
    """Before the measurement, not after it."""
    if out is not None and (out.is_dir() or not out.parent.is_dir()):
        raise PlanError(f"--out {out}: name a file in a directory that is there")


def _tell(plan: Plan, outcome: Outcome, *, as_json: bool, out: Path | None) -> None:
    found = document(plan, outcome, describe_machine())
    if as_json:
        print_json(found)
    else:
        for table in tables(plan, outcome):
            console().print(table)
        for sentence in remarks(plan, outcome):
            progress().print(f"[yellow]note[/] {escape(sentence)}")
    if out is not None:
        _write(out, found)


def _write(out: Path, found: dict[str, Any]) -> None:
    try:
        out.write_bytes(orjson.dumps(found, option=_LAYOUT))
    except OSError as error:
        raise PlanError(f"--out {out}: cannot be written ({error.strerror})") from error
