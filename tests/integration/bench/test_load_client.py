"""The load client against servers that send exactly what each test says."""

import asyncio
import os
import resource
import signal
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.http11 import Request, Response

from harness.ports import free_port
from harness.waiting import eventually
from tidewire.bench.load_build import FLAGS, SOURCES
from tidewire.bench.load_client import (
    LoadClient,
    LoadClientError,
    LoadOptions,
    NotReadyError,
    Report,
    built,
)

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
READY_TIMEOUT = 10.0
CLOSE_TIMEOUT = 2.0
PAST_NS = 500_000_000_000


def url_of(server: Server | asyncio.Server) -> str:
    return f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/push"


def event(at: int, offset: int = 0) -> str:
    return f'{{"data":{{"at":{at}}},"offset":[0,{offset}]}}'


@asynccontextmanager
async def loading(options: LoadOptions) -> AsyncIterator[LoadClient]:
    client = await asyncio.to_thread(LoadClient, options)
    try:
        yield client
    finally:
        await asyncio.to_thread(client.close)


async def ready(client: LoadClient) -> None:
    await asyncio.to_thread(client.wait_until_ready, READY_TIMEOUT)


async def report_once(client: LoadClient, condition: Callable[[Report], bool]) -> Report:
    async def answer() -> Report | None:
        report = await asyncio.to_thread(client.report)
        return report if condition(report) else None

    found = await eventually(answer, what="the report")
    assert found is not None
    return found


class Site:
    """A `websockets` server that remembers what came and answers every first message with ``answer``."""

    def __init__(self, answer: str | None = None) -> None:
        self.answer = answer
        self.connections: list[ServerConnection] = []
        self.messages: list[str | bytes] = []
        self.requests: list[Request] = []

    async def handle(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        assert connection.request is not None
        self.requests.append(connection.request)
        if self.answer is not None:
            self.messages.append(await connection.recv())
            await connection.send(self.answer)
        await connection.wait_closed()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        async with serve(
            self.handle,
            "127.0.0.1",
            0,
            compression=None,
            ping_interval=None,
            close_timeout=CLOSE_TIMEOUT,
        ) as server:
            yield url_of(server)


class Wire:
    """One connection of a server that speaks in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def frame(self) -> tuple[int, bytes, bool]:
        """Opcode, payload and whether it was masked."""
        first, second = await self.reader.readexactly(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", await self.reader.readexactly(2))
        mask = await self.reader.readexactly(4) if second & 0x80 else bytes(4)
        payload = await self.reader.readexactly(length)
        unmasked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        return first & 0x0F, unmasked, bool(second & 0x80)

    async def write(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def write_read(self, content: bytes) -> None:
        """Returns when the client has read all of ``content``, be it whole frames or not."""
        await self.write(frame(0x9, b"?") + content)
        assert await self.frame() == (0xA, b"?", True)


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    first = (0x80 if final else 0) | opcode
    if len(payload) < 126:
        return bytes([first, len(payload)]) + payload
    if len(payload) < 65_536:
        return struct.pack(">BBH", first, 126, len(payload)) + payload
    return struct.pack(">BBQ", first, 127, len(payload)) + payload


@asynccontextmanager
async def on_the_wire(
    answer: bytes = UPGRADED, **options: object
) -> AsyncIterator[tuple[LoadClient, Wire]]:
    """A load client with one connection, and the server's end of that."""
    arrived: asyncio.Queue[Wire] = asyncio.Queue()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await arrived.put(Wire(reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server, AsyncExitStack() as stack:
        load = LoadOptions(url=url_of(server), connections=1, **options)  # type: ignore[arg-type] # the tests' own
        client = await stack.enter_async_context(loading(load))
        wire = await asyncio.wait_for(arrived.get(), READY_TIMEOUT)
        stack.callback(wire.writer.close)
        yield client, wire


async def test_frames_events_and_stamps_are_counted_exactly() -> None:
    site = Site()
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, connections=20)) as client,
    ):
        await ready(client)
        sent = [
            f"[{','.join(event(time.monotonic_ns(), count) for _ in range(count))}]"
            for count in (1, 2, 0, 7)
        ]
        for message in sent:
            broadcast(site.connections, message)
        report = await report_once(client, lambda report: report.frames >= 80)
    assert (report.open, report.ready, report.frames, report.events) == (20, 20, 80, 200)
    assert report.bytes == 20 * sum(len(frame(1, message.encode())) for message in sent)
    assert (report.normal.connections, report.normal.frames) == (20, 80)
    assert (report.normal.least_frames, report.normal.most_frames) == (4, 4)
    assert report.normal.latency.count == 200
    assert report.normal.early_stamps == 0
    assert 0 <= report.normal.latency.p50_ms <= report.normal.latency.max_ms
    assert report.normal.latency_most_by_connection.max_ms == report.normal.latency.max_ms
    assert report.handshakes.count == 20
    assert (report.closes, report.refused, report.errors) == ({}, {}, {})


async def test_frames_of_each_connection_are_told_apart() -> None:
    site = Site()
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, connections=5)) as client,
    ):
        await ready(client)
        for number, connection in enumerate(site.connections):
            await connection.send("x" * 400 + event(time.monotonic_ns()) * number + "y" * 400)
        report = await report_once(client, lambda report: report.frames >= 5)
    assert report.events == report.normal.latency.count == 0 + 1 + 2 + 3 + 4


async def test_mark_counts_from_there_on() -> None:
    site = Site()
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, connections=3)) as client,
    ):
        await ready(client)
        broadcast(site.connections, event(1))
        await report_once(client, lambda report: report.frames == 3)
        await asyncio.to_thread(client.mark)
        report = await asyncio.to_thread(client.report)
        assert (report.frames, report.events, report.bytes, report.handshakes.count) == (0, 0, 0, 0)
        assert report.normal.latency.count == 0
        assert report.normal.latency_most_by_connection.max_ms == 0
        assert (report.open, report.ready, report.normal.connections) == (3, 3, 3)


async def test_latency_is_from_the_stamp_until_now() -> None:
    async with on_the_wire() as (client, wire):
        await wire.write(frame(1, event(time.monotonic_ns() - PAST_NS).encode()))
        report = await report_once(client, lambda report: report.frames == 1)
    latency = report.normal.latency
    assert latency.max_ms >= PAST_NS / 1e6
    assert latency.mean_ms == pytest.approx(latency.max_ms)
    assert latency.p50_ms == pytest.approx(latency.max_ms, rel=0.02)


async def test_stamps_may_be_unix_milliseconds() -> None:
    async with on_the_wire(clock="unix-ms", stamp='"ts":') as (client, wire):
        await wire.write(frame(1, b'{"ts":%d,"at":17}' % (time.time() * 1000 - PAST_NS / 1e6)))
        report = await report_once(client, lambda report: report.frames == 1)
    assert report.normal.latency.count == 1
    assert PAST_NS / 1e6 <= report.normal.latency.max_ms < 2 * PAST_NS / 1e6


async def test_stamps_of_the_future_are_counted_and_take_no_time() -> None:
    async with on_the_wire() as (client, wire):
        await wire.write(frame(1, event(time.monotonic_ns() + PAST_NS).encode()))
        report = await report_once(client, lambda report: report.frames == 1)
    assert (report.normal.early_stamps, report.normal.latency.max_ms) == (1, 0)


async def test_many_stamps_of_one_frame_are_sampled_and_all_events_counted() -> None:
    async with on_the_wire() as (client, wire):
        first = time.monotonic_ns() - PAST_NS
        await wire.write(frame(1, "".join(event(first + at) for at in range(1000)).encode()))
        report = await report_once(client, lambda report: report.frames == 1)
    assert report.events == 1000
    assert 128 <= report.normal.latency.count <= 256


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000, 300_000, 3_000_000])
async def test_frame_of_any_length_is_one_frame_however_it_is_cut(size: int) -> None:
    payload = b"x" * (size - 11) + b'"offset":[1' if size > 11 else b"x" * size
    whole = frame(2, payload)
    cuts = sorted({1, 2, 3, 9, 10, 11, len(whole) // 2, len(whole) - 1} & set(range(len(whole))))
    async with on_the_wire() as (client, wire):
        for cut in cuts:
            await wire.write_read(whole[:cut])
            await wire.write(whole[cut:])
        await wire.write(2 * whole + frame(9, b"end"))
        assert await wire.frame() == (10, b"end", True)
        report = await asyncio.to_thread(client.report)
    assert report.frames == len(cuts) + 2
    assert report.events == (report.frames if size > 11 else 0)
    assert report.pings == len(cuts) + 1
    assert report.bytes == report.frames * len(whole) + len(cuts) * 3 + 5


async def test_fragments_make_one_message_even_with_a_ping_between() -> None:
    async with on_the_wire() as (client, wire):
        whole = event(time.monotonic_ns()).encode()
        at = whole.index(b'"offset":[') + 4
        await wire.write(frame(1, b"", final=False) + frame(0, whole[:at], final=False))
        await wire.write_read(frame(0, whole[at:], final=False) + frame(9, b"!"))
        assert await wire.frame() == (10, b"!", True)
        await wire.write_read(frame(0, b"") + frame(1, b"another"))
        report = await asyncio.to_thread(client.report)
    assert (report.frames, report.events, report.normal.latency.count) == (5, 1, 1)
    assert report.errors == {}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (frame(0, b"nothing to continue"), "malformed_frame"),
        (frame(1, b"a", final=False) + frame(1, b"b"), "malformed_frame"),
        (frame(9, b"p", final=False), "malformed_frame"),
        (frame(9, b"p" * 126), "malformed_frame"),
        (frame(3, b"reserved opcode"), "malformed_frame"),
        (b"\xc1\x00", "malformed_frame"),
        (b"\x81\x80....", "malformed_frame"),
        (struct.pack(">BBQ", 0x81, 127, (16 << 20) + 1), "oversized_frame"),
        (struct.pack(">BBQ", 0x81, 127, 1 << 63), "oversized_frame"),
        (
            frame(1, bytes(9 << 20), final=False) + frame(0, bytes(8 << 20)),
            "oversized_frame",
        ),
    ],
)
async def test_frame_against_the_standard_is_an_error(content: bytes, error: str) -> None:
    async with on_the_wire() as (client, wire):
        await ready(client)
        wire.writer.write(content)
        report = await report_once(client, lambda report: report.open == 0)
    assert (report.errors, report.closes) == ({error: 1}, {})


async def test_ping_is_answered_with_its_own_payload() -> None:
    site = Site()
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, connections=2)) as client,
    ):
        await ready(client)
        pongs = [await connection.ping(b"how are you") for connection in site.connections]
        await asyncio.wait_for(asyncio.gather(*pongs), READY_TIMEOUT)
        report = await asyncio.to_thread(client.report)
    assert (report.pings, report.frames) == (2, 0)


async def test_closes_are_counted_by_code() -> None:
    site = Site()
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, connections=6)) as client,
    ):
        await ready(client)
        for connection, code in zip(site.connections, (1000, 4001, 4001, 1013), strict=False):
            await connection.close(code, "because")
        site.connections[4].transport.abort()
        report = await report_once(client, lambda report: report.open == 1)
    assert report.closes == {1000: 1, 1006: 1, 1013: 1, 4001: 2}
    assert [connection.close_code for connection in site.connections[:4]] == [
        1000,
        4001,
        4001,
        1013,
    ]
    assert (report.ready, report.normal.connections) == (1, 6)


async def test_close_without_code_is_told_and_answered() -> None:
    async with on_the_wire() as (client, wire):
        await wire.write(frame(8, b""))
        assert await wire.frame() == (8, b"", True)
        report = await report_once(client, lambda report: report.open == 0)
    assert report.closes == {1005: 1}


@pytest.mark.parametrize("rate", [0, 20_000])
async def test_slow_connections_get_less_and_cost_the_others_nothing(rate: int) -> None:
    site = Site()
    options = {"connections": 4, "slow_connections": 1, "slow_rate": rate}
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, **options)) as client,  # type: ignore[arg-type] # numbers all
    ):
        await ready(client)
        message = "x" * 10_000
        for _ in range(200):
            broadcast(site.connections, message)
        report = await report_once(
            client,
            lambda report: report.normal.frames >= 600 and (rate == 0 or report.slow.frames > 0),
        )
    assert (report.normal.connections, report.normal.frames) == (3, 600)
    assert (report.normal.least_frames, report.normal.most_frames) == (200, 200)
    assert report.slow.connections == 1
    assert report.slow.frames < 100
    assert (report.closes, report.open) == ({}, 4)


async def test_slow_connection_notices_that_its_server_is_gone() -> None:
    async with on_the_wire(slow_connections=1) as (client, wire):
        await ready(client)
        await wire.write(frame(1, b"unread") + frame(8, struct.pack(">H", 4008)))
        wire.writer.close()
        report = await report_once(client, lambda report: report.open == 0)
    assert (report.closes, report.slow.frames) == ({4008: 1}, 1)


async def test_churn_counts_handshakes_and_closes_each_in_order() -> None:
    site = Site(answer='{"type":"subscribed"}')
    async with site.serving() as url:
        options = LoadOptions(
            url=url, connections=10, in_flight=4, script=["{n}"], ready="subscribed", churn=True
        )
        async with loading(options) as client:
            await ready(client)
            await asyncio.to_thread(client.mark)
            report = await report_once(client, lambda report: report.handshakes.count >= 20)
    assert report.handshakes.latency.count == report.handshakes.count
    assert report.handshakes.per_second > 0
    assert report.open <= 4
    assert (report.closes, report.refused, report.errors) == ({}, {}, {})
    assert set(site.messages) >= {str(number) for number in range(30)}
    assert [connection.close_code for connection in site.connections[:30]] == [1000] * 30


async def test_churn_goes_on_after_refusals() -> None:
    refusals = [HTTPStatus.SERVICE_UNAVAILABLE] * 3
    site = Site()

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(refusals.pop(), "full\n") if refusals else None

    async with serve(site.handle, "127.0.0.1", 0, process_request=refuse) as server:
        options = LoadOptions(url=url_of(server), connections=5, churn=True)
        async with loading(options) as client:
            await ready(client)
            report = await asyncio.to_thread(client.report)
    assert report.refused == {"503": 3}
    assert report.handshakes.count >= 5


async def test_connections_are_opened_by_the_schedule() -> None:
    site = Site()
    async with site.serving() as url:
        options = LoadOptions(url=url, connections=10, connect_rate=500, in_flight=2)
        async with loading(options) as client:
            await ready(client)
            report = await asyncio.to_thread(client.report)
    assert (report.handshakes.count, report.ready, len(site.connections)) == (10, 10, 10)


async def test_refused_upgrade_is_counted_with_its_status() -> None:
    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "full\n") if site.full else None

    class FullSite(Site):
        @property
        def full(self) -> bool:
            return len(self.connections) >= 2

    site = FullSite()
    async with serve(site.handle, "127.0.0.1", 0, process_request=refuse) as server:
        options = LoadOptions(url=url_of(server), connections=5, in_flight=1)
        async with loading(options) as client:
            with pytest.raises(NotReadyError, match=r"2 of 5 .* 3 refused 503"):
                await ready(client)
            report = await asyncio.to_thread(client.report)
    assert report.refused == {"503": 3}
    assert (report.ready, report.open, report.closes) == (2, 2, {})


async def test_failure_that_was_told_before_it_was_asked_for_is_remembered() -> None:
    options = LoadOptions(url=f"ws://127.0.0.1:{free_port()}/", connections=2)
    async with loading(options) as client:
        report = await report_once(client, lambda report: report.refused == {"unreachable": 2})
        assert report.handshakes.count == 0
        with pytest.raises(NotReadyError, match="2 refused unreachable"):
            await ready(client)


@pytest.mark.parametrize(
    ("answer", "refused", "errors"),
    [
        (b"HTTP/1.1 429 Too Many\r\n\r\n", {"429": 1}, {}),
        (b"SSH-2.0-nonsense\r\n\r\n", {}, {"malformed_answer": 1}),
        (b"HTTP/1.1 " + b"x" * 20_000, {}, {"malformed_answer": 1}),
    ],
)
async def test_answer_that_is_no_upgrade_is_counted(
    answer: bytes, refused: dict[str, int], errors: dict[str, int]
) -> None:
    async with on_the_wire(answer) as (client, _):
        with pytest.raises(NotReadyError):
            await ready(client)
        report = await asyncio.to_thread(client.report)
    assert (report.refused, report.errors) == (refused, errors)


async def test_connection_lost_before_the_answer_is_unanswered() -> None:
    async with on_the_wire(b"HTTP/1.1 101") as (client, wire):
        wire.writer.close()
        with pytest.raises(NotReadyError, match="1 refused unanswered"):
            await ready(client)


async def test_close_before_readiness_fails_with_its_code() -> None:
    async with on_the_wire(ready="welcome") as (client, wire):
        await wire.write(frame(8, struct.pack(">H", 4401)))
        with pytest.raises(NotReadyError, match="1 closes 4401"):
            await ready(client)


async def test_answer_and_first_frames_may_come_in_one_piece_or_many() -> None:
    first = UPGRADED + frame(1, b"nearly") + frame(1, b'{"type":"welcome"}')
    async with on_the_wire(first[:30], ready='"welcome"') as (client, wire):
        await wire.write(first[30:])
        await ready(client)
        report = await asyncio.to_thread(client.report)
    assert (report.frames, report.ready) == (2, 1)


async def test_script_is_filled_in_for_each_connection() -> None:
    site = Site(answer="subscribed")
    async with site.serving() as url:
        options = LoadOptions(
            url=f"{url}?user={{n}}",
            connections=5,
            script=['{"id":{n},"token":"{token}","since":{since},"other":{unknown}}'],
            tokens=["anna", "ben"],
            since=['{"0":1}', '{"0":2}', '{"0":3}'],
            headers={"X-Token": "{token}"},
            subprotocol="tidewire.v1",
            ready="subscribed",
        )
        async with loading(options) as client:
            await ready(client)
    expected = [
        f'{{"id":{number},"token":"{"anna" if number % 2 == 0 else "ben"}",'
        f'"since":{{"0":{number % 3 + 1}}},"other":{{unknown}}}}'
        for number in range(5)
    ]
    assert sorted(map(str, site.messages)) == expected
    found = sorted((request.path, request.headers["X-Token"]) for request in site.requests)
    assert found == [
        (f"/push?user={number}", "anna" if number % 2 == 0 else "ben") for number in range(5)
    ]
    assert {request.headers["Sec-WebSocket-Protocol"] for request in site.requests} == {
        "tidewire.v1"
    }


@pytest.mark.parametrize("length", [1, 125, 126, 65_535, 65_536, 3_000_000])
async def test_script_may_have_frames_of_any_length(length: int) -> None:
    arrived: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await arrived.put(message)

    async with serve(handle, "127.0.0.1", 0, max_size=None) as server:
        options = LoadOptions(url=url_of(server), connections=1, script=["x" * length, "last"])
        async with loading(options) as client:
            await ready(client)
            async with asyncio.timeout(READY_TIMEOUT):
                assert await arrived.get() == "x" * length
                assert await arrived.get() == "last"


async def test_connections_come_from_many_addresses() -> None:
    site = Site()
    async with (
        site.serving() as url,
        loading(LoadOptions(url=url, connections=6, addresses=3)) as client,
    ):
        await ready(client)
        addresses = sorted(connection.remote_address[0] for connection in site.connections)
    assert addresses == sorted(2 * ["127.0.0.1", "127.0.0.2", "127.0.0.3"])


async def test_program_is_pinned_to_its_core() -> None:
    core = min(os.sched_getaffinity(0))
    async with Site().serving() as url:
        client = await asyncio.to_thread(LoadClient, LoadOptions(url=url, connections=1), core=core)
        with client:
            await ready(client)
            assert os.sched_getaffinity(client.pid) == {core}


async def test_wait_has_a_deadline() -> None:
    async with on_the_wire(b"") as (client, _):
        with pytest.raises(LoadClientError, match="did not tell 'ready' in time"):
            await asyncio.to_thread(client.wait_until_ready, 0.05)


async def test_end_of_the_program_is_told() -> None:
    async with on_the_wire() as (client, _):
        await ready(client)
        os.kill(client.pid, signal.SIGKILL)
        with pytest.raises(LoadClientError, match=r"ended \(exit code -9\)"):
            await asyncio.to_thread(client.report)
        await asyncio.to_thread(client.close)


def test_unusable_options_raise_what_the_program_says() -> None:
    with (
        LoadClient(LoadOptions(url="wss://localhost/", connections=1)) as client,
        pytest.raises(LoadClientError, match=r"exit code 2\): tidewire-load: --url wss://"),
    ):
        client.wait_until_ready(READY_TIMEOUT)


URL = "--url=ws://127.0.0.1:1/"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--connections=1"], "--url is missing"),
        ([URL], "--connections is missing"),
        ([URL, "--connections=0"], "--connections 0: must be a whole number"),
        ([URL, "--connections=-1"], "--connections -1: must be a whole number"),
        ([URL, "--connections=1e3"], "--connections 1e3: must be a whole number"),
        (["--url=http://a/", "--connections=1"], "must be ws://"),
        (["--url=ws:///path", "--connections=1"], "has no host"),
        (["--url=ws://localhost:99999/", "--connections=1"], "the port must be from 1 to 65535"),
        (["--url=ws://localhost:a/", "--connections=1"], "the port must be from 1 to 65535"),
        (["--url=ws://no.such.host.invalid/", "--connections=1"], "has no IPv4 address"),
        ([URL, "--connections=1", "--script=/nonexistent"], "cannot read /nonexistent"),
        ([URL, "--connections=1", "--tokens=/dev/null"], "/dev/null has no lines"),
        ([URL, "--connections=1", "--clock=sundial"], "must be monotonic-ns or unix-ms"),
        ([URL, "--connections=1", "--slow=1"], "must be CONNECTIONS:BYTES_A_SECOND"),
        ([URL, "--connections=1", "--slow=2:0"], "more slow connections than"),
        ([URL, "--connections=1", "--slow=1:0", "--churn"], "choose one"),
        ([URL, "--connections=1", "--header=X"], "must be 'Name: value'"),
        ([URL, "--connections=1", "--connect-rate=-1"], "connections a second"),
        ([URL, "--connections=1", "--core=1000"], "choose one this process may run on"),
        (["--url=ws://192.0.2.1/", "--connections=1", "--addresses=2"], "127.0.0.0/8"),
        ([URL, "--connections=1", "--conections=2"], "there is no such option"),
        ([URL, "--connections"], "needs a value"),
        ([URL, "--connections=1", "more"], "more: not an option"),
    ],
)
def test_unusable_option_ends_the_program_with_one_clear_line(
    arguments: Sequence[str], said: str
) -> None:
    done = subprocess.run(
        [built(), *arguments], stdin=subprocess.PIPE, capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 2
    assert done.stderr.startswith("tidewire-load: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("asked", ["quit\n", ""])
def test_quit_and_end_of_file_end_the_program(asked: str) -> None:
    command = [str(built()), f"--url=ws://127.0.0.1:{free_port()}/", "--connections=1"]
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")


def test_unknown_command_is_told_and_passed_over() -> None:
    command = [str(built()), f"--url=ws://127.0.0.1:{free_port()}/", "--connections=1"]
    asked = "rport\nreport\nquit\n"
    done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=10)
    assert done.stderr == "tidewire-load: rport: not a command (mark, report, quit)\n"
    assert '"event":"report"' in done.stdout


def test_sources_compile_without_a_warning(tmp_path: Path) -> None:
    sources = [str(source) for source in SOURCES.glob("*.c")]
    command = ["cc", *FLAGS, "-Wall", "-Wextra", "-Werror", "-o", str(tmp_path / "program")]
    done = subprocess.run([*command, *sources], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_too_many_connections_for_the_machine_are_told_with_the_cure() -> None:
    wanted = 900_000
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[0], wanted + 100))
    except (OSError, ValueError):
        done = subprocess.run(
            [built(), URL, f"--connections={wanted}"],
            stdin=subprocess.PIPE,
            capture_output=True,
            text=True,
            timeout=10,
        )
        assert done.returncode == 2
        assert f"{wanted} connections need {wanted + 32} open files" in done.stderr
        assert f"`ulimit -n {wanted + 32}`" in done.stderr
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        pytest.skip("this process may raise its limit, and so may the program")
