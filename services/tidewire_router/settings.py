"""The router's settings: ``TIDEWIRE_ROUTER__…``."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import check_internal
from tidewire.config.settings import ServiceSettings
from tidewire.kafka.groups import GroupMembership
from tidewire.kafka.settings import KafkaSettings
from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.topics import DEAD_LETTERS, INBOX, TARGETED

from .core.waiting import WaitingLimits

__all__ = ["PREFIX", "RouterSettings"]

PREFIX = "TIDEWIRE_ROUTER__"


class RouterSettings(ServiceSettings):
    """Documented, with defaults and units, in docs/configuration.md. Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    kafka: KafkaSettings = KafkaSettings()
    redis_url: str = Field(default="redis://127.0.0.1:6379", min_length=1)
    registry_url: str = Field(default="http://127.0.0.1:8082", pattern=r"^https?://")
    targeted_topic: str = Field(default=TARGETED, min_length=1, max_length=249)
    inbox_topic: str = Field(default=INBOX, min_length=1, max_length=249)
    dlq_topic: str = Field(default=DEAD_LETTERS, min_length=1, max_length=249)
    epoch: str = Field(default="0", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    group_id: str = Field(default="tidewire-router", min_length=1, max_length=200)
    instance_id: str | None = Field(default=None, min_length=1, max_length=200)
    session_timeout: float = Field(default=10.0, ge=1, le=300)
    mailbox_length: int = Field(default=1000, ge=1, le=1_000_000)
    mailbox_ttl: float = Field(default=86_400.0, ge=1, le=365 * 86_400)
    mailbox_replicas: int = Field(default=0, ge=0, le=10)
    lookup_ttl: float = Field(default=5.0, gt=0, le=60)
    lookup_cache_users: int = Field(default=100_000, ge=1)
    max_waiting: int = Field(default=10_000, ge=1)
    max_waiting_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    batch_records: int = Field(default=500, ge=1, le=10_000)
    commit_interval: float = Field(default=0.2, gt=0, le=30)
    revoke_timeout: float = Field(default=3.0, gt=0, le=10)
    watch_interval: float = Field(default=5.0, gt=0, le=300)
    trace_limit: int = Field(default=100, ge=1)
    internal_host: str = Field(default="127.0.0.1", min_length=1)
    internal_port: int = Field(default=8083, ge=0, le=65535)
    internal_key_file: Path | None = None
    ready_json: bool = False
    console: bool = False
    dev: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        check_internal(self.internal_host, self.internal_key_file, PREFIX, "INTERNAL_HOST")
        return self

    @property
    def named_kafka(self) -> KafkaSettings:
        """``kafka`` under the service's own name, unless one was given."""
        return self.kafka.named("tidewire-router")

    @property
    def ttl_ms(self) -> int:
        """How long a mailbox keeps a message that says nothing else."""
        return round(self.mailbox_ttl * 1000)

    @property
    def mailbox_limits(self) -> MailboxLimits:
        return MailboxLimits(length=self.mailbox_length, ttl_ms=self.ttl_ms)

    @property
    def waiting_limits(self) -> WaitingLimits:
        return WaitingLimits(self.max_waiting, self.max_waiting_bytes)

    @property
    def membership(self) -> GroupMembership:
        return GroupMembership(
            self.group_id, self.instance_id, session_timeout=self.session_timeout
        )
