"""`tidewire dev`: everything on one machine."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ..dev.data_dir import DataDir
from ..dev.errors import ChildFailedError, StoppedError
from ..dev.options import DEFAULT_DATA_DIR, DEFAULT_PORT, DevOptions, Example
from ..dev.running import Running, console_url, ready_message
from ..dev.signals import StopRequest
from .output import console, print_json, progress

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    app.command("dev")(dev)


def dev(
    port: Annotated[
        int, typer.Option(help="Port of the first gateway; the others take free ones.")
    ] = DEFAULT_PORT,
    nodes: Annotated[int, typer.Option(help="Gateway processes.")] = 1,
    broker: Annotated[
        str, typer.Option(metavar="embedded|kafka|HOST:PORT,…", help="Kafka of this run.")
    ] = "embedded",
    redis: Annotated[
        str, typer.Option(metavar="embedded|URL", help="Redis of this run.")
    ] = "embedded",
    streams: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Your streams.yaml, beside the example's streams."),
    ] = None,
    example: Annotated[
        Example, typer.Option(help="What replays events; none: only what you publish.")
    ] = Example.FLIGHTS,
    speed: Annotated[
        float | None, typer.Option(help="Simulated seconds a second of the example.")
    ] = None,
    data_dir: Annotated[
        Path, typer.Option(help="Where everything is kept; a second start finds it.")
    ] = DEFAULT_DATA_DIR,
    as_json: Annotated[
        bool, typer.Option("--json", help="One ready line on stdout, the rest on stderr.")
    ] = False,
) -> None:
    """Run all parts on this machine, on loopback, until Ctrl-C.

    Exit codes: 0 ended by Ctrl-C or SIGTERM; 2 something could not start or a part ended by itself,
    the message says what and the cure.
    """
    from ..dev.run import run_dev  # the other commands start faster without it

    report = _JsonReport() if as_json else _HumanReport()
    with StopRequest() as stop:
        try:
            options = DevOptions(
                port=port,
                nodes=nodes,
                broker=broker,
                redis=redis,
                streams=streams,
                example=example,
                speed=speed,
                data_dir=data_dir,
            )
            run_dev(options, report, stop)
        except StoppedError:
            pass  # asked for while it was starting: every part has ended all the same
        except ChildFailedError as error:
            _show_log(error)
            raise
        report.ended()


def _show_log(error: ChildFailedError) -> None:
    news = progress()
    for line in error.last_lines:
        news.print(f"  {error.part} | {line}", style="dim", markup=False)


class _HumanReport:
    """Lines for people, on stdout."""

    def __init__(self) -> None:
        self._console = self._make_console()

    def _make_console(self) -> Console:
        return console()

    def step(self, part: str, text: str) -> None:
        self._console.print(f"[bold cyan]{part:>10}[/]  {escape(text)}")

    def warn(self, text: str) -> None:
        progress().print(f"[bold yellow]{'warning':>10}[/]  {escape(text)}")

    def ended(self) -> None:
        self._console.print("tidewire dev: stopped, every part has ended")

    def ready(self, running: Running, data_dir: DataDir) -> None:
        command = _command()
        options = "" if data_dir.shown == DEFAULT_DATA_DIR else f" --data-dir {data_dir.shown}"
        self._console.print()
        for part, text in (
            ("open", f"{running.nodes[0].http}/"),
            ("console", console_url(running.nodes[0].internal)),
            ("WebSocket", running.nodes[0].ws),
            ("HTTP", f"{running.publisher} (POST /v1/events/STREAM)"),
            ("Kafka", running.kafka),
            ("publish", _publish_example(command, options)),
            ("tail", f"{command} tail flights{options}"),
            ("logs", str(data_dir.shown / data_dir.logs.name)),
            ("stop", "Ctrl-C"),
        ):
            self._console.print(f"[bold green]{part:>10}[/]  {escape(text)}")


class _JsonReport(_HumanReport):
    """One JSON line on stdout for scripts, the lines for people on stderr."""

    def _make_console(self) -> Console:
        return progress()

    def ready(self, running: Running, data_dir: DataDir) -> None:
        print_json(ready_message(running))


def _publish_example(command: str, options: str) -> str:
    data = '{"status":"delayed","carrier":"B6","flight":1,"dest":"LAX","dep_delay":15}'
    return f"{command} publish flights --key JFK/B6-1 --data '{data}'{options}"


def _command() -> str:
    """How to call this command from the folder where the run was started."""
    if shutil.which("tidewire"):
        return "tidewire"
    beside = Path(sys.executable).with_name("tidewire")
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)
