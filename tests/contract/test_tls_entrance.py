"""What is relied on of asyncio and uvloop where a connection begins TLS under way."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest
import uvloop

from harness.certificate import Certificate, make_certificate
from harness.waiting import eventually
from tidewire.http import tls_entrance
from tidewire.http.tls_entrance import Handshake, TlsEntrance

PATIENCE = 10.0
Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    factory: Loop = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


class Echo(asyncio.Protocol):
    """Stands for HTTP."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert hasattr(self.transport, "write")
        self.transport.write(data)


@dataclass
class Site:
    port: int
    context: ssl.SSLContext
    connections: set[TlsEntrance] = field(default_factory=set)
    ended: list[Handshake] = field(default_factory=list)


Body = Callable[[Site], Awaitable[None]]


@contextlib.asynccontextmanager
async def listening(certificate: Certificate) -> AsyncIterator[Site]:
    site = Site(0, certificate.client_context())
    context = certificate.server_context()
    server = await asyncio.get_running_loop().create_server(
        lambda: TlsEntrance(Echo, context, site.connections, on_end=site.ended.append),
        "127.0.0.1",
        0,
    )
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


def run(runner: asyncio.Runner, certificate: Certificate, body: Body) -> None:
    async def main() -> None:
        async with asyncio.timeout(25), listening(certificate) as site:
            await body(site)
            await eventually(lambda: not site.connections)

    runner.run(main())


class SansIO:
    """A client that decides what goes into which packet."""

    def __init__(self, site: Site) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = site.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost"
        )

    def greeting(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self._outgoing.read()

    def finish(self, received: bytes, data: bytes) -> bytes:
        """The end of the handshake, and ``data`` with it."""
        self._incoming.write(received)
        self.tls.do_handshake()
        self.tls.write(data)
        return self._outgoing.read()

    def plain(self, received: bytes) -> bytes:
        self._incoming.write(received)
        with contextlib.suppress(ssl.SSLWantReadError):
            return self.tls.read()
        return b""


def test_many_clients_that_speak_at_once_are_all_heard(
    runner: asyncio.Runner, certificate: Certificate
) -> None:
    """Their first packet may be there before anybody has looked at the connection."""

    async def client(site: Site, n: int) -> None:
        name = "localhost"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", site.port, ssl=site.context, server_hostname=name
        )
        data = b"%d" % n * 1000
        writer.write(data)
        assert await reader.readexactly(len(data)) == data
        writer.transport.abort()

    async def body(site: Site) -> None:
        for _ in range(10):
            await asyncio.gather(*(client(site, n) for n in range(20)))
        assert site.ended == [Handshake.DONE] * 200

    run(runner, certificate, body)


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_nothing_is_lost_that_comes_with_the_end_of_the_handshake(
    runner: asyncio.Runner, certificate: Certificate, size: int
) -> None:
    async def body(site: Site) -> None:
        client = SansIO(site)
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(client.greeting())
        received = b""
        while True:
            received += await reader.read(65536)
            try:
                writer.write(client.finish(received, b"x" * size))
                break
            except ssl.SSLWantReadError:
                received = b""
        heard = 0
        while heard < size:
            data = await reader.read(65536)
            assert data
            heard += len(client.plain(data))
            while more := client.plain(b""):
                heard += len(more)
        assert heard == size
        writer.transport.abort()

    run(runner, certificate, body)


@pytest.mark.parametrize("cut", [0, 1, 5, 100])
def test_who_leaves_in_the_handshake_has_failed(
    runner: asyncio.Runner, certificate: Certificate, cut: int
) -> None:
    async def body(site: Site) -> None:
        for is_reset in (False, True):
            with socket.create_connection(("127.0.0.1", site.port)) as client:
                client.sendall(SansIO(site).greeting()[:cut])
                if is_reset:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await eventually(lambda: len(site.ended) == 2)
        assert site.ended == [Handshake.FAILED] * 2

    run(runner, certificate, body)


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_who_never_ends_the_handshake_is_dropped(
    runner: asyncio.Runner, certificate: Certificate, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_entrance, "HANDSHAKE_TIMEOUT", 0.1)

    async def body(site: Site) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(SansIO(site).greeting()[:cut])
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert site.ended == [Handshake.TIMED_OUT]
        writer.transport.abort()

    run(runner, certificate, body)


def test_server_that_stops_ends_handshakes_at_once(
    runner: asyncio.Runner, certificate: Certificate
) -> None:
    async def body(site: Site) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        await eventually(lambda: site.connections)
        for connection in list(site.connections):
            connection.shutdown()
        await eventually(lambda: site.ended == [Handshake.FAILED])
        writer.transport.abort()

    run(runner, certificate, body)


def test_server_that_stops_before_the_handshake_has_begun_forgets_it(
    runner: asyncio.Runner, certificate: Certificate
) -> None:
    async def body(site: Site) -> None:
        loop = asyncio.get_running_loop()
        entrance = TlsEntrance(
            Echo,
            certificate.server_context(),
            site.connections,
            on_end=site.ended.append,
        )

        class Stopping(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                entrance.connection_made(transport)
                entrance.shutdown()

            def connection_lost(self, exc: Exception | None) -> None:
                entrance.connection_lost(exc)

        server = await loop.create_server(Stopping, "127.0.0.1", 0)
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await eventually(lambda: site.ended == [Handshake.FAILED])
        assert not site.connections
        writer.transport.abort()
        server.close()

    run(runner, certificate, body)


def test_failures_are_no_errors_of_the_loop(
    runner: asyncio.Runner, certificate: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    async def body(site: Site) -> None:
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 5000, b"\x16\x03\x01\x00\x05junk!"):
            _, writer = await asyncio.open_connection("127.0.0.1", site.port)
            writer.write(said)
            await eventually(lambda: len(site.connections) == 0 and site.ended)
            site.ended.clear()
            writer.transport.abort()
        assert told == []
        assert caplog.records == []

    run(runner, certificate, body)
