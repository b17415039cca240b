"""The registry's settings: ``TIDEWIRE_REGISTRY__…``."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import check_internal, is_loopback
from tidewire.config.settings import LogLevel, ServiceSettings
from tidewire.kafka.settings import KafkaSettings
from tidewire.units import COUNT, PORT, SECONDS

from .core.leases import LeaseRules
from .core.sessions import CONNECTIONS_PER_USER

__all__ = ["MEMORY", "PREFIX", "RegistrySettings"]

PREFIX = "TIDEWIRE_REGISTRY__"
MEMORY = "memory://"
_DEFAULTS = LeaseRules()


class RegistrySettings(ServiceSettings):
    """docs/settings.md is made of them. Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    host: str = Field(default="127.0.0.1", min_length=1, description="where to listen")
    port: int = Field(
        default=8082,
        ge=0,
        le=65535,
        description="port to listen on; `0` takes a free one",
        json_schema_extra=PORT,
    )
    internal_key_file: Path | None = Field(
        default=None,
        description="the internal key that it asks for, and that nodes are shown. Required where `HOST` is not loopback",
    )
    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        min_length=1,
        description="where nodes and sessions are written down; `memory://`: in this process only",
    )
    slots: int = Field(
        default=_DEFAULTS.slots,
        ge=1,
        le=10_000,
        description="nodes that there may be at once; the inbox topic needs as many partitions",
        json_schema_extra=COUNT,
    )
    lease: float = Field(
        default=_DEFAULTS.lease_ms / 1000,
        ge=0.1,
        le=600,
        description="how long a node may be silent; it renews its lease five times in that time",
        json_schema_extra=SECONDS,
    )
    freeze: float = Field(
        default=_DEFAULTS.freeze_ms / 1000,
        ge=0,
        le=3600,
        description="how long leases go on where suspiciously many would end at once",
        json_schema_extra=SECONDS,
    )
    connections_per_user: int = Field(
        default=CONNECTIONS_PER_USER,
        ge=1,
        le=1000,
        description="over all nodes; the oldest beyond is closed 3504",
        json_schema_extra=COUNT,
    )
    store_timeout: float = Field(
        default=2.0,
        gt=0,
        le=5.0,
        description="for an answer of Redis",
        json_schema_extra=SECONDS,
    )
    node_timeout: float = Field(
        default=2.0,
        gt=0,
        le=30.0,
        description="for an answer of a node",
        json_schema_extra=SECONDS,
    )
    shutdown_timeout: float = Field(
        default=5.0,
        gt=0,
        description="for requests in work to end once the process was told to stop",
        json_schema_extra=SECONDS,
    )
    dev: bool = Field(default=False, description="development mode: loopback only, logs for people")
    ready_json: bool = Field(
        default=False,
        description='print `{"event":"ready","http":"http://…","pid":…}` on stdout once requests are answered',
    )
    console: bool = Field(
        default=False, description="tell the console how the process is; it needs `KAFKA__…`"
    )
    kafka: KafkaSettings | None = Field(
        default=None,
        description="brokers, for the console alone; without any `KAFKA__…` it knows nothing of the registry",
    )
    instance: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="its name in the console, kept over a restart; by default host and process",
    )
    log_level: LogLevel = Field(default="INFO", description="least weight of a line that is logged")

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
