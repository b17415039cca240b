"""What is relied on of asyncio, uvloop and Linux to bound unsent bytes, plain and over TLS."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
import uvloop

from harness.certificate import Certificate, make_certificate
from harness.waiting import eventually
from tidewire.http.tls_entrance import TlsEntrance
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.pressure import NEARLY_EMPTY
from tidewire_gateway.pressure import PressureGauge
from tidewire_gateway.send_queue import NOTSENT_LOWAT

HIGH_WATER = 64 * 1024
PIECE = b"x" * 8192
KERNEL = 100 * 1024
"""What the two sockets may hold between them, beyond the lowat: the peer's buffer and what is on the way."""

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=[None, "tls"])
def tls(request: pytest.FixtureRequest) -> Certificate | None:
    return None if request.param is None else request.getfixturevalue("certificate")


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    factory: Loop = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


class Server(asyncio.Protocol):
    """Keeps the connection, and tells its gauge what the transport tells it."""

    gauge: PressureGauge | None = None

    def __init__(self, accepted: asyncio.Future[tuple["Server", asyncio.Transport]]) -> None:
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._accepted.set_result((self, cast(asyncio.Transport, transport)))

    def pause_writing(self) -> None:
        if self.gauge is not None:
            self.gauge.unsent()

    def resume_writing(self) -> None:
        if self.gauge is not None:
            self.gauge.emptied()


@dataclass
class Listener:
    heard: list[str] = field(default_factory=list)
    has_unsent: bool = False

    def unsent(self) -> None:
        self.has_unsent = True

    def emptied(self) -> None:
        self.has_unsent = False

    def congested(self) -> None:
        self.heard.append("congested")

    def drained(self) -> None:
        self.heard.append("drained")

    def calm(self) -> None:
        self.heard.append("calm")

    def stalled(self) -> None:
        self.heard.append("stalled")


@dataclass
class Connection:
    transport: asyncio.Transport
    peer: asyncio.StreamReader
    gauge: PressureGauge
    listener: Listener

    def write_until(self, condition: Callable[[], object]) -> int:
        """The bytes that were written until then."""
        written = 0
        while not condition():
            assert written < 10_000_000, "the bytes went where nobody sees them"
            self.gauge.write(PIECE)
            written += len(PIECE)
        return written

    async def fill(self) -> int:
        """Write as long as the system takes it, and into this process's buffer then."""
        written = 0
        while not self.gauge.buffered():
            written += self.write_until(lambda: self.gauge.buffered())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        return written


@contextlib.asynccontextmanager
async def connected(tls: Certificate | None, stall_timeout: float) -> AsyncIterator[Connection]:
    """A server's connection, and a peer that reads when it is told to and has little room."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[tuple[Server, asyncio.Transport]] = loop.create_future()

    def protocol() -> asyncio.Protocol:
        if tls is None:
            return Server(accepted)
        context = tls.server_context()
        return TlsEntrance(lambda: Server(accepted), context, set(), on_end=lambda _: None)

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(sock, server.sockets[0].getsockname())
    context = None if tls is None else tls.client_context()
    name = None if tls is None else "localhost"
    peer, writer = await asyncio.open_connection(
        sock=sock, ssl=context, server_hostname=name, limit=1024
    )
    if tls is not None:
        cast(Any, writer.transport).set_read_buffer_limits(high=1024)
    served, transport = await accepted
    listener = Listener()
    gauge = PressureGauge(
        transport, listener, Limits(high_water=HIGH_WATER, stall_timeout=stall_timeout), loop
    )
    served.gauge = gauge
    await eventually(lambda: gauge.look().total == 0)  # what TLS says after its handshake
    try:
        yield Connection(transport, peer, gauge, listener)
    finally:
        gauge.end()
        transport.abort()
        writer.transport.abort()
        server.close()
        await asyncio.sleep(0.01)


async def read(peer: asyncio.StreamReader, count: int) -> None:
    async with asyncio.timeout(10):
        await peer.readexactly(count)


Body = Callable[[Connection], Awaitable[None]]


def run(
    runner: asyncio.Runner, tls: Certificate | None, body: Body, stall_timeout: float = 30.0
) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), connected(tls, stall_timeout) as connection:
            await body(connection)

    runner.run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="the figures are those of Linux")
def test_every_byte_is_seen_wherever_it_waits(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        before = connection.gauge.look().sent  # of the TLS handshake
        written = await connection.fill()
        unsent = connection.gauge.look()
        seen = unsent.sent - before + unsent.total
        assert unsent.in_kernel > 0
        if tls is None:
            assert seen == written
        else:
            assert written < seen < 1.02 * written

    run(runner, tls, body)


def test_kernel_takes_little_that_it_cannot_send(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        sock = connection.transport.get_extra_info("socket")
        lowat = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
        assert lowat == NOTSENT_LOWAT
        written = await connection.fill()
        assert written - connection.gauge.buffered() < NOTSENT_LOWAT + KERNEL

    run(runner, tls, body)


def test_bytes_that_wait_are_told_of_at_once_and_watched_until_none_do(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        gauge, listener = connection.gauge, connection.listener
        is_watched = [gauge.needs_watching]
        written = connection.write_until(lambda: gauge.buffered())
        assert listener.has_unsent
        is_watched.append(gauge.needs_watching)
        written += await connection.fill()
        await read(connection.peer, written)
        await eventually(lambda: gauge.look().total == 0)
        gauge.sweep(asyncio.get_running_loop().time())
        is_watched.append(gauge.needs_watching)
        assert is_watched == [False, True, False]
        assert listener.has_unsent == (tls is not None)  # there the protocol is not told
        assert listener.heard == []

    run(runner, tls, body)


def test_more_than_the_high_water_mark_is_heard_of_at_once(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        await connection.fill()
        written = connection.write_until(lambda: connection.listener.heard)
        assert connection.listener.heard == ["congested"]
        assert written <= HIGH_WATER + 2 * len(PIECE)
        assert connection.gauge.buffered() <= HIGH_WATER + 2 * len(PIECE)

    run(runner, tls, body)


def test_drained_is_heard_of_when_the_kernel_has_sent_nearly_all_too(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        written = await connection.fill()
        written += connection.write_until(lambda: connection.listener.heard)
        reading = asyncio.create_task(read(connection.peer, written))
        await eventually(lambda: "drained" in connection.listener.heard)
        await reading
        await eventually(lambda: connection.gauge.look().total == 0)
        assert connection.listener.heard == ["congested", "drained"]

    run(runner, tls, body)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what its kernel holds")
def test_drained_is_not_heard_of_while_the_kernel_still_has_bytes_to_send(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        unread = await connection.fill()
        unread += connection.write_until(lambda: connection.listener.heard)
        seen_in_kernel = 0
        while "drained" not in connection.listener.heard:
            await read(connection.peer, min(unread, 4096))
            unread -= min(unread, 4096)
            await asyncio.sleep(0.01)
            unsent = connection.gauge.look()
            if not unsent.is_drained:
                seen_in_kernel += unsent.buffered == 0
                assert connection.listener.heard == ["congested"]
        assert seen_in_kernel > 0

    run(runner, tls, body)


def test_after_draining_a_slow_peer_is_given_one_piece_at_a_time(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        gauge, heard = connection.gauge, connection.listener.heard
        unread = await connection.fill()
        unread += connection.write_until(lambda: heard)
        reading = asyncio.create_task(read(connection.peer, unread))
        await eventually(lambda: "drained" in heard)
        await reading
        written = 0
        while heard[-1] != "congested":
            assert written < KERNEL
            gauge.write_on_trial(PIECE)
            written += len(PIECE)
        unsent = gauge.look()
        assert NEARLY_EMPTY < unsent.total <= 1.02 * len(PIECE)

    run(runner, tls, body)


def test_peer_that_took_all_for_a_while_is_trusted_again(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        unread = await connection.fill()
        unread += connection.write_until(lambda: connection.listener.heard)
        await read(connection.peer, unread)
        await eventually(lambda: "calm" in connection.listener.heard)
        assert connection.listener.heard == ["congested", "drained", "calm"]

    run(runner, tls, body)


def test_peer_that_takes_nothing_is_stalled(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        await connection.fill()
        connection.write_until(lambda: connection.listener.heard)
        await eventually(lambda: "stalled" in connection.listener.heard)
        assert connection.listener.heard == ["congested", "stalled"]

    run(runner, tls, body, stall_timeout=0.2)


def test_sweep_finds_bytes_that_wait_too_long(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        await connection.fill()
        assert connection.listener.heard == []
        loop = asyncio.get_running_loop()
        queued = connection.gauge.sweep(loop.time())
        assert queued == connection.gauge.buffered() > 0
        assert connection.listener.heard == []
        connection.gauge.sweep(loop.time() + 1.0)
        assert connection.listener.heard == ["congested"]

    run(runner, tls, body)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what its kernel holds")
def test_probe_finds_bytes_that_wait_in_the_kernel_alone(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        gauge, loop = connection.gauge, asyncio.get_running_loop()
        while gauge.look().in_kernel < 4096:
            gauge.write(PIECE)
            await asyncio.sleep(0)
        assert gauge.buffered() == 0
        gauge.sweep(loop.time())
        assert gauge.needs_watching
        gauge.sweep(loop.time() + 1.0)
        assert connection.listener.heard == ["congested"]

    run(runner, tls, body)


def test_look_at_a_closed_connection_is_no_error(
    runner: asyncio.Runner, tls: Certificate | None
) -> None:
    async def body(connection: Connection) -> None:
        await connection.fill()
        connection.transport.abort()
        await asyncio.sleep(0.01)
        connection.gauge.look()
        connection.gauge.sweep(0.0)
        gauge = PressureGauge(
            connection.transport, Listener(), Limits(), asyncio.get_running_loop()
        )
        assert gauge.look().total == 0

    run(runner, tls, body)
