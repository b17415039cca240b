"""The bounds a connection and a node are held to; policy, never state."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Defaults of docs/protocol.md, "Limits"; every one is a setting of the gateway.

    Sizes are bytes, times seconds.
    """

    max_frame_in: int = 64 * 1024
    max_frame_out: int = 256 * 1024
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
