"""What the load client is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["Clock", "LoadOptions", "arguments"]

Clock = Literal["monotonic-ns", "unix-ms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What connections to open and what to look for in their frames.

    ``script`` are text frames sent after the upgrade. In them, in ``headers`` and in the URL's path
    ``{n}`` becomes the connection's number, ``{token}`` and ``{since}`` element n (mod length) of
    ``tokens`` and ``since``.
    A connection is ready once a frame holds ``ready``, else when it is upgraded. ``churn`` closes
    what is ready and opens another in its place. ``connect_rate`` opens so many a second, however
    long they take; 0: as many as ``in_flight`` allows. Connections come from ``addresses`` loopback
    addresses, each good for about 28,000.
    ``event`` marks an event in a frame, ``stamp`` what precedes its time on ``clock``; "" finds none.
    The last ``slow_connections`` read ``slow_rate`` bytes a second once they are ready.
    """

    url: str
    connections: int
    addresses: int = 1
    in_flight: int = 128
    connect_rate: float = 0.0
    script: Sequence[str] = ()
    tokens: Sequence[str] = ()
    since: Sequence[str] = ()
    subprotocol: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    ready: str | None = None
    churn: bool = False
    event: str = '"offset":['
    stamp: str = '"at":'
    clock: Clock = "monotonic-ns"
    slow_connections: int = 0
    slow_rate: int = 0


def arguments(options: LoadOptions, *, folder: Path, core: int | None = None) -> list[str]:
    """The program's command line; script, tokens and since are written to ``folder``."""
    values: dict[str, object] = {
        "url": options.url,
        "connections": options.connections,
        "addresses": options.addresses,
        "in-flight": options.in_flight,
        "connect-rate": options.connect_rate,
        "subprotocol": options.subprotocol,
        "ready": options.ready,
        "event": options.event,
        "stamp": options.stamp,
        "clock": options.clock,
        "core": core,
    }
    if options.slow_connections:
        values["slow"] = f"{options.slow_connections}:{options.slow_rate}"
    for name, lines in (
        ("script", options.script),
        ("tokens", options.tokens),
        ("since", options.since),
    ):
        if lines:
            values[name] = _file(folder / name, lines)
    found = [f"--{name}={value}" for name, value in values.items() if value is not None]
    found += [f"--header={name}: {value}" for name, value in options.headers.items()]
    return [*found, "--churn"] if options.churn else found


def _file(path: Path, lines: Sequence[str]) -> Path:
    assert not any("\n" in line for line in lines), "a line of a script cannot be broken"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
