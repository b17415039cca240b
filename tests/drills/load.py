"""A process of recording clients: ``python -m drills.load CONFIG.json``, until SIGTERM.

At SIGUSR1 all lose their connections, at SIGUSR2 one of them has a whim (`drills.whims`). Says that it is ready
once every subscription of every client stands. It ends when nothing but pings has come for a while.
"""

import asyncio
import contextlib
import itertools
import json
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.waiting import eventually
from histories.entries import Position
from histories.recorder import ClientOptions, RecordingClient, Wanted
from histories.restless import RestlessClient
from histories.wire import Heading, HeadingPayload
from histories.writing import Recording, StoredFrame
from tidewire_client.backoff import BackoffLimits

from .renewal import Renewal
from .whims import Whims

__all__ = ["Client", "main"]

READY_TIMEOUT = 300.0
QUIET_TIMEOUT = 60.0
RETRY_FIRST = 0.1
RETRY_MOST = 1.0


@dataclass(frozen=True, slots=True)
class Client:
    """One client of the load; durations in seconds, sizes in bytes.

    ``urls`` are taken in turn, one an attempt. ``subscriptions`` are those of `Wanted`. ``since`` is where
    it resumes its first subscription when it begins (epoch, next offset by partition). ``skips`` is how far
    it falsifies each position that it resumes from. It reads nothing during ``deaf``, counted from when it
    is ready. ``token`` is that of ``user``. During the first ``drops_for`` seconds after it is ready it drops its
    connection now and then, ``drops_every`` seconds apart on average, by chance that begins with ``seed``. ``renewal``
    makes its tokens; ``is_to_be_refused``: that it is refused for good is no failure. Its whims are tokens that it
    makes with ``key_file``, and ``intervals`` of its last subscription.
    """

    name: str
    urls: Sequence[str]
    subscriptions: Sequence[Mapping[str, Any]]
    begins_after: float = 0.0
    since: Mapping[str, Any] | None = None
    skips: int = 0
    obeys_goaway: bool = True
    read_rate: float | None = None
    receive_buffer: int | None = None
    deaf: tuple[float, float] | None = None
    backoff: tuple[float, float] = field(default=(RETRY_FIRST, RETRY_MOST))
    user: str | None = None
    token: str | None = None
    drops_for: float = 0.0
    drops_every: float = 1.0
    seed: int = 0
    renewal: Mapping[str, Any] | None = None
    is_to_be_refused: bool = False
    key_file: str | None = None
    intervals: Sequence[int] = ()


class _Heard(Recording):
    """A recording that knows when it last got anything but a ping."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.heard_at = time.monotonic()

    def store(self, frame: bytes) -> StoredFrame:
        stored = super().store(frame)
        if stored.headings is None or any(heading.type != "ping" for heading in stored.headings):
            self.heard_at = time.monotonic()
        return stored


def main(config: Path) -> int:
    asked = json.loads(config.read_text())
    folder = Path(asked["histories"]) / config.stem
    clients = [Client(**client) for client in asked["clients"]]
    asyncio.run(_run(folder, clients, asked["quiet"]))
    return 0


async def _run(folder: Path, asked: Sequence[Client], quiet: float) -> None:
    recording = _Heard(folder)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    clients = [_made(client, recording) for client in asked]
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _drop_all, clients)
    whims = Whims(dict(zip(clients, asked, strict=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, whims.act)
    async with asyncio.TaskGroup() as tasks:
        lives = [
            tasks.create_task(_live(client, spec))
            for client, spec in zip(clients, asked, strict=True)
        ]
        announcing = tasks.create_task(_announce(clients))
        await stopped.wait()
        announcing.cancel()
        await _come_to_rest(recording, quiet)
        for client, life in zip(clients, lives, strict=True):
            client.stop()
            if not client.attempts:
                life.cancel()
    recording.close()
    failures = [
        f"{client.name}: {client.failure}"
        for client, spec in zip(clients, asked, strict=True)
        if client.failure and not spec.is_to_be_refused
    ]
    if failures:
        sys.exit("error: refused for good: " + "; ".join(failures[:3]))


def _drop_all(clients: Sequence[RecordingClient]) -> None:
    for client in clients:
        client.drop()


def _made(spec: Client, recording: Recording) -> RestlessClient:
    urls = itertools.cycle(spec.urls)
    renew = None if spec.renewal is None else Renewal(**spec.renewal).token
    options = ClientOptions(
        backoff=BackoffLimits(*spec.backoff),
        obeys_goaway=spec.obeys_goaway,
        read_rate=spec.read_rate,
        receive_buffer=spec.receive_buffer,
        resume_at=_skipping(spec.skips),
        user=spec.user,
        token=spec.token if renew is None else renew(),
        renew=renew,
    )
    wanted = [Wanted(**subscription) for subscription in spec.subscriptions]
    client = RestlessClient(
        spec.name, lambda: next(urls), wanted, recording=recording, options=options
    )
    if spec.since is not None:
        _place(client, spec.since)
    return client


def _place(client: RecordingClient, since: Mapping[str, Any]) -> None:
    """Have a client begin as one that was told this position on an earlier connection."""
    offsets = {int(p): offset for p, offset in since["offsets"].items()}
    told = HeadingPayload(sub=0, position=Position(since["epoch"], offsets), recovered="exact")
    client.places[0].take(Heading("subscribed", payload=told))
    client.places[0].lost()


def _skipping(records: int) -> Callable[[Position], Position]:
    def skip(position: Position) -> Position:
        return Position(position.epoch, {p: o + records for p, o in position.offsets.items()})

    return skip


async def _live(client: RecordingClient, spec: Client) -> None:
    await asyncio.sleep(spec.begins_after)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(client.run())
        whims = []
        if spec.deaf is not None:
            whims.append(tasks.create_task(_turn_deaf(client, spec.deaf)))
        if spec.drops_for:
            whims.append(tasks.create_task(_drop_now_and_then(client, spec)))
        await running
        for whim in whims:
            whim.cancel()


async def _turn_deaf(client: RecordingClient, deaf: tuple[float, float]) -> None:
    begins, ends = deaf
    await eventually(lambda: client.is_ready, within=READY_TIMEOUT)
    await asyncio.sleep(begins)
    client.pause_reading()
    await asyncio.sleep(ends - begins)
    client.resume_reading()


async def _drop_now_and_then(client: RecordingClient, spec: Client) -> None:
    chance = random.Random(spec.seed)
    await eventually(lambda: client.is_ready, within=READY_TIMEOUT)
    left = spec.drops_for
    while (pause := chance.expovariate(1 / spec.drops_every)) < left:
        left -= pause
        await asyncio.sleep(pause)
        client.drop()


async def _announce(clients: Sequence[RecordingClient]) -> None:
    await eventually(lambda: all(client.is_ready for client in clients), within=READY_TIMEOUT)
    sys.stdout.write('{"event":"ready"}\n')
    sys.stdout.flush()


async def _come_to_rest(recording: _Heard, quiet: float) -> None:
    """Until nothing comes any more, or for long enough: what is missing then is for the checker to say."""
    with contextlib.suppress(AssertionError):
        await eventually(
            lambda: time.monotonic() - recording.heard_at >= quiet, within=QUIET_TIMEOUT
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
