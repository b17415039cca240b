"""The protocol state of one connection: what each frame asks for, and which deadline is next.

Sans-I/O: a frame goes in, actions come out; the shell carries them out in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from tidewire.protocol.codec import decode_frame
from tidewire.protocol.codes import CloseCode, ErrorCode
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import (
    ClientMessage,
    Hello,
    Refresh,
    Subscribe,
    Unsubscribe,
    UpdateSubscription,
)

from .allowance import Allowance
from .limits import Limit, LimitError, Limits

__all__ = [
    "Action",
    "Authenticate",
    "Close",
    "Deadline",
    "Perform",
    "Refuse",
    "Session",
    "SessionState",
]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send this fault as an `error` message."""

    fault: ProtocolError


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection with a close frame; ``limit`` is the one that is passed, if it is one."""

    code: CloseCode
    reason: str
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Verify the credentials of a `hello` or `refresh`, then tell the session."""

    message: Hello | Refresh


@dataclass(frozen=True, slots=True)
class Perform:
    """Carry out a request about subscriptions."""

    request: Subscribe | UpdateSubscription | Unsubscribe


Action = Refuse | Close | Authenticate | Perform


class SessionState(Enum):
    AWAITING_HELLO = auto()
    AUTHENTICATING = auto()
    ACTIVE = auto()
    CLOSED = auto()


class Deadline(Enum):
    """What becomes due when nothing happens before."""

    HELLO = auto()
    EXPIRY = auto()
    AGE = auto()
    MOVE = auto()
    """The time that a `goaway` left is over."""


class Session:
    """Protocol state machine of one connection; times are monotonic seconds."""

    __slots__ = (
        "_age_at",
        "_allowance",
        "_bad_frames",
        "_expires_at",
        "_frames",
        "_held",
        "_held_bytes",
        "_hello_by",
        "_limits",
        "_move_by",
        "_refusals",
        "state",
    )

    def __init__(self, limits: Limits, now: float, *, age: float) -> None:
        self._limits = limits
        self.state = SessionState.AWAITING_HELLO
        # Once, a client that comes back may ask for everything it had before.
        self._allowance = Allowance(
            limits.messages_in,
            limits.messages_in_window,
            now,
            extra=limits.subscriptions_per_connection,
        )
        self._refusals = Allowance(limits.refusals, limits.messages_in_window, now)
        self._frames = Allowance(limits.frames_in, limits.messages_in_window, now)
        self._hello_by = now + limits.hello_timeout
        self._age_at = now + age
        self._move_by: float | None = None
        self._expires_at: float | None = None
        self._bad_frames = 0
        self._held: list[ClientMessage | ProtocolError] = []
        self._held_bytes = 0

    def may_send_frames(self, count: int, now: float) -> bool:
        """Whether a client may send so many more, of whatever kind: pings, pongs and fragments are no messages."""
        return not self._frames.take(now, count)

    def receive_text(self, data: bytes, now: float) -> Iterator[Action]:
        """The actions that a text frame asks for; to be carried out as they come.

        While it is not known yet whether the credentials of `hello` are good, messages are held, as many bytes of them as a
        frame may have; `release` gives what they ask for.
        """
        if self.state is SessionState.AUTHENTICATING:
            self._held_bytes += len(data)
            if self._held_bytes > self._limits.max_frame_in:
                yield self._close(CloseCode.OVERLOADED, "too much was sent before the welcome")
                return
        try:
            messages = decode_frame(data)
        except ProtocolError as fault:
            yield from self._bad_frame(fault)
            return
        if len(messages) > self._limits.messages_per_frame:
            yield from self._bad_frame(
                LimitError(
                    Limit.MESSAGES_PER_FRAME,
                    ErrorCode.BAD_REQUEST,
                    f"{self._limits.messages_per_frame} messages in a frame are the most",
                )
            )
            return
        for message in messages:
            if self.state is SessionState.CLOSED:
                return
            yield from self._on_message(message, now)

    def receive_binary(self) -> Iterator[Action]:
        """The protocol is text; a binary frame is a fault."""
        yield from self._bad_frame(
            ProtocolError(ErrorCode.BAD_REQUEST, "frames are text, this one was binary")
        )

    def welcome(self, expires_at: float | None) -> None:
        """The credentials of `hello` or `refresh` were accepted, until ``expires_at``."""
        self.state = SessionState.ACTIVE
        self._expires_at = expires_at

    def release(self, now: float) -> Iterator[Action]:
        """The actions that messages behind `hello` ask for, once it was accepted."""
        held, self._held = self._held, []
        for message in held:
            if self.state is SessionState.CLOSED:
                return
            yield from self._on_message(message, now)

    def wait_for_hello(self, now: float) -> None:
        """Nobody looked at what the client sent in time: it has the whole time again."""
        self._hello_by = now + self._limits.hello_timeout

    def closed(self) -> None:
        self.state = SessionState.CLOSED
        self._held.clear()

    def next_deadline(self) -> tuple[float, Deadline]:
        """What becomes due first, and when; nothing once the session is closed."""
        if self.state is SessionState.CLOSED:
            return float("inf"), Deadline.AGE
        last = (self._age_at, Deadline.AGE)
        if self._move_by is not None:
            last = (self._move_by, Deadline.MOVE)
        if self.state is not SessionState.ACTIVE:
            first = (self._hello_by, Deadline.HELLO)
        elif self._expires_at is not None:
            first = (self._expires_at, Deadline.EXPIRY)
        else:
            return last
        return first if first[0] <= last[0] else last

    @property
    def move_by(self) -> float | None:
        """When the client is moved; None where it need not move."""
        return self._move_by

    def go_away(self, move_by: float) -> bool:
        """The client has to be gone at ``move_by``; whether that is news to it.

        It is none to who was given no more time before, or whose session has ended.
        """
        if self.state is SessionState.CLOSED:
            return False
        if self._move_by is not None and self._move_by <= move_by:
            return False
        self._move_by = move_by
        return True

    def _bad_frame(self, fault: ProtocolError) -> Iterator[Action]:
        if self.state is SessionState.AWAITING_HELLO:
            yield self._close(CloseCode.BAD_REQUEST, "the first message is hello")
            return
        self._bad_frames += 1
        yield Refuse(fault)
        if self._bad_frames >= self._limits.bad_frames:
            yield self._close(CloseCode.BAD_REQUEST, "repeated frames that are not the protocol")

    def _on_message(self, message: ClientMessage | ProtocolError, now: float) -> Iterator[Action]:
        if self.state is SessionState.AUTHENTICATING:
            self._held.append(message)
        elif self.state is SessionState.ACTIVE and (wait := self._allowance.take(now)):
            request_id = message.request_id if isinstance(message, ProtocolError) else message.id
            yield from self._refuse(_rate_limited(request_id, wait), now)
        elif isinstance(message, ProtocolError):
            yield from self._on_fault(message, now)
        elif isinstance(message, Hello):
            yield from self._on_hello(message, now)
        elif self.state is not SessionState.ACTIVE:
            yield self._close(CloseCode.BAD_REQUEST, "the first message is hello")
        elif isinstance(message, Refresh):
            yield Authenticate(message)
        else:
            yield Perform(message)

    def _on_hello(self, hello: Hello, now: float) -> Iterator[Action]:
        if self.state is not SessionState.AWAITING_HELLO:
            fault = ProtocolError(
                ErrorCode.BAD_REQUEST, "hello was said already", request_id=hello.id
            )
            yield from self._refuse(fault, now)
            return
        self.state = SessionState.AUTHENTICATING
        yield Authenticate(hello)

    def _on_fault(self, fault: ProtocolError, now: float) -> Iterator[Action]:
        if fault.code is ErrorCode.UNSUPPORTED_VERSION:
            yield Refuse(fault)
            yield self._close(CloseCode.UNSUPPORTED_VERSION, fault.message)
        elif self.state is SessionState.AWAITING_HELLO:
            yield self._close(CloseCode.BAD_REQUEST, fault.message)
        else:
            yield from self._refuse(fault, now)

    def _refuse(self, fault: ProtocolError, now: float) -> Iterator[Action]:
        """Answer a fault; who goes on in spite of many answers is no client of this protocol."""
        if self._refusals.take(now):
            reason = "too many requests that had to be refused"
            yield self._close(CloseCode.BAD_REQUEST, reason, Limit.REFUSALS)
        else:
            yield Refuse(fault)

    def _close(self, code: CloseCode, reason: str, limit: Limit | None = None) -> Close:
        self.state = SessionState.CLOSED
        return Close(code, reason, limit)


def _rate_limited(request_id: int | None, wait: float) -> ProtocolError:
    return LimitError(
        Limit.MESSAGES,
        ErrorCode.RATE_LIMITED,
        "too many messages; wait before the next",
        request_id=request_id,
        retry_after_ms=max(1, round(wait * 1000)),
    )
