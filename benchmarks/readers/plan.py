"""What is measured with which arguments, one reader after the other in every run."""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidewire.dev.ports import free_port

from . import traffic
from .clients import READERS
from .running import CLIENT_CORES, PRIORITY, broker, folder, measured, paced_traffic, start

__all__ = ["MEASUREMENTS", "Row"]

_BATCHES = {"aiokafka": (1000,), "confluent": (100, 500)}
_READERS_AND_BATCHES = [(reader, batch) for reader in READERS for batch in _BATCHES[reader]]
_OUTAGE = 20.0
_BEFORE_OUTAGE = 2.0

Row = dict[str, Any]


def _load(runs: int) -> Iterator[Row]:
    topic: dict[str, Any] = {"topic": "load", "partitions": 8}
    with folder() as data_dir, broker(data_dir, free_port()) as running:
        where: dict[str, Any] = {"bootstrap": running.bootstrap, **topic}
        traffic.create_topic(**where)
        traffic.fill(**where, count=400_000)
        for run, decode, (reader, batch) in itertools.product(
            range(runs), (False, True), _READERS_AND_BATCHES
        ):
            given = {"reader": reader, "max_records": batch, "decode": decode}
            child = start("load", {**given, **where, "cores": CLIENT_CORES})
            yield _row("load", run, given, measured(child))


def _write_path(runs: int) -> Iterator[Row]:
    topic: dict[str, Any] = {"topic": "paced", "partitions": 8}
    contenders = [(None, 1), *_READERS_AND_BATCHES]
    loops = [("uvloop", [1]), ("uvloop", [0, 1]), ("asyncio", [0, 1])]
    with folder() as data_dir, broker(data_dir, free_port()) as running:
        where: dict[str, Any] = {"bootstrap": running.bootstrap, **topic}
        traffic.create_topic(**where)
        with paced_traffic({**where, "rate": 20_000}):
            for run, (loop, cores), (reader, batch) in itertools.product(
                range(runs), loops, contenders
            ):
                given = {"reader": reader, "max_records": batch, "loop": loop, "cores": cores}
                pace = {"sends": 200, "tick": 0.005, "seconds": 6.0, "priority": PRIORITY}
                child = start("write_path", {**given, **where, **pace})
                yield _row("write_path", run, given, measured(child))


def _storm(runs: int) -> Iterator[Row]:
    kept = {"topic": "kept", "partitions": 64}
    storm = {"storm_topic": "storm", "storm_partitions": 512}
    with folder() as data_dir, broker(data_dir, free_port()) as running:
        address = running.bootstrap
        traffic.create_topic(address, "kept", 64)
        traffic.create_topic(address, "storm", 512)
        traffic.fill(address, "storm", 512, 20 * 512)
        with paced_traffic({"bootstrap": address, **kept, "rate": 10_000}):
            for run, reader in itertools.product(range(runs), READERS):
                given = {"reader": reader, "changing": 300}
                pace = {"seconds": 15.0, "cores": CLIENT_CORES, "priority": PRIORITY}
                child = start("storm", {**given, "bootstrap": address, **kept, **storm, **pace})
                yield _row("storm", run, given, measured(child))


def _away(runs: int) -> Iterator[Row]:
    """All readers at once through the same outage."""
    port = free_port()
    topic: dict[str, Any] = {"topic": "away", "partitions": 64}
    with folder() as data_dir:
        with broker(data_dir, port) as running:
            where: dict[str, Any] = {"bootstrap": running.bootstrap, **topic}
            traffic.create_topic(**where)
        for run in range(runs):
            with broker(data_dir, port) as running:
                children = {reader: _reading(reader, where) for reader in READERS}
                time.sleep(_BEFORE_OUTAGE)
                left_at = time.time()
                running.child.stop(0.0)
            time.sleep(max(0.0, _OUTAGE - (time.time() - left_at)))
            with broker(data_dir, port):
                back_at = time.time()
                traffic.fill(**where, count=1)
                for reader, child in children.items():
                    found = measured(child)
                    told_at, flowed_at = found.pop("told_at"), found.pop("flowed_at")
                    found["told_after_s"] = (told_at or back_at) - left_at
                    found["flows_after_s"] = flowed_at - back_at
                    yield _row("away", run, {"reader": reader}, found)


MEASUREMENTS: Mapping[str, Callable[[int], Iterator[Row]]] = {
    "load": _load,
    "write_path": _write_path,
    "storm": _storm,
    "away": _away,
}


def _reading(reader: str, where: Mapping[str, Any]) -> "subprocess.Popen[str]":
    given = {"reader": reader, **where, "cores": CLIENT_CORES}
    child = start("away", given, stderr=subprocess.PIPE)
    assert child.stderr is not None
    for line in child.stderr:
        if line == "reading\n":
            return child
    raise RuntimeError(f"{reader} does not read")


def _row(what: str, run: int, given: Mapping[str, Any], found: Mapping[str, Any]) -> Row:
    row = {"what": what, "run": run, **given, "figures": found}
    sys.stderr.write(json.dumps(row) + "\n")
    return row
