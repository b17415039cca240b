"""Sends in ticks beside a reader of paced traffic: how late a tick is, what a send costs."""

import asyncio
import contextlib
import json
import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tidewire.kafka.records import Record, TopicPartition

from .clients import cpu_seconds, make_reader, percentile

__all__ = ["measure"]

_FRAME = b"x" * 200
_WARM_UP = 3.0


async def measure(
    *,
    reader: str | None,
    bootstrap: str,
    topic: str,
    partitions: int,
    max_records: int,
    sends: int,
    tick: float,
    seconds: float,
) -> dict[str, Any]:
    """``sends`` frames every ``tick`` seconds over transports, a peer process reading them away."""
    seen = _Seen()
    where = [TopicPartition(topic, n) for n in range(partitions)]
    with _sink(sends) as sockets:
        loop = asyncio.get_running_loop()
        transports = [
            (await loop.create_connection(asyncio.Protocol, sock=sock))[0] for sock in sockets
        ]
        reading = asyncio.create_task(_read(seen, reader, bootstrap, where, max_records))
        await asyncio.sleep(_WARM_UP)
        seen.count = 0
        seen.latencies.clear()
        used, late, slice_times = cpu_seconds(), [], []
        due = time.perf_counter()
        ends = due + seconds
        while due < ends:
            due += tick
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            began = time.perf_counter()
            late.append(max(0.0, began - due) * 1000)
            for transport in transports:
                transport.write(_FRAME)
            await asyncio.sleep(0)  # uvloop writes at the end of the turn
            slice_times.append((time.perf_counter() - began) * 1e6 / sends)
        used = cpu_seconds() - used
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        for transport in transports:
            transport.abort()
    found = {
        f"tick_late_ms_p{name}": percentile(late, share)
        for name, share in (("50", 0.5), ("99", 0.99), ("99.9", 0.999), ("max", 1.0))
    }
    return found | {
        "send_us_p50": percentile(slice_times, 0.5),
        "send_us_p99": percentile(slice_times, 0.99),
        "cpu_share": used / seconds,
        "latency_ms_p50": percentile(seen.latencies, 0.5),
        "latency_ms_p99": percentile(seen.latencies, 0.99),
        "records_per_second": seen.count / seconds,
    }


class _Seen:
    """What the reader beside the sends has read."""

    def __init__(self) -> None:
        self.count = 0
        self.latencies: list[float] = []

    def take(self, records: Sequence[Record]) -> None:
        self.count += len(records)
        if records:  # one of each fetch is enough
            written_at = json.loads(records[-1].value or b"")["at"]
            self.latencies.append((time.time_ns() - written_at) / 1e6)


async def _read(
    seen: _Seen, reader: str | None, bootstrap: str, where: list[TopicPartition], max_records: int
) -> None:
    if reader is None:
        return
    client = make_reader(reader, bootstrap)
    await client.start()
    bounds = await client.bounds(where)
    await client.assign({tp: b.end for tp, b in bounds.items()})
    try:
        while True:
            seen.take((await client.fetch(max_records=max_records, max_wait=0.1)).records)
    finally:
        await client.close()


@contextlib.contextmanager
def _sink(count: int) -> Iterator[list[socket.socket]]:
    """Sockets whose other ends a process of its own reads away."""
    pairs = [socket.socketpair() for _ in range(count)]
    peers = [there for _, there in pairs]
    context = multiprocessing.get_context("fork")
    peer = context.Process(target=_drain, args=(peers,), daemon=True)
    peer.start()
    for there in peers:
        there.close()
    try:
        yield [here for here, _ in pairs]
    finally:
        peer.terminate()
        peer.join(5.0)


def _drain(peers: list[socket.socket]) -> None:
    for peer in peers:
        peer.setblocking(False)
    while True:
        for peer in peers:
            with contextlib.suppress(BlockingIOError):
                peer.recv(65536)
        time.sleep(0.05)
