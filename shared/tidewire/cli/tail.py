"""`tidewire tail`: a subscription in the terminal, one line an event."""

import asyncio
import json
import os
import shlex
import signal
import ssl
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
from rich.text import Text

from tidewire_client import (
    Batch,
    Client,
    Event,
    Gap,
    NotReadyError,
    Options,
    PermanentCloseError,
    Position,
    SubscriptionError,
    TidewireClientError,
)

from .._version import __version__
from ..dev.options import DEFAULT_DATA_DIR, DEFAULT_PORT
from ..dev.running import read_running
from ..errors import TidewireError
from ..protocol.codes import Mode
from .output import console, print_line, progress

__all__ = ["Request", "TailError", "register"]

READY_TIMEOUT = 10.0
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
CURES = {
    "forbidden": "give a token that allows it with --token (`tidewire token` makes one for dev)",
    "unknown_channel": "a channel is STREAM or STREAM/GROUP, with a stream of streams.yaml",
    "unsupported": "choose another --mode",
}


class TailError(TidewireError):
    """The terminal client cannot start or cannot go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """``count`` None: until interrupted; ``trust`` None: whom the system trusts."""

    url: str
    token: str | None
    channel: str
    mode: Mode | None
    interval_ms: int | None
    since: Position | None
    count: int | None
    trust: ssl.SSLContext | None


def register(app: typer.Typer) -> None:
    app.command("tail")(tail)


def tail(
    channel: Annotated[str, typer.Argument(help="STREAM or STREAM/GROUP.")],
    mode: Annotated[
        Mode | None, typer.Option(help="What to be promised; by default what the stream gives.")
    ] = None,
    interval: Annotated[
        int | None, typer.Option(metavar="MS", min=0, help="Shortest time between two batches.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="POSITION", help="Go on where an earlier tail ended.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line per event.")] = False,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="WS", help="ws://HOST:PORT/v1/ws; by default that of the running dev."
        ),
    ] = None,
    token: Annotated[str | None, typer.Option(envvar="TIDEWIRE_TOKEN", help="Who you are.")] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Certificates (PEM) to trust behind wss://.")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(help="Data directory of the `tidewire dev` to ask.")
    ] = DEFAULT_DATA_DIR,
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="End after so many events.")
    ] = None,
) -> None:
    """Show the events of a channel as they come, until Ctrl-C.

    The last line on stderr is the --since that goes on from there. Exit codes: 0 ended by Ctrl-C or
    --count; 2 the channel cannot be had, the message says why and the cure.
    """
    request = Request(
        url=url or _default_url(data_dir),
        token=token,
        channel=channel,
        mode=mode,
        interval_ms=interval,
        since=None if since is None else _position(since),
        count=count,
        trust=None if ca_file is None else _trust_in(ca_file),
    )
    progress_of = _Progress(request.since)
    lines: _Lines = _JsonLines() if as_json else _HumanLines()
    try:
        asyncio.run(_follow(request, lines, progress_of))
    except BrokenPipeError:
        _forget_stdout()
    except TidewireClientError as error:
        raise _explained(error, request) from error
    finally:
        if progress_of.position is not None:
            lines.note(f"--since {shlex.quote(str(progress_of.position))}")


async def _follow(request: Request, lines: "_Lines", reached: "_Progress") -> None:
    following = asyncio.current_task()
    assert following is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, following.cancel)
    try:
        await _print_batches(request, lines, reached)
    except asyncio.CancelledError:
        following.uncancel()  # asked for by a signal: an ordinary end
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def _print_batches(request: Request, lines: "_Lines", reached: "_Progress") -> None:
    options = Options(ready_timeout=READY_TIMEOUT, ssl=request.trust)
    name = f"tidewire-tail/{__version__}"
    async with Client(request.url, token=request.token, client=name, options=options) as client:
        subscription = await client.subscribe(
            request.channel,
            mode=request.mode,
            interval_ms=request.interval_ms,
            since=request.since,
            on_status=lambda state: None if state == "live" else lines.note(f"feed is {state}"),
        )
        left = request.count
        async for batch in subscription:
            if batch.kind == "snapshot" and subscription.recovered_reason is not None:
                lines.note(f"resumed with a new table ({subscription.recovered_reason})")
            events = batch.events if left is None else batch.events[:left]
            lines.batch(batch, events)
            if len(events) == len(batch.events):
                reached.position = batch.position
            if left is not None and (left := left - len(events)) <= 0:
                return


@dataclass(slots=True)
class _Progress:
    """What was printed in full: resuming there repeats nothing of it and misses nothing."""

    position: Position | None


class _Lines(Protocol):
    def batch(self, batch: Batch, events: tuple[Event, ...]) -> None: ...
    def note(self, text: str) -> None: ...


class _JsonLines:
    """Events as they are on the wire on stdout; everything else on stderr."""

    def batch(self, batch: Batch, events: tuple[Event, ...]) -> None:
        if batch.gap is not None:
            self.note(_told(batch.gap))
        for event in events:
            print_line(json.dumps(_wire(event), separators=(",", ":"), ensure_ascii=False))

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class _HumanLines:
    """Time, key, data and place of each event, coloured where the terminal can."""

    def __init__(self) -> None:
        self._console = console()
        self._progress = progress()

    def batch(self, batch: Batch, events: tuple[Event, ...]) -> None:
        if batch.kind == "snapshot":
            share = "what the node holds" if batch.partial else "the whole table"
            self.note(f"snapshot: {len(batch.events)} events, {share}")
        if batch.gap is not None:
            self.note(_told(batch.gap))
        for event in events:
            self._console.print(_line(event))

    def note(self, text: str) -> None:
        self._progress.print(Text(text, style="yellow"))


def _line(event: Event) -> Text:
    time = datetime.fromtimestamp(event.ts / 1000).astimezone()
    if event.deleted:
        data = Text("removed", style="red")
    else:
        data = Text(json.dumps(event.data, separators=(",", ":"), ensure_ascii=False))
    return Text.assemble(
        (f"{time:%H:%M:%S}.{event.ts % 1000:03d}", "dim"),
        "  ",
        (f"{event.key:<16}", "bold cyan"),
        "  ",
        data,
        (f"  {event.partition}:{event.offset}", "dim"),
    )


def _wire(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = {"deleted": True} if event.deleted else {"data": event.data}
    if event.id is not None:
        body = {"id": event.id, **body}
    return {"key": event.key, **body, "ts": event.ts, "offset": [event.partition, event.offset]}


def _told(gap: Gap) -> str:
    ranges = ", ".join(f"{p}: {first} to {after}" for p, (first, after) in gap.ranges.items())
    reason = "" if gap.reason is None else f" ({gap.reason})"
    return f"gap{reason}: events are missing" + (f", partition {ranges}" if ranges else "")


def _default_url(data_dir: Path) -> str:
    running = read_running(data_dir)
    return f"ws://127.0.0.1:{DEFAULT_PORT}/v1/ws" if running is None else running.nodes[0].ws


def _trust_in(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror
        raise TailError(
            f"--ca-file {ca_file}: has no certificates to trust ({reason}); name a PEM file"
        ) from None


def _position(text: str) -> Position:
    try:
        return Position.parse(text)
    except ValueError:
        raise TailError(
            "--since takes a position as an earlier tail printed it, in quotes:"
            """ --since '{"epoch":"…","offsets":{"0":17}}'"""
        ) from None


def _explained(error: TidewireClientError, request: Request) -> TailError:
    match error:
        case NotReadyError() if UNTRUSTED in str(error):
            return TailError(
                f"{request.url} is not trusted: {error}; name its CA's certificate with --ca-file"
            )
        case NotReadyError():
            return TailError(
                f"nothing answers at {request.url}: {error}; start `tidewire dev`, or name the"
                " gateway with --url"
            )
        case SubscriptionError() if error.code in CURES:
            return TailError(f"{error}: {CURES[error.code]}")
        case PermanentCloseError() if error.code == 3500:
            return TailError(f"{error}: give a valid token with --token")
        case _:
            return TailError(str(error))


def _forget_stdout() -> None:
    """Whoever read our lines is gone; nothing may try to flush to them at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
