"""A TCP proxy that is as bad as a real network: slow, late, sliced, cut off, silent."""

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass

__all__ = ["FaultProxy", "Faults", "fault_proxy"]

_SEGMENT = 1400
_SEGMENTS_IN_FLIGHT = 64
_BUFFER = 4096
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing throws away what is unsent and tells by RST
_TICKS = 20
_ATTACH_FILTER = 26  # SO_ATTACH_FILTER, linux/socket.h
_RETURN = 0x06  # BPF_RET | BPF_K, linux/filter.h


@dataclass(frozen=True, slots=True)
class Faults:
    """One direction of a link: ``latency`` in seconds, ``bandwidth`` in bytes a second (None: as it comes).

    ``slice_bytes`` passes data on in pieces of that size. A black hole takes nothing and passes nothing on,
    and tells nobody.
    """

    latency: float = 0.0
    bandwidth: float | None = None
    slice_bytes: int | None = None
    is_black_hole: bool = False

    @property
    def chunk(self) -> int:
        """Bytes to take at once: little, so that the pace is even and the proxy holds next to nothing."""
        if self.bandwidth is None:
            return _SEGMENT
        return max(1, min(_SEGMENT, int(self.bandwidth / _TICKS)))


class _Pipe:
    """One direction of one connection; looks up its faults before every step, so they change at once."""

    def __init__(
        self, proxy: "FaultProxy", source: socket.socket, sink: socket.socket, *, is_down: bool
    ) -> None:
        self._proxy = proxy
        self._source = source
        self._sink = sink
        self._is_down = is_down
        self._loop = asyncio.get_running_loop()
        self._on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_SEGMENTS_IN_FLIGHT)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take())
            tasks.create_task(self._pass_on())

    @property
    def _faults(self) -> Faults:
        return self._proxy.down if self._is_down else self._proxy.up

    async def _take(self) -> None:
        free_at = 0.0
        while True:
            await self._open()
            faults = self._faults
            data = await self._loop.sock_recv(self._source, faults.chunk)
            now = self._loop.time()
            if faults.bandwidth is not None:
                free_at = max(now, free_at) + len(data) / faults.bandwidth
                await asyncio.sleep(free_at - now)
            await self._on_the_way.put((self._loop.time() + faults.latency, data))
            if not data:
                return
            if faults.latency == 0:
                await self._on_the_way.join()

    async def _pass_on(self) -> None:
        while True:
            at, data = await self._on_the_way.get()
            await asyncio.sleep(max(0.0, at - self._loop.time()))
            await self._open()
            if not data:
                with contextlib.suppress(OSError):
                    self._sink.shutdown(socket.SHUT_WR)
                return
            size = self._faults.slice_bytes or len(data)
            for begin in range(0, len(data), size):
                await self._loop.sock_sendall(self._sink, data[begin : begin + size])
                await asyncio.sleep(0)
            if self._is_down:
                self._proxy.bytes_down += len(data)
            else:
                self._proxy.bytes_up += len(data)
            self._on_the_way.task_done()

    async def _open(self) -> None:
        """Wait while this direction is a black hole."""
        while self._faults.is_black_hole:
            await self._proxy.changed()


class FaultProxy:
    """``down`` is from the server to its clients, ``up`` the other way; set either at any time, for all links.

    `bytes_down` and `bytes_up` count what was passed on.
    """

    def __init__(self, target: tuple[str, int], down: Faults, up: Faults) -> None:
        self.port = 0
        self.bytes_down = 0
        self.bytes_up = 0
        self._target = target
        self._down = down
        self._up = up
        self._change = asyncio.Event()
        self._links: dict[asyncio.Task[None], tuple[socket.socket, socket.socket]] = {}

    @property
    def down(self) -> Faults:
        return self._down

    @down.setter
    def down(self, faults: Faults) -> None:
        self._down = faults
        self._tell()

    @property
    def up(self) -> Faults:
        return self._up

    @up.setter
    def up(self, faults: Faults) -> None:
        self._up = faults
        self._tell()

    @property
    def links(self) -> int:
        """Connections that go through."""
        return len(self._links)

    def black_hole(self) -> None:
        """Both directions fall silent: the connections are half open from here on."""
        self.down = self.up = Faults(is_black_hole=True)

    def cut(self) -> None:
        """Both directions fall silent, and what the server sends is not even acknowledged (Linux)."""
        self.black_hole()
        for _, server in self._links.values():
            _drop_packets(server)

    def heal(self) -> None:
        self.down = self.up = Faults()

    def reset(self) -> None:
        """Break every connection, both sides hear RST."""
        for task, sockets in list(self._links.items()):
            for sock in sockets:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            task.cancel()

    async def changed(self) -> None:
        """Until faults are set anew."""
        await self._change.wait()

    def _tell(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled; then every link is cut."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                client, _ = await loop.sock_accept(listener)
                server = _small_socket()
                task = asyncio.create_task(self._carry(client, server))
                self._links[task] = (client, server)
                task.add_done_callback(lambda done: self._links.pop(done, None))
        finally:
            tasks = list(self._links)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry(self, client: socket.socket, server: socket.socket) -> None:
        try:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.get_running_loop().sock_connect(server, self._target)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_Pipe(self, server, client, is_down=True).run())
                tasks.create_task(_Pipe(self, client, server, is_down=False).run())
        except* OSError:
            pass  # one side is gone: so is the link
        finally:
            client.close()
            server.close()


def _drop_packets(sock: socket.socket) -> None:
    """Have the kernel throw away whatever arrives, by a packet filter that takes nothing."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    sock.setsockopt(
        socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program))
    )


def _small_socket() -> socket.socket:
    """A socket that holds little, in segments as a real network has them: loopback's are of 64 KiB."""
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


@contextlib.asynccontextmanager
async def fault_proxy(
    port: int, *, host: str = "127.0.0.1", down: Faults | None = None, up: Faults | None = None
) -> AsyncIterator[FaultProxy]:
    """A proxy on a free port before ``host:port``; it is gone when the block is left."""
    proxy = FaultProxy((host, port), down or Faults(), up or Faults())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        proxy.port = listener.getsockname()[1]
        task = asyncio.create_task(proxy.serve(listener))
        try:
            yield proxy
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
