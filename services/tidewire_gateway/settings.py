"""What a gateway node is told from outside, under ``TIDEWIRE_GATEWAY__``."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import check_internal, is_loopback
from tidewire.config.settings import ServiceSettings
from tidewire.config.transport import TlsSettings, check_transport
from tidewire.identity.settings import TokenSettings
from tidewire.kafka.settings import KafkaSettings
from tidewire.revocation.records import REVOCATIONS
from tidewire.targeting.topics import INBOX, TARGETED

from .core.client_address import TrustedProxies
from .core.limits import Limits
from .core.origins import ANY, NULL, SAME_ORIGIN, Origins

__all__ = ["PREFIX", "GatewaySettings", "LimitSettings", "TargetedSettings"]

PREFIX = "TIDEWIRE_GATEWAY__"

_Seconds = Annotated[float, Field(gt=0, le=86_400)]
_Count = Annotated[int, Field(ge=1, le=10_000_000)]
_CountOrNone = Annotated[int, Field(ge=0, le=10_000_000)]
_RateOrNone = Annotated[float, Field(ge=0, le=1_000_000)]
_Bytes = Annotated[int, Field(ge=1024, le=1 << 30)]
_DEFAULTS = Limits()


class LimitSettings(BaseModel):
    """`Limits`, each one a setting; durations in seconds, sizes in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_frame_in: _Bytes = _DEFAULTS.max_frame_in
    max_frame_out: Annotated[int, Field(ge=16 * 1024, le=1 << 30)] = _DEFAULTS.max_frame_out
    max_channel: Annotated[int, Field(ge=1, le=255)] = _DEFAULTS.max_channel
    frames_in: _Count = _DEFAULTS.frames_in
    messages_in: _Count = _DEFAULTS.messages_in
    messages_in_window: _Seconds = _DEFAULTS.messages_in_window
    messages_per_frame: _Count = _DEFAULTS.messages_per_frame
    refusals: _Count = _DEFAULTS.refusals
    subscriptions_per_connection: _Count = _DEFAULTS.subscriptions_per_connection
    feeds_per_node: _Count = _DEFAULTS.feeds_per_node
    hello_timeout: _Seconds = _DEFAULTS.hello_timeout
    ping_interval: _Seconds = _DEFAULTS.ping_interval
    unanswered_pings: _Count = _DEFAULTS.unanswered_pings
    connection_age: _Seconds = _DEFAULTS.connection_age
    connection_age_jitter: Annotated[float, Field(ge=0, lt=1)] = _DEFAULTS.connection_age_jitter
    goaway_window: _Seconds = _DEFAULTS.goaway_window
    live_timeout: _Seconds = _DEFAULTS.live_timeout
    high_water: _Bytes = _DEFAULTS.high_water
    unsent_timeout: _Seconds = _DEFAULTS.unsent_timeout
    stall_timeout: _Seconds = _DEFAULTS.stall_timeout
    bad_frames: _Count = _DEFAULTS.bad_frames
    backfill_records: Annotated[int, Field(ge=0, le=10_000_000)] = _DEFAULTS.backfill_records
    max_one_off_reads: _Count = _DEFAULTS.max_one_off_reads
    connections_per_user: _CountOrNone = _DEFAULTS.connections_per_user
    connections_per_address: _CountOrNone = _DEFAULTS.connections_per_address
    address_handshakes_per_second: _RateOrNone = _DEFAULTS.address_handshakes_per_second
    address_handshakes_burst: _Count = _DEFAULTS.address_handshakes_burst
    handshakes_per_second: _RateOrNone = _DEFAULTS.handshakes_per_second
    handshakes_burst: _Count = _DEFAULTS.handshakes_burst
    max_connections: _Count = _DEFAULTS.max_connections
    max_handshakes: _Count = _DEFAULTS.max_handshakes
    max_loop_lag: _Seconds = _DEFAULTS.max_loop_lag
    max_memory: Annotated[int, Field(ge=0)] = _DEFAULTS.max_memory

    def to_limits(self) -> Limits:
        return Limits(**self.model_dump())


class TargetedSettings(BaseModel):
    """Messages to users (`@me`); without ``registry_url`` and ``redis_url`` the node has none. Durations in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry_url: str | None = Field(
        default=None, pattern=r"^https?://", description="where the registry answers"
    )
    redis_url: str | None = Field(default=None, description="where the mailboxes are")
    topic: str = Field(default=TARGETED, description="what is published to users")
    inbox_topic: str = Field(default=INBOX, description="one partition per node")
    epoch: str = Field(
        default="0",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="the topic's epoch where the broker has no topic ids",
    )
    lookup_ttl: _Seconds = Field(
        default=5.0, description="how long routers remember where a user is: theirs, or longer"
    )
    address: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="URL under which other parts reach the internal port; none: as it listens",
    )
    zone: str | None = Field(default=None, max_length=64, description="told to operators")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.registry_url is None) != (self.redis_url is None):
            missing = "REGISTRY_URL" if self.registry_url is None else "REDIS_URL"
            raise ValueError(
                f"{PREFIX}TARGETED__{missing}: is not set; messages to users need both the registry and "
                "Redis: set it, or neither"
            )
        return self


class GatewaySettings(ServiceSettings):
    """One gateway node. Durations in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    node: str = Field(
        default="node-1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="name that clients are told",
    )
    host: str = Field(default="127.0.0.1", description="address of the public port")
    port: int = Field(default=8080, ge=0, le=65_535, description="public port; 0: a free one")
    tls: TlsSettings = TlsSettings()
    trust_proxy_tls: bool = Field(
        default=False, description="a proxy speaks TLS to the clients, and plain text to the node"
    )
    internal_host: str = Field(default="127.0.0.1", description="address of the internal port")
    internal_port: int = Field(
        default=0, ge=0, le=65_535, description="metrics and health; 0: a free one"
    )
    internal_key_file: Path | None = Field(
        default=None,
        description="keys that the internal port asks for, and that registry and nodes are shown",
    )
    streams: Path = Field(description="path of streams.yaml")
    kafka: KafkaSettings = KafkaSettings()
    token_key_file: Path | None = Field(
        default=None, description="HS256 key that tokens are checked with; none: anonymous only"
    )
    tokens: TokenSettings = TokenSettings()
    revocations_topic: str = Field(
        default=REVOCATIONS,
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="what tells of tokens that are good no longer",
    )
    origins: tuple[str, ...] = Field(
        default=(SAME_ORIGIN,),
        description="origins, SCHEME://HOST[:PORT], whose pages may connect and read; also the words same-origin, * and null",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(),
        description="addresses and CIDR blocks of proxies whose X-Forwarded-For is believed",
    )
    static: dict[str, Path] = Field(
        default_factory=dict, description="URL prefix → folder of files to serve"
    )
    dev: bool = Field(default=False, description="development: logs for people")
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    ready_json: bool = Field(default=False, description="print one JSON line when ready")
    log_window: _Seconds = Field(default=120.0, description="events kept in memory, by age")
    log_bytes: _Bytes = Field(
        default=64 * 1024 * 1024, description="events kept in memory, by size"
    )
    tombstone_ttl: _Seconds = Field(
        default=86_400.0,
        description="how long removals are remembered; at most delete.retention.ms of the topics",
    )
    linger: _Seconds = Field(default=30.0, description="partitions nobody needs are read so long")
    topic_poll_interval: _Seconds = Field(
        default=10.0,
        description="how often the broker is asked whether topics were recreated or have more partitions",
    )
    drain_delay: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=10.0, description="between the end of readiness and the first client's move"
    )
    drain_window: _Seconds = Field(default=30.0, description="in which all clients are moved")
    trace_limit: _Count = Field(
        default=100,
        description="sampled events followed a second; further ones count as not sampled",
    )
    console: bool = Field(
        default=False,
        description="the console on the internal port, and the streams of the system itself",
    )
    console_hosts: tuple[str, ...] = Field(
        default=(),
        description="names, beside addresses and its own, that the internal port goes by with the console",
    )
    limits: LimitSettings = LimitSettings()
    targeted: TargetedSettings = TargetedSettings()

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            try:
                Origins((origin,))
            except ValueError as error:
                raise ValueError(
                    f'{origin!r}: {error}; write it as in "https://app.example.org", or one of the words '
                    f"{SAME_ORIGIN}, {ANY} (every page) and {NULL} (pages without an origin)"
                ) from None
        return origins

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            try:
                TrustedProxies((network,))
            except ValueError as error:
                raise ValueError(
                    f"{error}; give addresses such as 10.0.0.7 or blocks such as 10.0.0.0/8"
                ) from None
        return networks

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.dev and not (is_loopback(self.host) and is_loopback(self.internal_host)):
            raise ValueError(
                f"{PREFIX}HOST: development mode listens on loopback only (is {self.host!r}); "
                f"set 127.0.0.1, or {PREFIX}DEV=false"
            )
        self.tokens.check(self.token_key_file, PREFIX)
        check_transport(PREFIX, self.tls, trust_proxy_tls=self.trust_proxy_tls, dev=self.dev)
        check_internal(self.internal_host, self.internal_key_file, PREFIX, "INTERNAL_HOST")
        return self

    @property
    def named_kafka(self) -> KafkaSettings:
        """``kafka`` under the service's own name, unless one was given."""
        return self.kafka.named(f"tidewire-gateway-{self.node}")
