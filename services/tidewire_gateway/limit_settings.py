"""The limits of a node as settings, under ``TIDEWIRE_GATEWAY__LIMITS__``."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tidewire.units import BYTES, CHARACTERS, COUNT, PER_SECOND, SECONDS, SHARE

from .core.limits import Limits

__all__ = ["LimitSettings"]

_DEFAULTS = Limits()
_Seconds = Annotated[float, Field(gt=0, le=86_400, json_schema_extra=SECONDS)]
_Count = Annotated[int, Field(ge=1, le=10_000_000, json_schema_extra=COUNT)]
_CountOrNone = Annotated[int, Field(ge=0, le=10_000_000, json_schema_extra=COUNT)]
_RateOrNone = Annotated[float, Field(ge=0, le=1_000_000, json_schema_extra=PER_SECOND)]
_Bytes = Annotated[int, Field(ge=1024, le=1 << 30, json_schema_extra=BYTES)]


class LimitSettings(BaseModel):
    """`Limits`, each one a setting; durations in seconds, sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_frame_in: _Bytes = Field(
        default=_DEFAULTS.max_frame_in, description="a larger frame closes 1009"
    )
    max_frame_out: Annotated[int, Field(ge=16 * 1024, le=1 << 30, json_schema_extra=BYTES)] = Field(
        default=_DEFAULTS.max_frame_out,
        description="larger batches and snapshots are split; a larger event is skipped and counted",
    )
    max_channel: Annotated[int, Field(ge=1, le=255, json_schema_extra=CHARACTERS)] = Field(
        default=_DEFAULTS.max_channel,
        description="a channel's name, the protocol's most; a longer one is answered `bad_request`",
    )
    frames_in: _Count = Field(
        default=_DEFAULTS.frames_in,
        description="frames of any kind in the window that messages have, pings, pongs and fragments among them; "
        "more close 3501",
    )
    messages_in: _Count = Field(
        default=_DEFAULTS.messages_in,
        description="messages in `MESSAGES_IN_WINDOW`; beyond it `error` `rate_limited` with the time to wait. A new "
        "connection has as many more, once, as it may have subscriptions, so that a client that comes back resumes all "
        "of them at once",
    )
    messages_in_window: _Seconds = Field(
        default=_DEFAULTS.messages_in_window,
        description="the window of `MESSAGES_IN`, `FRAMES_IN` and `REFUSALS`",
    )
    messages_per_frame: _Count = Field(
        default=_DEFAULTS.messages_per_frame,
        description="a frame with more is answered `bad_request` and counts as a bad frame",
    )
    refusals: _Count = Field(
        default=_DEFAULTS.refusals,
        description="requests answered with an `error` per window; more close 3501",
    )
    subscriptions_per_connection: _Count = Field(
        default=_DEFAULTS.subscriptions_per_connection,
        description="beyond it `error` `limit_exceeded`",
    )
    feeds_per_node: _Count = Field(
        default=_DEFAULTS.feeds_per_node,
        description="beyond it `error` `unavailable` with the time to wait",
    )
    hello_timeout: _Seconds = Field(
        default=_DEFAULTS.hello_timeout, description="no `hello` in time closes 3501"
    )
    ping_interval: _Seconds = Field(
        default=_DEFAULTS.ping_interval, description="between two pings to a client"
    )
    unanswered_pings: _Count = Field(
        default=_DEFAULTS.unanswered_pings,
        description="after so many without a sign of life the connection is closed 3012",
    )
    connection_age: _Seconds = Field(
        default=_DEFAULTS.connection_age,
        description="an older connection gets `goaway`, and its client connects anew",
    )
    connection_age_jitter: Annotated[float, Field(ge=0, lt=1, json_schema_extra=SHARE)] = Field(
        default=_DEFAULTS.connection_age_jitter,
        description="of the age, by which it is longer or shorter by chance",
    )
    goaway_window: _Seconds = Field(
        default=_DEFAULTS.goaway_window,
        description="who has not moved so long after the `goaway` is closed 3001",
    )
    live_timeout: _Seconds = Field(
        default=_DEFAULTS.live_timeout,
        description="after it a subscription is answered `stale` with what the node holds",
    )
    high_water: _Bytes = Field(
        default=_DEFAULTS.high_water,
        description="unsent, beyond which a connection's subscriptions are detached until it has drained",
    )
    unsent_timeout: _Seconds = Field(
        default=_DEFAULTS.unsent_timeout,
        description="bytes that have waited for so long, too, make a client slow",
    )
    stall_timeout: _Seconds = Field(
        default=_DEFAULTS.stall_timeout,
        description="a slow connection from which nothing drains for so long is aborted",
    )
    bad_frames: _Count = Field(
        default=_DEFAULTS.bad_frames,
        description="so many frames that are not the protocol close 3501",
    )
    backfill_records: _CountOrNone = Field(
        default=_DEFAULTS.backfill_records,
        description="offsets before memory that are read again from Kafka for mode `every`; `0`: none",
    )
    max_one_off_reads: _Count = Field(
        default=_DEFAULTS.max_one_off_reads,
        description="channels read over HTTP at once, until their answers are taken; more are answered 503 with "
        "`Retry-After`",
    )
    connections_per_user: _CountOrNone = Field(
        default=_DEFAULTS.connections_per_user,
        description="of this node, by the token's user: one more is closed 3504 after its `hello`. `0`: no limit. The "
        "registry's, over all nodes, is another",
    )
    connections_per_address: _CountOrNone = Field(
        default=_DEFAULTS.connections_per_address,
        description="of this node: handshakes from that address are refused with 429 and `Retry-After`. `0`: no limit. "
        "IPv6 addresses count by their /64, those behind `TRUSTED_PROXIES` as themselves",
    )
    address_handshakes_per_second: _RateOrNone = Field(
        default=_DEFAULTS.address_handshakes_per_second,
        description="handshakes of an address; more are refused with 429 and `Retry-After`. `0`: no limit",
    )
    address_handshakes_burst: _Count = Field(
        default=_DEFAULTS.address_handshakes_burst,
        description="handshakes of an address that may come at once after a rest",
    )
    handshakes_per_second: _RateOrNone = Field(
        default=_DEFAULTS.handshakes_per_second,
        description="handshakes of all addresses together: more are refused with 503, and a `Retry-After` that gives "
        "each who is refused a turn of its own, as there is room, within a minute at the most (also where a crowd makes "
        "the node `overloaded_loop` or `overloaded_handshakes`). `0`: no limit",
    )
    handshakes_burst: _Count = Field(
        default=_DEFAULTS.handshakes_burst,
        description="handshakes of all addresses that may come at once after a rest",
    )
    max_connections: _Count = Field(
        default=_DEFAULTS.max_connections,
        description="beyond it WebSocket handshakes are refused with 503 and `Retry-After`, and the node is not ready. "
        "Fewer, with a warning, where file descriptors do not suffice",
    )
    max_handshakes: _Count = Field(
        default=_DEFAULTS.max_handshakes,
        description="likewise: connections that are accepted and have had no `welcome` yet",
    )
    max_loop_lag: _Seconds = Field(
        default=_DEFAULTS.max_loop_lag,
        description="likewise: the event loop was later than this within the last 3 s",
    )
    max_memory: Annotated[int, Field(ge=0, json_schema_extra=BYTES)] = Field(
        default=_DEFAULTS.max_memory,
        description="likewise: resident bytes of the process (Linux). `0`: no limit",
    )

    def to_limits(self) -> Limits:
        return Limits(**self.model_dump())
