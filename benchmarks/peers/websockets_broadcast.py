"""`websockets` and its `broadcast`: ``python -m benchmarks.peers.websockets_broadcast --port P``."""

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosedError

from .control import listen, port_of, say_ready
from .frames import RECEIVER_DIGITS, private_parts, shared_payload
from .obeying import obey_commands, run

__all__ = ["main"]


class _Server:
    def __init__(self) -> None:
        self._arrived = 0
        self._numbers: dict[ServerConnection, bytes] = {}

    async def attend(self, connection: ServerConnection) -> None:
        """Hold a connection until it closes; what it says is ignored."""
        self._arrived += 1
        self._numbers[connection] = b"%0*d" % (RECEIVER_DIGITS, self._arrived)
        try:
            async for _ in connection:
                pass
        except ConnectionClosedError:
            pass  # clients may go without a word
        finally:
            del self._numbers[connection]

    def send(self, number: int, at: int, size: int) -> None:
        broadcast(self._numbers, shared_payload(number, at, size), text=True)

    def send_private(self, number: int, at: int, size: int) -> None:
        head, tail = private_parts(number, at, size)
        for connection, receiver in self._numbers.items():
            broadcast((connection,), head + receiver + tail, text=True)

    def is_unsent(self, limit: int) -> bool:
        return any(c.transport.get_write_buffer_size() >= limit for c in self._numbers)


async def _serve(port: int) -> None:
    server = _Server()
    listening = listen(port)
    async with serve(server.attend, sock=listening, compression=None, ping_interval=None):
        say_ready(listening)
        await obey_commands(server)


def main() -> None:
    port = port_of(__doc__)
    run(lambda: _serve(port))


if __name__ == "__main__":
    main()
