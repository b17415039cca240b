"""What a gateway node is told from outside, under ``TIDEWIRE_GATEWAY__``."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import check_internal, is_loopback
from tidewire.config.lists import COMMAS
from tidewire.config.refusals import refuse
from tidewire.config.settings import LogLevel, ServiceSettings
from tidewire.config.transport import TlsSettings, check_transport
from tidewire.identity.settings import TokenSettings
from tidewire.kafka.settings import KafkaSettings
from tidewire.revocation.records import REVOCATIONS
from tidewire.targeting.topics import INBOX, TARGETED
from tidewire.units import BYTES, PER_SECOND, PORT, SECONDS

from .core.client_address import TrustedProxies
from .core.origins import ANY, NULL, SAME_ORIGIN, Origins
from .limit_settings import LimitSettings

__all__ = ["PREFIX", "GatewaySettings", "LimitSettings", "TargetedSettings"]

PREFIX = "TIDEWIRE_GATEWAY__"

_Seconds = Annotated[float, Field(gt=0, le=86_400, json_schema_extra=SECONDS)]
_Port = Annotated[int, Field(ge=0, le=65_535, json_schema_extra=PORT)]


class TargetedSettings(BaseModel):
    """Messages to users (`@me`); without ``registry_url`` and ``redis_url`` the node has none. Durations in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    registry_url: str | None = Field(
        default=None, pattern=r"^https?://", description="where the registry answers"
    )
    redis_url: str | None = Field(
        default=None,
        description="where the mailboxes are: `redis://`, `rediss://` (TLS), `unix://`, or "
        "`redis+sentinel://host:port,host:port/service`",
    )
    topic: str = Field(default=TARGETED, description="what is published to users")
    inbox_topic: str = Field(
        default=INBOX, description="what routers send to nodes; one partition per node"
    )
    epoch: str = Field(
        default="0",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="the topic's epoch where the broker has no topic ids; also that of the system's own streams",
    )
    lookup_ttl: _Seconds = Field(
        default=5.0, description="how long routers remember where a user is: theirs, or longer"
    )
    address: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="URL under which registry and publisher reach the internal port; by default as it listens",
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

    streams: Path = Field(description="path of streams.yaml")
    node: str = Field(
        default="node-1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="the node's name, told to clients",
    )
    host: str = Field(
        default="127.0.0.1", description="address of the public port (WebSocket and HTTP)"
    )
    port: _Port = Field(default=8080, description="public port; `0` takes a free one")
    tls: TlsSettings = Field(default=TlsSettings(), description="TLS of the public port")
    trust_proxy_tls: bool = Field(
        default=False,
        description="plain text is served, since a proxy in front speaks TLS to the clients",
    )
    internal_host: str = Field(default="127.0.0.1", description="address of the internal port")
    internal_port: _Port = Field(
        default=0,
        description="internal port: `/healthz`, `/startupz`, `/readyz`, `/metrics`, `/internal/drain`; with `CONSOLE` "
        "more. `0` takes a free one",
    )
    internal_key_file: Path | None = Field(
        default=None,
        description="the internal key that the internal port asks for, and that the registry is shown. Required where "
        "`INTERNAL_HOST` is not loopback",
    )
    kafka: KafkaSettings = Field(default=KafkaSettings(), description="how Kafka is reached")
    token_key_file: Path | None = Field(
        default=None,
        description="HS256 key (hex text) that tokens are verified with; without it, and without keys under `TOKENS__`, "
        "only `public` streams can be had",
    )
    tokens: TokenSettings = Field(
        default=TokenSettings(), description="tokens of an identity provider"
    )
    revocations_topic: str = Field(
        default=REVOCATIONS,
        pattern=r"^[A-Za-z0-9._-]{1,249}$",
        description="topic that tells which tokens are revoked",
    )
    origins: Annotated[tuple[str, ...], *COMMAS] = Field(
        default=(SAME_ORIGIN,),
        description="origins whose pages may connect and read channels, each exactly as browsers name it: "
        "`https://app.example.org`, with its port where that is not the scheme's own. Words: `same-origin`, pages of the "
        "host and port that are asked (`Host`); `*`, every page; `null`, pages without an origin, such as files, which "
        "any site can imitate. Whoever names no `Origin`, as programs do, is not asked. Any other is refused with 403",
    )
    trusted_proxies: Annotated[tuple[str, ...], *COMMAS] = Field(
        default=(),
        description="addresses and CIDR blocks of the proxies in front, as in `10.0.0.0/8`. `X-Forwarded-For` is "
        "believed as far as these wrote it, to tell clients apart whose limits are by address; from anybody else it is "
        "ignored, and so is `Forwarded` always",
    )
    static: dict[str, Path] = Field(
        default_factory=dict,
        description="URL prefix → folder of files to serve; browsers are told to ask before each use whether they have "
        "changed (`Cache-Control: no-cache`)",
    )
    dev: bool = Field(default=False, description="development mode: loopback only, logs for people")
    ready_json: bool = Field(
        default=False,
        description='print `{"event":"ready","ws":…,"http":…,"internal":…,"pid":…}` on stdout once the node serves',
    )
    log_level: LogLevel = Field(default="INFO", description="least weight of a line that is logged")
    log_window: _Seconds = Field(
        default=120.0,
        description="age of events kept in memory, from which `every` resumes exactly",
    )
    log_bytes: Annotated[int, Field(ge=1024, le=1 << 30, json_schema_extra=BYTES)] = Field(
        default=64 * 1024 * 1024, description="events kept in memory, for the whole node"
    )
    tombstone_ttl: _Seconds = Field(
        default=86_400.0,
        description="how long removals are remembered; at most `delete.retention.ms` of the topics",
    )
    topic_poll_interval: _Seconds = Field(
        default=10.0,
        description="between two looks at the topics: recreated? more partitions?",
    )
    linger: _Seconds = Field(
        default=30.0, description="a partition is read so long after its last subscription"
    )
    drain_delay: Annotated[float, Field(ge=0, le=3600, json_schema_extra=SECONDS)] = Field(
        default=10.0,
        description="from the end of readiness to the first client's `goaway`: as long as load balancers need to "
        "notice",
    )
    drain_window: _Seconds = Field(
        default=30.0,
        description="in which all clients are moved; the process ends at most 5 s after it",
    )
    trace_limit: Annotated[int, Field(ge=1, le=10_000_000, json_schema_extra=PER_SECOND)] = Field(
        default=100,
        description="sampled events that are followed; further ones count as not sampled",
    )
    console: bool = Field(
        default=False,
        description="the console on the internal port, and the node's records in the system's own streams",
    )
    console_hosts: Annotated[tuple[str, ...], *COMMAS] = Field(
        default=(),
        description="host names, without ports, that the internal port may be asked by where the console is on",
    )
    limits: LimitSettings = Field(
        default=LimitSettings(), description="what clients and the node are held to"
    )
    targeted: TargetedSettings = Field(
        default=TargetedSettings(),
        description="messages to users; without `REGISTRY_URL` and `REDIS_URL` there is no channel `@me`",
    )

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
        refuse(PREFIX, self)
        return self

    @property
    def named_kafka(self) -> KafkaSettings:
        """``kafka`` under the service's own name, unless one was given."""
        return self.kafka.named(f"tidewire-gateway-{self.node}")
