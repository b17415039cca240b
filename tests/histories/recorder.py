"""A client that writes down everything it does and gets: the load of the drills.

It keeps the client duties of docs/protocol.md: back-off, resume, make before break, silence. Hundreds of
them run in one process; nothing runs per frame but a callback.
"""

import asyncio
import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidewire_client.backoff import Backoff, BackoffLimits
from tidewire_client.policy import Duty, LinkEnd, duty_of, silence_timeout

from .entries import Asked, Begun, Closed, Got, Opened, Position, Refused, Stopped
from .greeting import Connection, RefusedError, either, subscribe_payload
from .link import open_link
from .place import Place
from .wire import Heading
from .writing import Recording

__all__ = ["ClientOptions", "RecordingClient", "Wanted"]

_PARTING = "stopped by this client"
_GOAWAY_SHARE = 0.8  # as the SDKs: the rest of the time that is left is for the way itself
_REQUESTS_PER_FRAME = 200
_TRY_AGAIN = frozenset({"unavailable", "rate_limited", "internal"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription that a client wants for as long as it runs."""

    channel: str
    mode: str = "latest"
    interval_ms: int | None = None
    snapshot: bool = True


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How a client behaves; durations in seconds, sizes in bytes.

    ``token`` is ``user``'s, ``renew`` makes another one when it has expired. ``read_rate`` is bytes a second, None: as fast as they come; ``receive_buffer`` is the kernel's.
    ``resume_at`` may falsify the position that a resume hands back. ``minds_silence``: a connection
    without a byte for 2.5 ping intervals counts as dead.
    """

    token: str | None = None
    user: str | None = None
    renew: Callable[[], str] | None = None
    backoff: BackoffLimits = field(default_factory=BackoffLimits)
    connect_timeout: float = 10.0
    obeys_goaway: bool = True
    minds_silence: bool = True
    read_rate: float | None = None
    receive_buffer: int | None = None
    resume_at: Callable[[Position], Position] = lambda position: position
    random: Callable[[], float] = random.random


class RecordingClient:
    """``url_of`` is asked before every attempt. ``failure`` tells why a client that gave up did so."""

    def __init__(
        self,
        name: str,
        url_of: Callable[[], str],
        subscriptions: Sequence[Wanted],
        *,
        recording: Recording,
        options: ClientOptions | None = None,
    ) -> None:
        self.name = name
        self.failure: str | None = None
        self.places = [Place(snapshot=wanted.snapshot) for wanted in subscriptions]
        self.attempts = 0
        self.connections = 0
        self._url_of = url_of
        self._wanted = subscriptions
        self._recording = recording
        self._record = recording.client(name)
        self._options = options or ClientOptions()
        self._token = self._options.token
        self._backoff = Backoff(self._options.backoff, self._options.random)
        self._current: Connection | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_reading = True

    async def run(self) -> None:
        """Until `stop`, or until the server refuses for good."""
        begun = Begun(
            at=time.monotonic(),
            name=self.name,
            wall_ms=round(time.time() * 1000, 3),
            user=self._options.user,
        )
        self._record.note(begun)
        self._running = asyncio.create_task(self._live())
        try:
            await asyncio.wait({self._running})
        finally:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            self._record.note(Stopped(at=time.monotonic()))
            self._part_from(self._current, _PARTING)
            self._record.flush()
        if not self._running.cancelled():
            self._running.result()

    def stop(self) -> None:
        """End `run`; what comes after this is not recorded."""
        if self._running is not None:
            self._running.cancel()

    def drop(self) -> None:
        """Lose the connection, as a failing network would; the client comes back by itself."""
        if self._current is not None:
            self._current.link.abort("dropped by this client")

    def pause_reading(self) -> None:
        """Take nothing from the socket any more, on this and later connections."""
        self._is_reading = False
        if self._current is not None:
            self._current.link.pause_reading()

    def resume_reading(self) -> None:
        self._is_reading = True
        if self._current is not None:
            self._current.link.resume_reading()

    @property
    def is_ready(self) -> bool:
        """Whether every subscription stands and waits for no snapshot."""
        return all(place.is_ready for place in self.places)

    @property
    def positions(self) -> list[Position | None]:
        """Where the subscriptions stand, in the order they were given."""
        return [place.position for place in self.places]

    # Connections

    async def _live(self) -> None:
        connection = await self._connect(self._url_of)
        while connection is not None:
            self._use(connection)
            connection = await self._successor(connection)

    async def _successor(self, connection: Connection) -> Connection | None:
        """The next connection, once this one has ended or is to be left; None: there is to be none."""
        ended = connection.link.ended
        await either(ended, connection.goaway)
        if ended.done():
            self._over(connection)
            if not await self._wait_before_next(connection.end()):
                return None
            return await self._connect(self._url_of)
        goaway = connection.goaway.result().payload
        pause = goaway.after_ms / 1000 * _GOAWAY_SHARE * self._options.random()
        await asyncio.wait({ended}, timeout=pause)
        successor = await self._connect(lambda: goaway.url or self._url_of())
        if ended.done():
            self._over(connection)
        else:
            self._part_from(connection, "moved")
        return successor

    async def _connect(self, url_of: Callable[[], str]) -> Connection | None:
        """A connection whose `welcome` has come; None when the server refuses for good."""
        while True:
            self.attempts += 1
            try:
                async with asyncio.timeout(self._options.connect_timeout):
                    connection = await self._open(url_of())
                if await connection.greeted(self._options.connect_timeout):
                    return connection
                self._over(connection)
                end = connection.end()
            except TimeoutError:
                end = self._noted(LinkEnd("no handshake in time"))
            except OSError as error:
                end = self._noted(LinkEnd(f"{type(error).__name__}: {error}"))
            except RefusedError as refused:
                end = self._noted(refused.end)
            if not await self._wait_before_next(end):
                return None
            url_of = self._url_of

    def _noted(self, end: LinkEnd) -> LinkEnd:
        self._record.note(Refused(at=time.monotonic(), reason=end.reason, status=end.status))
        return end

    async def _open(self, url: str) -> Connection:
        """A connection that has said hello. Raises ``OSError``, ``RefusedError``."""
        buffer = self._options.receive_buffer
        options = {} if buffer is None else {(socket.SOL_SOCKET, socket.SO_RCVBUF): buffer}
        early: list[bytes] = []
        link = await open_link(
            url, early.append, read_rate=self._options.read_rate, socket_options=options
        )
        if link.ended.done():
            raise RefusedError(link.ended.result())
        self.connections += 1
        connection = Connection(self.connections, link)
        self._record.note(Opened(at=time.monotonic(), connection=connection.number, url=url))
        link.on_frame = lambda frame: self._receive(connection, frame)
        connection.send([("hello", {"client": "recorder/1", "token": self._token})])
        for frame in early:
            self._receive(connection, frame)
        return connection

    def _use(self, connection: Connection) -> None:
        """Resume everything here."""
        self._current = connection
        if not self._is_reading:
            connection.link.pause_reading()
        if self._options.minds_silence:
            self._watch_silence(connection)
        numbers = range(len(self._wanted))
        for start in range(0, len(self._wanted), _REQUESTS_PER_FRAME):
            self._ask(connection, numbers[start : start + _REQUESTS_PER_FRAME])

    def _watch_silence(self, connection: Connection) -> None:
        patience = silence_timeout(connection.welcome.result().payload.ping_interval_ms)
        if patience is None or connection.link.ended.done():
            return
        loop = asyncio.get_running_loop()
        left = connection.link.heard_at + patience - loop.time()
        if left <= 0 and self._is_reading:
            connection.link.abort(f"no sign of life for {patience:g} s")
        else:
            loop.call_later(max(left, 0.1), self._watch_silence, connection)

    def _over(self, connection: Connection) -> None:
        """A connection has ended: write down how, once."""
        end = connection.link.ended.result()
        is_own = end.reason == "dropped by this client"
        self._closed(connection, end.code, end.reason, is_own=is_own)

    def _part_from(self, connection: Connection | None, reason: str) -> None:
        if connection is None:
            return
        if connection.link.ended.done():
            self._over(connection)
        else:
            connection.link.close()
            self._closed(connection, 1000, reason, is_own=True)

    def _closed(self, connection: Connection, code: int, reason: str, *, is_own: bool) -> None:
        if connection.is_over:
            return
        connection.is_over = True
        self._record.note(
            Closed(
                at=time.monotonic(),
                connection=connection.number,
                code=code,
                reason=reason,
                is_own=is_own,
            )
        )
        self._backoff.connection_lived(time.monotonic() - connection.opened_at)
        if connection is self._current:
            self._current = None
            for place in self.places:
                place.lost()

    async def _wait_before_next(self, end: LinkEnd) -> bool:
        """Back off; False when another attempt is not to be made."""
        renew = self._options.renew
        duty = duty_of(end, was_connected=self.connections > 0, can_renew=renew is not None)
        if duty is Duty.STOP:
            self.failure = end.reason or f"closed with {end.code}"
            return False
        if duty is Duty.RENEW and renew is not None:
            self._token = renew()
        await asyncio.sleep(self._backoff.next_delay(end.retry_after))
        return True

    # Messages

    def _ask(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Subscribe to what was wanted, from where it stands."""
        if connection.link.ended.done():
            return
        requests: list[tuple[str, Mapping[str, Any]]] = []
        for number in numbers:
            place = self.places[number]
            since = None if place.position is None else self._options.resume_at(place.position)
            request_id = connection.last_id + len(requests) + 1
            asked = self._note_asked(
                connection,
                request_id,
                number,
                interval_ms=self._wanted[number].interval_ms,
                since=since,
            )
            requests.append(("subscribe", subscribe_payload(asked)))
        connection.send(requests)

    def _note_asked(
        self,
        connection: Connection,
        request_id: int,
        number: int,
        *,
        interval_ms: int | None,
        since: Position | None = None,
    ) -> Asked:
        wanted = self._wanted[number]
        connection.asked[request_id] = number
        asked = Asked(
            at=time.monotonic(),
            connection=connection.number,
            id=request_id,
            subscription=number,
            channel=wanted.channel,
            mode=wanted.mode,
            interval_ms=interval_ms,
            snapshot=wanted.snapshot,
            since=since,
        )
        self._record.note(asked)
        return asked

    def _receive(self, connection: Connection, frame: bytes) -> None:
        if connection.is_over:
            return
        stored = self._recording.store(frame)
        self._record.note(
            Got(
                at=time.monotonic(),
                connection=connection.number,
                start=stored.start,
                length=stored.length,
            )
        )
        for heading in stored.headings or ():
            self._take(connection, heading)

    def _take(self, connection: Connection, heading: Heading) -> None:
        match heading.type:
            case "welcome" if not connection.welcome.done():
                connection.welcome.set_result(heading)
            case "goaway" if self._options.obeys_goaway and not connection.goaway.done():
                connection.goaway.set_result(heading)
            case "error":
                self._refused(connection, heading)
            case "subscribed" if heading.id in connection.asked:
                connection.subscriptions[heading.payload.sub or 0] = connection.asked.pop(
                    heading.id
                )
                self._take_of_subscription(connection, heading)
            case "status" if heading.payload.sub is None:
                for place in self.places:
                    place.take(heading)
            case "snapshot" | "updates" | "gap" | "status":
                self._take_of_subscription(connection, heading)

    def _take_of_subscription(self, connection: Connection, heading: Heading) -> None:
        """A frame of an unknown subscription is for the checker to judge."""
        number = connection.subscriptions.get(heading.payload.sub or 0)
        if number is not None:
            self.places[number].take(heading)

    def _refused(self, connection: Connection, heading: Heading) -> None:
        """A request was refused: ask again where that may help."""
        payload = heading.payload
        if payload.retry_after_ms is not None:
            connection.retry_after = payload.retry_after_ms / 1000
        number = None if heading.id is None else connection.asked.pop(heading.id, None)
        if number is not None and payload.code in _TRY_AGAIN:
            delay = self._backoff.next_delay(connection.retry_after)
            asyncio.get_running_loop().call_later(delay, self._ask, connection, [number])
