"""The publisher's settings: ``TIDEWIRE_PUBLISHER__…``."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import is_loopback
from tidewire.config.redaction import redact
from tidewire.config.refusals import refuse
from tidewire.config.settings import LogLevel, ServiceSettings
from tidewire.config.transport import TlsSettings, check_transport
from tidewire.config.urls import is_http_url
from tidewire.identity.settings import TokenSettings
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import TARGETED_TOPIC
from tidewire.revocation.records import REVOCATIONS
from tidewire.units import BYTES, COUNT, PORT, SECONDS

__all__ = ["PREFIX", "PublisherSettings"]

PREFIX = "TIDEWIRE_PUBLISHER__"


class PublisherSettings(ServiceSettings):
    """docs/settings.md is made of them. Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    streams: Path = Field(description="path of streams.yaml")
    host: str = Field(default="127.0.0.1", min_length=1, description="where to listen")
    port: int = Field(
        default=8081,
        ge=0,
        le=65535,
        description="port to listen on; `0` takes a free one",
        json_schema_extra=PORT,
    )
    tls: TlsSettings = Field(default=TlsSettings(), description="TLS of the port")
    trust_proxy_tls: bool = Field(
        default=False,
        description="plain text is served, since a proxy in front speaks TLS to the clients",
    )
    kafka: KafkaSettings = Field(default=KafkaSettings(), description="how Kafka is reached")
    targeted_topic: str = Field(
        default=TARGETED_TOPIC,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="topic of the events to users; routers read it",
    )
    registry_url: str | None = Field(
        default=None,
        description="where the registry answers, for pushes (`POST /v1/push`), which are refused without it",
    )
    token_key_file: Path | None = Field(
        default=None,
        description="HS256 key (hex text) that tokens are verified with. This or keys under `TOKENS__` are required "
        "outside development mode",
    )
    tokens: TokenSettings = Field(
        default=TokenSettings(), description="tokens of an identity provider"
    )
    internal_key_file: Path | None = Field(
        default=None, description="the internal key that registry and nodes are shown"
    )
    revocations_topic: str = Field(
        default=REVOCATIONS,
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="topic that tells which tokens are revoked",
    )
    topic_poll_interval: float = Field(
        default=10.0,
        gt=0,
        le=86_400,
        description="between two looks for that topic where it is missing",
        json_schema_extra=SECONDS,
    )
    dev: bool = Field(
        default=False,
        description="development mode: loopback only, requests without a token are accepted, an unknown stream's answer "
        "lists the known ones",
    )
    ready_json: bool = Field(
        default=False,
        description='print `{"event":"ready","http":"http://…","pid":…}` on stdout once requests are answered',
    )
    console: bool = Field(default=False, description="tell the console how the process is")
    instance: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="its name in the console, kept over a restart; by default host and process",
    )
    max_event_bytes: int = Field(
        default=128 * 1024,
        ge=1,
        description="largest `data` of one event",
        json_schema_extra=BYTES,
    )
    max_body_bytes: int = Field(
        default=4 * 1024 * 1024,
        ge=1,
        description="largest request body",
        json_schema_extra=BYTES,
    )
    max_batch_events: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="events in one request",
        json_schema_extra=COUNT,
    )
    max_pending_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1,
        description="requests in work; beyond it requests are answered 503 with `Retry-After`",
        json_schema_extra=BYTES,
    )
    body_timeout: float = Field(
        default=30.0, gt=0, description="for a request's body to arrive", json_schema_extra=SECONDS
    )
    publish_timeout: float = Field(
        default=10.0,
        gt=0,
        description="for the broker to acknowledge a request's events",
        json_schema_extra=SECONDS,
    )
    push_timeout: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="for the registry to tell where a user is, and as long for the nodes to answer a push",
        json_schema_extra=SECONDS,
    )
    shutdown_timeout: float = Field(
        default=8.0,
        gt=0,
        description="for requests in work to end once the process was told to stop",
        json_schema_extra=SECONDS,
    )
    log_level: LogLevel = Field(default="INFO", description="least weight of a line that is logged")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.dev and not is_loopback(self.host):
            raise ValueError(
                f"{PREFIX}HOST: development mode accepts requests without a token, so it listens on "
                f"loopback only (is {self.host!r}); set 127.0.0.1, or {PREFIX}DEV=false"
            )
        self.tokens.check(self.token_key_file, PREFIX)
        if not (self.dev or self.tokens.has_keys or self.token_key_file):
            raise ValueError(
                f"{PREFIX}TOKEN_KEY_FILE: is not set; name the key that tokens are verified with, "
                f"or those of an identity provider with {PREFIX}TOKENS__…, or set {PREFIX}DEV=true for development on this machine"
            )
        check_transport(PREFIX, self.tls, trust_proxy_tls=self.trust_proxy_tls, dev=self.dev)
        refuse(PREFIX, self)
        if self.registry_url is not None and not is_http_url(self.registry_url):
            raise ValueError(
                f"{PREFIX}REGISTRY_URL: must be an http or https URL, such as http://127.0.0.1:8082 "
                f"(is {redact('registry_url', self.registry_url)!r})"
            )
        return self

    @property
    def named_kafka(self) -> KafkaSettings:
        """``kafka`` under the service's own name, unless one was given."""
        return self.kafka.named("tidewire-publisher")
