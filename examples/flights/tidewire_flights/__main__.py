"""The replay process: ``python -m tidewire_flights --kafka HOST:PORT``.

Exit codes: 0 ended by a signal · 1 the broker failed · 2 an option or a file cannot be used.
"""

import argparse
import asyncio
import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from tidewire.config.errors import ConfigError
from tidewire.config.streams import Stream
from tidewire.config.streams_file import load_streams
from tidewire.dev.signals import StopRequest
from tidewire.errors import TidewireError
from tidewire.kafka.confluent_clients import ConfluentReader
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import Publisher

from . import streams_file
from .dataset import Dataset
from .errors import DatasetError
from .events import FLIGHTS, NOTICES, REPLAY, BoardRules
from .laps import ReplayPoint, begin, parse_start
from .replay import Progress, Replay
from .sampling import SamplingPublisher, is_left_to_us
from .stored import standing_keys, stored_point

SOURCE: Final = "tidewire-flights"
DEFAULT_SPEED: Final = 300.0
DEFAULT_START: Final = "2013-01-01T08:00"
_TICK: Final = 0.05
_REPORT_INTERVAL: Final = 1.0
_LOG_INTERVAL: Final = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    kafka: str
    streams: Mapping[str, Stream]
    speed: float
    start: str | None
    is_json: bool


def main(arguments: Sequence[str] | None = None) -> int:
    started_at = time.monotonic()
    try:
        with StopRequest() as stop:
            return _run(_parse(arguments), Dataset.load(), stop, started_at)
    except (ConfigError, DatasetError) as error:
        sys.stderr.write(f"tidewire_flights: {error}\n")
        return 2
    except TidewireError as error:
        sys.stderr.write(f"tidewire_flights: {error}\n")
        return 1


def _run(options: Options, dataset: Dataset, stop: StopRequest, started_at: float) -> int:
    point, stale_keys = asyncio.run(_where_to_begin(options, dataset))
    start = begin(dataset, point, BoardRules())
    with Publisher.connect(options.kafka, options.streams, source=SOURCE) as publisher:
        for key in sorted(stale_keys - {event.key for event in start.board}):
            publisher.publish(FLIGHTS, key, None)
        sampled = SamplingPublisher(publisher) if is_left_to_us(os.environ) else publisher
        replay = Replay(sampled, start, point, options.speed)
        replay.publish_board()
        _announce(options, replay.report(time.monotonic() - started_at))
        _play(options, replay, stop)
    return 0


def _play(options: Options, replay: Replay, stop: StopRequest) -> None:
    """Step at each tick until ``stop``; the clock's row goes out every second and at the end."""
    stepped_at = reported_at = logged_at = time.monotonic()
    while not stop.wait(_TICK):
        now = time.monotonic()
        replay.step(now - stepped_at)
        stepped_at = now
        if now - reported_at >= _REPORT_INTERVAL:
            progress = replay.report(now - reported_at)
            reported_at = now
            if now - logged_at >= _LOG_INTERVAL:
                logged_at = now
                _log(options, progress)
    replay.report(max(time.monotonic() - reported_at, _TICK))


async def _where_to_begin(options: Options, dataset: Dataset) -> tuple[ReplayPoint, set[str]]:
    """The point to start at, and the keys that an earlier replay left standing elsewhere."""
    reader = ConfluentReader(_kafka_settings(options.kafka))
    await reader.start()
    try:
        stored = await stored_point(reader, options.streams[REPLAY])
        if stored is not None and options.start is None:
            return stored, set()
        try:
            point = ReplayPoint(1, parse_start(options.start or DEFAULT_START, dataset))
        except ValueError as error:
            raise ConfigError(f"--start: {error}; example: --start {DEFAULT_START}") from error
        stale = set() if stored is None else await standing_keys(reader, options.streams[FLIGHTS])
        return point, stale
    finally:
        await reader.close()


def _kafka_settings(bootstrap: str) -> KafkaSettings:
    try:
        return KafkaSettings(bootstrap=bootstrap, client_id="tidewire-flights")
    except ValueError as error:
        raise ConfigError(
            f"--kafka {bootstrap} is not HOST:PORT; example: --kafka 127.0.0.1:9092"
        ) from error


def _parse(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(prog="tidewire_flights", description=__doc__)
    parser.add_argument("--kafka", required=True, metavar="HOST:PORT", help="broker to publish to")
    parser.add_argument("--streams", type=Path, default=streams_file(), metavar="FILE")
    parser.add_argument(
        "--speed",
        type=float,
        default=DEFAULT_SPEED,
        help="simulated seconds a second (%(default)g)",
    )
    parser.add_argument(
        "--start",
        metavar="TIME",
        help="New York's local time in 2013; without it the replay goes on where the last one stopped",
    )
    parser.add_argument("--json", action="store_true", help="progress as JSON, a line each")
    parsed = parser.parse_args(arguments)
    if not (math.isfinite(parsed.speed) and parsed.speed > 0):
        raise ConfigError(f"--speed {parsed.speed} is not a number above 0; example: --speed 300")
    streams = load_streams(parsed.streams).streams
    for name in (FLIGHTS, NOTICES, REPLAY):
        if name not in streams:
            raise ConfigError(
                f"{parsed.streams} has no stream `{name}`: add it as in {streams_file()}"
            )
    return Options(parsed.kafka, streams, parsed.speed, parsed.start, parsed.json)


def _announce(options: Options, progress: Progress) -> None:
    """With ``--json`` one ready line on stdout, as the other processes have."""
    if options.is_json:
        ready = {"event": "ready", **_fields(progress)}
        _write(sys.stdout, json.dumps(ready))
    else:
        _log(options, progress)


def _log(options: Options, progress: Progress) -> None:
    fields = _fields(progress)
    line = (
        json.dumps({"event": "progress", **fields})
        if options.is_json
        else f"flights: {fields['sim']} simulated, {fields['rate']:.0f} events/s, "
        f"{fields['published']} published, lap {fields['lap']}"
    )
    _write(sys.stderr, line)


def _write(output: TextIO, line: str) -> None:
    """One line; a reader that went away does not end the replay."""
    with contextlib.suppress(BrokenPipeError):
        output.write(line + "\n")
        output.flush()


def _fields(progress: Progress) -> dict[str, Any]:
    row = progress.to_row()
    sim = datetime.fromtimestamp(progress.point.at, UTC)
    return {**row, "sim": sim.strftime("%Y-%m-%dT%H:%MZ")}


if __name__ == "__main__":
    sys.exit(main())
