"""The registry's settings: ``TIDEWIRE_REGISTRY__…``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import check_internal, is_loopback
from tidewire.config.settings import ServiceSettings
from tidewire.kafka.settings import KafkaSettings

from .core.leases import LeaseRules
from .core.sessions import CONNECTIONS_PER_USER

__all__ = ["MEMORY", "PREFIX", "RegistrySettings"]

PREFIX = "TIDEWIRE_REGISTRY__"
MEMORY = "memory://"
_DEFAULTS = LeaseRules()


class RegistrySettings(ServiceSettings):
    """Documented, with defaults and units, in docs/configuration.md."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=8082, ge=0, le=65535)
    internal_key_file: Path | None = None
    redis_url: str = Field(default="redis://127.0.0.1:6379/0", min_length=1)
    slots: int = Field(default=_DEFAULTS.slots, ge=1, le=10_000)
    lease: float = Field(default=_DEFAULTS.lease_ms / 1000, ge=0.1, le=600)
    freeze: float = Field(default=_DEFAULTS.freeze_ms / 1000, ge=0, le=3600)
    connections_per_user: int = Field(default=CONNECTIONS_PER_USER, ge=1, le=1000)
    store_timeout: float = Field(default=2.0, gt=0, le=5.0)
    node_timeout: float = Field(default=2.0, gt=0, le=30.0)
    shutdown_timeout: float = Field(default=5.0, gt=0)
    dev: bool = False
    ready_json: bool = False
    console: bool = False
    kafka: KafkaSettings | None = None
    instance: str | None = Field(default=None, min_length=1, max_length=200)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.dev and not is_loopback(self.host):
            raise ValueError(
                f"{PREFIX}HOST: development mode listens on loopback only (is {self.host!r}); "
                f"set 127.0.0.1, or {PREFIX}DEV=false"
            )
        check_internal(self.host, self.internal_key_file, PREFIX, "HOST")
        return self

    @property
    def console_kafka(self) -> KafkaSettings | None:
        """Where the registry tells how it is, under its own name unless one was given; None: nowhere."""
        if self.kafka is None or not self.console:
            return None
        return self.kafka.named("tidewire-registry")

    @property
    def rules(self) -> LeaseRules:
        return LeaseRules(
            lease_ms=round(self.lease * 1000),
            slots=self.slots,
            freeze_ms=round(self.freeze * 1000),
        )
