"""The publisher's settings: ``TIDEWIRE_PUBLISHER__…``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import is_loopback
from tidewire.config.settings import ServiceSettings
from tidewire.config.transport import TlsSettings, check_transport
from tidewire.config.urls import is_http_url
from tidewire.identity.settings import TokenSettings
from tidewire.kafka.settings import KafkaSettings
from tidewire.publishing import TARGETED_TOPIC
from tidewire.revocation.records import REVOCATIONS

__all__ = ["PREFIX", "PublisherSettings"]

PREFIX = "TIDEWIRE_PUBLISHER__"


class PublisherSettings(ServiceSettings):
    """Documented, with defaults and units, in docs/configuration.md."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    streams: Path
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8081, ge=0, le=65535)
    tls: TlsSettings = TlsSettings()
    trust_proxy_tls: bool = False
    kafka: KafkaSettings = KafkaSettings()
    targeted_topic: str = Field(
        default=TARGETED_TOPIC, max_length=249, pattern=r"^[A-Za-z0-9._-]+$"
    )
    registry_url: str | None = None
    token_key_file: Path | None = None
    tokens: TokenSettings = TokenSettings()
    internal_key_file: Path | None = None
    revocations_topic: str = Field(
        default=REVOCATIONS, max_length=249, pattern=r"^[A-Za-z0-9._-]+$"
    )
    topic_poll_interval: float = Field(default=10.0, gt=0, le=86_400)
    dev: bool = False
    ready_json: bool = False
    console: bool = False
    instance: str | None = Field(default=None, min_length=1, max_length=200)
    max_event_bytes: int = Field(default=128 * 1024, ge=1)
    max_body_bytes: int = Field(default=4 * 1024 * 1024, ge=1)
    max_batch_events: int = Field(default=1000, ge=1, le=100_000)
    max_pending_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    body_timeout: float = Field(default=30.0, gt=0)
    publish_timeout: float = Field(default=10.0, gt=0)
    push_timeout: float = Field(default=2.0, gt=0, le=60)
    shutdown_timeout: float = Field(default=8.0, gt=0)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

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
        if self.max_pending_bytes < self.max_body_bytes:
            raise ValueError(
                f"{PREFIX}MAX_PENDING_BYTES: must be at least {PREFIX}MAX_BODY_BYTES "
                f"({self.max_body_bytes}), or no request of that size is ever taken"
            )
        if self.registry_url is not None and not is_http_url(self.registry_url):
            raise ValueError(
                f"{PREFIX}REGISTRY_URL: must be an http or https URL, such as http://127.0.0.1:8082 "
                f"(is {self.registry_url!r})"
            )
        return self

    @property
    def named_kafka(self) -> KafkaSettings:
        """``kafka`` under the service's own name, unless one was given."""
        return self.kafka.named("tidewire-publisher")
