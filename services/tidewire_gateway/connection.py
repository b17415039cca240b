"""One adopted WebSocket: its session's actions carried out, its deadlines and heartbeat kept."""

import random
import secrets
from collections.abc import Callable, Iterator

from websockets.exceptions import PayloadTooBig

from tidewire.identity.tokens import Identity
from tidewire.protocol.codes import CloseCode
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Hello, Refresh
from tidewire.protocol.framing import text_frame
from tidewire.protocol.server_frames import encode_error, encode_goaway, encode_ping

from .adopted import AdoptedWebSocket
from .core.heartbeat import Beat, Heartbeat, beat_together
from .core.limits import Limit, limit_of
from .core.session import (
    Action,
    Authenticate,
    Close,
    Deadline,
    Perform,
    Refuse,
    Session,
    SessionState,
)
from .core.subscriptions import Subscription, oldest_just_written
from .credentials import Credentials, encode_acceptance
from .host import Host, Request, perform
from .pressure import PressureGauge
from .targeted.mail import MailSubscription

__all__ = ["Connection"]

_ID_BYTES = 8
_NONCE_BYTES = 4
_HEARTBEAT_BYTES = 1024
"""More than an interval's pings are, as frames and as messages."""
_LARGE = 4096
_MANY = 16
"""So large, or so many, answers are written without waiting for further ones: 64 KB at the most are gathered."""
_NEVER = float("inf")
_OLD = "connection age"
_STANDSTILL = 1.0
"""A deadline that is looked at so many seconds late tells of the node, not of the client."""


class Connection:
    """Adopts a WebSocket; there is one timer beside it, and no queue; a task only while a key is fetched for its token.

    ``token`` came with the handshake's headers. ``address`` is the one whose limits it has, ``user`` the one whose
    connections it is counted with.
    """

    __slots__ = (
        "_acknowledged_at_beat",
        "_beat_at",
        "_credentials",
        "_due_at",
        "_gathered",
        "_heartbeat",
        "_is_gathering",
        "_loop",
        "_moves_because",
        "_node",
        "_protocol",
        "_replied_at",
        "_session",
        "_timer",
        "address",
        "id",
        "identity",
        "is_congested",
        "mail",
        "pressure",
        "subscriptions",
        "user",
        "write",
    )

    def __init__(
        self, protocol: AdoptedWebSocket, node: Host, token: str | None, address: str = ""
    ) -> None:
        self._protocol = protocol
        self._node = node
        self._credentials: Credentials | None = Credentials(token)
        self.address = address
        self.user: str | None = None
        self._loop = protocol.loop
        self.id = ""
        self.identity: Identity | None = None
        self.mail: MailSubscription | None = None
        self.is_congested = False
        self.subscriptions: dict[int, Subscription] = {}
        limits = node.limits
        self.pressure = PressureGauge(protocol.transport, self, limits, self._loop)
        self.write: Callable[[bytes], None] = self.pressure.write
        self._is_gathering = False
        self._gathered: list[bytes] | None = None
        now = self._loop.time()
        spread = 1 + limits.connection_age_jitter * random.uniform(-1, 1)  # noqa: S311 - jitter
        self._session = Session(limits, now, age=limits.connection_age * spread)
        self._heartbeat = Heartbeat(limits.unanswered_pings)
        spread_over = limits.ping_interval * random.random()  # noqa: S311 - jitter
        self._beat_at = beat_together(now + spread_over)
        self._replied_at = now
        self._moves_because = ""
        self._acknowledged_at_beat = 0
        self._due_at = self._next_due()
        self._timer = self._loop.call_at(self._due_at, self._on_timer)
        node.opened(self)
        if self.pressure.buffered():
            self.unsent()

    # What the socket tells

    def on_reading(self) -> None:
        if self.pressure.is_calm:
            self._is_gathering = True
            self.write = self._gather

    def on_read(self) -> None:
        if self._is_gathering:
            self._is_gathering = False
            self.write = self.pressure.write
        self._write_gathered()

    def on_frames(self, count: int) -> None:
        if self._session.may_send_frames(count, self._loop.time()):
            return
        self._node.instruments.limited(Limit.FRAMES)
        if not self.id:
            self._node.instruments.handshake("bad_request")
        self._protocol.refuse(CloseCode.BAD_REQUEST, "too many frames")

    def on_text(self, data: bytes) -> None:
        self._heartbeat.sign_of_life()
        self._perform(self._session.receive_text(data, self._loop.time()))

    def on_binary(self) -> None:
        self._perform(self._session.receive_binary())

    def on_pong(self, nonce: bytes) -> None:
        round_trip = self._heartbeat.pong(nonce, self._loop.time())
        if round_trip is not None:
            self._node.instruments.ponged(round_trip, self._heartbeat.age)

    def on_unsent(self) -> None:
        self.pressure.unsent()

    def on_emptied(self) -> None:
        self.pressure.emptied()

    def on_closing(self) -> None:
        self._write_gathered()
        self._end()
        self._node.drop(self)

    def on_shutdown(self) -> None:
        self.close(CloseCode.SHUTTING_DOWN, "the node is shutting down")

    def on_lost(self) -> None:
        self._end()
        if isinstance(self._protocol.conn.parser_exc, PayloadTooBig):
            self._node.instruments.limited(Limit.FRAME)
        self._node.closed(self, _close_code(self._protocol))

    # What the pressure gauge tells

    def unsent(self) -> None:
        self._node.sweep.watch(self)
        self._take_write()

    def emptied(self) -> None:
        self._take_write()

    def congested(self) -> None:
        """Nothing more is pushed, and who does not take answers may ask for no more of them."""
        self.is_congested = True
        self._node.sweep.watch(self)
        self._protocol.pause_reading()

    def drained(self) -> None:
        self.is_congested = False
        self._is_gathering = False
        self.write = self.pressure.write_on_trial
        self._protocol.resume_reading()
        self._heartbeat.sign_of_life()
        self._node.drained(self)

    def calm(self) -> None:
        self.write = self.pressure.write

    def stalled(self) -> None:
        """No close frame could pass: the client sees 1006, which stands for 3008."""
        self._node.instruments.slow_closes.inc()
        self._protocol.abort()

    # What its credentials tell

    def accept(
        self, message: Hello | Refresh, identity: Identity | None, ttl: float | None
    ) -> None:
        """It speaks for this user from now on, None for nobody: for ``ttl`` seconds, None for ever."""
        self._credentials = None
        self.identity = identity
        self._session.welcome(None if ttl is None else self._loop.time() + ttl)
        self._schedule()
        if isinstance(message, Hello):
            self.id = secrets.token_hex(_ID_BYTES)
            self._node.welcomed(self, message.device)
        self._reply(encode_acceptance(message, self.id, self._node, ttl))
        if isinstance(message, Refresh):
            self._node.rights_changed(self)
        elif self._session.move_by is not None:
            self._say_goaway()

    def release(self) -> None:
        """Carry out what came behind a `hello` that had to wait, if it was accepted."""
        if self._session.state is SessionState.ACTIVE:
            self._perform(self._session.release(self._loop.time()))

    def refuse(self, outcome: str, code: CloseCode, reason: str) -> None:
        """End it; ``outcome`` is the handshake's, where that is not over yet."""
        if not self.id:
            self._node.instruments.handshake(outcome)
        self.close(code, reason)

    def send_error(self, fault: ProtocolError) -> None:
        self._node.instruments.error(fault.code)
        limit = limit_of(fault)
        if limit is not None:
            self._node.instruments.limited(limit)
        self._reply(encode_error(fault))

    # What the node does

    def sweep(self, now: float) -> int:
        """Look for bytes that stay unsent; the bytes that wait in this process."""
        return self.pressure.sweep(now)

    @property
    def needs_watching(self) -> bool:
        """Whether the sweep should look at it each time."""
        return self.pressure.needs_watching

    @property
    def waits_for_key(self) -> bool:
        """Whether a key is being fetched for its token."""
        return self._credentials is not None and self._credentials.is_waiting

    @property
    def is_over(self) -> bool:
        """Whether its end has begun."""
        return self._session.state is SessionState.CLOSED

    def has_written_since(self, instant: float) -> bool:
        """Whether it wrote of its own or was given a frame of its feeds."""
        if self._replied_at > instant or (self.mail is not None and self.mail.wrote_at > instant):
            return True
        return any(
            s.is_attached and s.feed.last_flush_at > instant for s in self.subscriptions.values()
        )

    def close(self, code: CloseCode, reason: str) -> None:
        """Begin the closing handshake; nothing is pushed from here on."""
        self.on_closing()
        self._protocol.close(code, reason)

    def go_away(self, after: float, reason: str) -> None:
        """Tell the client to move, and close 3001 where it has not done so in ``after`` seconds.

        A client without its `welcome` is told behind that; one that was told an earlier moment keeps it.
        """
        if not self._session.go_away(self._loop.time() + after):
            return
        self._moves_because = reason
        if self._session.state is SessionState.ACTIVE:
            self._say_goaway()
        self._schedule()

    def _end(self) -> None:
        if self._credentials is not None:
            self._credentials.stop_waiting()
        self._timer.cancel()
        self.pressure.end()
        self._session.closed()

    def _say_goaway(self) -> None:
        move_by = self._session.move_by
        assert move_by is not None
        self._node.instruments.goaways.inc()
        after = max(0.0, move_by - self._loop.time())
        self._reply(encode_goaway(self._moves_because, round(after * 1000)))

    def _perform(self, actions: Iterator[Action]) -> None:
        for action in actions:
            match action:
                case Refuse(fault):
                    self.send_error(fault)
                case Close(code, reason, limit):
                    if limit is not None:
                        self._node.instruments.limited(limit)
                    self.refuse("bad_request", code, reason)
                case Authenticate(message):
                    self._authenticate(message)
                case Perform(request):
                    self._request(request)

    def _request(self, request: Request) -> None:
        try:
            perform(request, self, self._node)
        except ProtocolError as fault:
            self.send_error(fault)

    def _authenticate(self, message: Hello | Refresh) -> None:
        if self._credentials is None:
            self._credentials = Credentials()
        self._credentials.check(message, self, self._node)

    def _take_write(self) -> None:
        """Write as the pressure gauge says, but for the time of a read, or of a trial."""
        if not (self._is_gathering or self.pressure.is_on_trial):
            self.write = self.pressure.write

    def _gather(self, data: bytes) -> None:
        """Several small answers to what came in one read make one write: it costs more than they do."""
        if self._gathered is None:
            self._gathered = []
        self._gathered.append(data)
        if len(data) >= _LARGE or len(self._gathered) >= _MANY:
            self._write_gathered()

    def _write_gathered(self) -> None:
        if self._gathered is not None:
            gathered, self._gathered = self._gathered, None
            self.pressure.write(b"".join(gathered))

    def _reply(self, payload: bytes) -> None:
        self._replied_at = self._loop.time()
        self.write(text_frame(payload))

    # Deadlines

    def _next_due(self) -> float:
        return min(self._session.next_deadline()[0], self._beat_at)

    def _schedule(self) -> None:
        """Look at the deadlines in time; earlier than needed is not undone, it costs one look."""
        due_at = self._next_due()
        if due_at >= self._due_at or self._session.state is SessionState.CLOSED:
            return
        self._timer.cancel()
        self._due_at = due_at
        self._timer = self._loop.call_at(due_at, self._on_timer)

    def _on_timer(self) -> None:
        self._due_at = _NEVER
        now = self._loop.time()
        if now >= self._beat_at:
            self._beat(now)
        due_at, deadline = self._session.next_deadline()
        if now >= due_at + _STANDSTILL and deadline is Deadline.HELLO:
            self._session.wait_for_hello(now)  # timers come before what the sockets hold
        elif now >= due_at:
            self._on_deadline(deadline)
        self._schedule()

    def _beat(self, now: float) -> None:
        interval = self._node.limits.ping_interval
        self._beat_at = beat_together(now + interval)
        self._look_for_life()
        nonce = secrets.token_bytes(_NONCE_BYTES)
        oldest_at = oldest_just_written(self.subscriptions, now)
        if self._heartbeat.beat(nonce, now, oldest_at) is Beat.DEAD:
            self.close(CloseCode.NO_PONG, "no pong came back")
            return
        if self.has_written_since(now - interval):
            self._protocol.ping(nonce)
        else:
            self._replied_at = now
            self._protocol.ping(nonce, text_frame(encode_ping()))

    def _look_for_life(self) -> None:
        """A peer that takes bytes is alive, though its pong may stand behind what it has not read.

        Where nothing is unsent, they must be more than heartbeats: those its kernel takes by itself.
        """
        unsent = self.pressure.look()
        taken = unsent.acknowledged - self._acknowledged_at_beat
        if taken > (0 if unsent.total else _HEARTBEAT_BYTES):
            self._heartbeat.sign_of_life()
        self._acknowledged_at_beat = unsent.acknowledged

    def _on_deadline(self, deadline: Deadline) -> None:
        if deadline is Deadline.HELLO and self.waits_for_key:
            reason = "the keys to check the token with did not come in time"
            self.refuse("undecided_token", CloseCode.OVERLOADED, reason)
        elif deadline is Deadline.HELLO:
            self.refuse("no_hello", CloseCode.BAD_REQUEST, "no hello came in time")
        elif deadline is Deadline.EXPIRY:
            self.close(CloseCode.TOKEN_EXPIRED, "the token has expired")
        elif deadline is Deadline.MOVE:
            self.close(
                CloseCode.SHUTTING_DOWN, f"asked to move and still here: {self._moves_because}"
            )
        else:
            self.go_away(self._node.limits.goaway_window, _OLD)


def _close_code(protocol: AdoptedWebSocket) -> int:
    """The code that ended the connection, 1006 where none did."""
    close = protocol.conn.close_sent or protocol.conn.close_rcvd
    return 1006 if close is None else close.code
