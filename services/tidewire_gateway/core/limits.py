"""The bounds a connection and a node are held to; policy, never state."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ChannelSizeError, ProtocolError

__all__ = ["Limit", "LimitError", "Limits", "limit_of"]


class Limit(StrEnum):
    """What somebody is refused for; also what `limited_total` counts it by.

    What a node cannot carry is an `Overload` instead.
    """

    ADDRESS_CONNECTIONS = "address_connections"
    ADDRESS_HANDSHAKES = "address_handshakes"
    USER_CONNECTIONS = "user_connections"
    FRAME = "frame"
    FRAMES = "frames"
    MESSAGES = "messages"
    MESSAGES_PER_FRAME = "messages_per_frame"
    REFUSALS = "refusals"
    CHANNEL = "channel"
    SUBSCRIPTIONS = "subscriptions"
    FEEDS = "feeds"


class LimitError(ProtocolError):
    """A client asked for more than it may have."""

    def __init__(
        self,
        limit: Limit,
        code: ErrorCode,
        message: str,
        *,
        request_id: int | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        super().__init__(code, message, request_id=request_id, retry_after_ms=retry_after_ms)
        self.limit = limit


def limit_of(fault: ProtocolError) -> Limit | None:
    """The limit that a refused request passed, if it is one."""
    if isinstance(fault, ChannelSizeError):
        return Limit.CHANNEL
    return fault.limit if isinstance(fault, LimitError) else None


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults of docs/protocol.md, "Limits"; every one is a setting of the gateway.

    Sizes are bytes, times seconds. Of connections and handshakes by user, by address and by second 0 is no limit.
    """

    max_frame_in: int = 64 * 1024
    max_frame_out: int = 256 * 1024
    max_channel: int = 255
    frames_in: int = 4096
    messages_in: int = 120
    messages_in_window: float = 60.0
    messages_per_frame: int = 1024
    refusals: int = 1024
    subscriptions_per_connection: int = 512
    feeds_per_node: int = 100_000
    hello_timeout: float = 8.0
    ping_interval: float = 25.0
    unanswered_pings: int = 2
    connection_age: float = 30 * 60.0
    connection_age_jitter: float = 0.15
    goaway_window: float = 30.0
    live_timeout: float = 5.0
    high_water: int = 64 * 1024
    unsent_timeout: float = 1.0
    stall_timeout: float = 30.0
    bad_frames: int = 3
    backfill_records: int = 100_000
    max_one_off_reads: int = 64
    connections_per_user: int = 100
    connections_per_address: int = 1000
    address_handshakes_per_second: float = 50.0
    address_handshakes_burst: int = 200
    handshakes_per_second: float = 500.0
    handshakes_burst: int = 1000
    max_connections: int = 20_000
    max_handshakes: int = 1000
    max_loop_lag: float = 1.0
    max_memory: int = 0

    def to_wire(self) -> dict[str, Any]:
        """What `welcome` tells the client to keep to."""
        return {
            "frame_bytes": self.max_frame_in,
            "messages": self.messages_in,
            "window_ms": round(self.messages_in_window * 1000),
            "subscriptions": self.subscriptions_per_connection,
        }
