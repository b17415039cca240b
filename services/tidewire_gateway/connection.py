"""One adopted WebSocket: its session's actions carried out, its deadlines and heartbeat kept."""

import random
import secrets
import time
from collections.abc import Callable, Iterator

from tidewire.identity.errors import ExpiredTokenError, IdentityError
from tidewire.identity.tokens import Identity
from tidewire.protocol.codes import CloseCode
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import (
    Hello,
    Refresh,
    Subscribe,
    Unsubscribe,
    UpdateSubscription,
)
from tidewire.protocol.framing import text_frame
from tidewire.protocol.server_frames import (
    encode_error,
    encode_goaway,
    encode_ping,
    encode_refreshed,
    encode_welcome,
)

from .adopted import AdoptedWebSocket
from .core.heartbeat import Beat, Heartbeat, beat_together
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
from .host import Host
from .pressure import PressureGauge
from .targeted.mail import MailSubscription

__all__ = ["Connection"]

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
    """Adopts a WebSocket; there is one timer beside it, and no task or queue.

    ``token`` came with the handshake's headers; the one in `hello` goes before it.
    """

    __slots__ = (
        "_acknowledged_at_beat",
        "_beat_at",
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
        "_token",
        "id",
        "identity",
        "is_congested",
        "mail",
        "pressure",
        "subscriptions",
        "write",
    )

    def __init__(self, protocol: AdoptedWebSocket, node: Host, token: str | None) -> None:
        self._protocol = protocol
        self._node = node
        self._token = token
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
        self._timer.cancel()
        self.pressure.end()
        self._session.closed()
        self._node.drop(self)

    def on_shutdown(self) -> None:
        self.close(CloseCode.SHUTTING_DOWN, "the node is shutting down")

    def on_lost(self) -> None:
        self._timer.cancel()
        self.pressure.end()
        self._session.closed()
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

    # What the node does

    def sweep(self, now: float) -> int:
        """Look for bytes that stay unsent; the bytes that wait in this process."""
        return self.pressure.sweep(now)

    @property
    def needs_watching(self) -> bool:
        """Whether the sweep should look at it each time."""
        return self.pressure.needs_watching

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
                    self._send_error(fault)
                case Close(code, reason):
                    self._refuse("bad_request", code, reason)
                case Authenticate(message):
                    self._authenticate(message)
                case Perform(request):
                    self._request(request)

    def _request(self, request: Subscribe | UpdateSubscription | Unsubscribe) -> None:
        performer = self._node.performer(self, request)
        try:
            if isinstance(request, Subscribe):
                performer.subscribe(self, request)
            elif isinstance(request, UpdateSubscription):
                performer.update(self, request)
            else:
                performer.unsubscribe(self, request)
        except ProtocolError as fault:
            self._send_error(fault)

    def _send_error(self, fault: ProtocolError) -> None:
        self._node.instruments.error(fault.code)
        self._reply(encode_error(fault))

    def _authenticate(self, message: Hello | Refresh) -> None:
        token = message.token or self._token
        try:
            identity = self._node.identify(token)
        except ExpiredTokenError as error:
            self._refuse("expired_token", CloseCode.TOKEN_EXPIRED, str(error))
            return
        except IdentityError as error:
            self._refuse("invalid_token", CloseCode.INVALID_TOKEN, str(error))
            return
        self._token = None
        self.identity = identity
        ttl = _time_left(identity)
        self._session.welcome(None if ttl is None else self._loop.time() + ttl)
        self._schedule()
        if isinstance(message, Hello):
            self._welcome(message, ttl)
        else:
            self._reply(encode_refreshed(message.id, round((ttl or 0.0) * 1000)))
            self._node.rights_changed(self)

    def _welcome(self, hello: Hello, ttl: float | None) -> None:
        node = self._node
        expiry = {} if ttl is None else {"expires_in_ms": round(ttl * 1000)}
        self.id = secrets.token_hex(8)
        node.welcomed(self, hello.device)
        self._reply(
            encode_welcome(
                hello.id,
                connection=self.id,
                node=node.name,
                ping_interval_ms=round(node.limits.ping_interval * 1000),
                **expiry,
                limits=node.limits.to_wire(),
            )
        )
        if self._session.move_by is not None:
            self._say_goaway()

    def _refuse(self, outcome: str, code: CloseCode, reason: str) -> None:
        """End it; ``outcome`` is the handshake's, where that is not over yet."""
        if not self.id:
            self._node.instruments.handshake(outcome)
        self.close(code, reason)

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
        if deadline is Deadline.HELLO:
            self._refuse("no_hello", CloseCode.BAD_REQUEST, "no hello came in time")
        elif deadline is Deadline.EXPIRY:
            self.close(CloseCode.TOKEN_EXPIRED, "the token has expired")
        elif deadline is Deadline.MOVE:
            self.close(
                CloseCode.SHUTTING_DOWN, f"asked to move and still here: {self._moves_because}"
            )
        else:
            self.go_away(self._node.limits.goaway_window, _OLD)


def _time_left(identity: Identity | None) -> float | None:
    """Seconds; None where it never ends."""
    if identity is None or identity.expires_at == _NEVER:
        return None
    return max(0.0, identity.expires_at - time.time())


def _close_code(protocol: AdoptedWebSocket) -> int:
    """The code that ended the connection, 1006 where none did."""
    close = protocol.conn.close_sent or protocol.conn.close_rcvd
    return 1006 if close is None else close.code
