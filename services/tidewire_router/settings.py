"""The router's settings: ``TIDEWIRE_ROUTER__…``."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from tidewire.config.listening import check_internal
from tidewire.config.refusals import refuse
from tidewire.config.settings import LogLevel, ServiceSettings
from tidewire.kafka.groups import GroupMembership
from tidewire.kafka.settings import KafkaSettings
from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.topics import DEAD_LETTERS, INBOX, TARGETED
from tidewire.units import BYTES, COUNT, PER_SECOND, PORT, SECONDS

from .core.waiting import WaitingLimits

__all__ = ["PREFIX", "RouterSettings"]

PREFIX = "TIDEWIRE_ROUTER__"


class RouterSettings(ServiceSettings):
    """docs/settings.md is made of them. Durations in seconds."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    kafka: KafkaSettings = Field(default=KafkaSettings(), description="how Kafka is reached")
    redis_url: str = Field(
        default="redis://127.0.0.1:6379",
        min_length=1,
        description="where the mailboxes are: `redis://`, `rediss://` (TLS), `unix://`, or "
        "`redis+sentinel://host:port,host:port/service`",
    )
    registry_url: str = Field(
        default="http://127.0.0.1:8082",
        pattern=r"^https?://",
        description="where the registry answers",
    )
    targeted_topic: str = Field(
        default=TARGETED, min_length=1, max_length=249, description="what is read"
    )
    inbox_topic: str = Field(
        default=INBOX, min_length=1, max_length=249, description="where letters go"
    )
    dlq_topic: str = Field(
        default=DEAD_LETTERS,
        min_length=1,
        max_length=249,
        description="where goes what cannot be routed",
    )
    epoch: str = Field(
        default="0",
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="the topic's epoch where the broker has no topic ids",
    )
    group_id: str = Field(
        default="tidewire-router",
        min_length=1,
        max_length=200,
        description="consumer group of all routers",
    )
    instance_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="this router's name in the group, kept over a restart: its partitions then wait for it for "
        "`SESSION_TIMEOUT`",
    )
    session_timeout: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="until the partitions of a router that is gone go to others",
        json_schema_extra=SECONDS,
    )
    mailbox_length: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="messages kept for a user",
        json_schema_extra=COUNT,
    )
    mailbox_ttl: float = Field(
        default=86_400.0,
        ge=1,
        le=365 * 86_400,
        description="the longest that any message is kept",
        json_schema_extra=SECONDS,
    )
    mailbox_replicas: int = Field(
        default=0,
        ge=0,
        le=10,
        description="replicas of Redis that must have a message before it counts as kept; while fewer have it nothing is routed and the lag grows. `0` waits for none: what the primary alone had is lost with it",
        json_schema_extra=COUNT,
    )
    lookup_ttl: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="how long it is remembered where a user is",
        json_schema_extra=SECONDS,
    )
    lookup_cache_users: int = Field(
        default=100_000,
        ge=1,
        description="users of whom it is remembered where they are",
        json_schema_extra=COUNT,
    )
    max_waiting: int = Field(
        default=10_000,
        ge=1,
        description="messages that wait for the registry; beyond it their partitions pause",
        json_schema_extra=COUNT,
    )
    max_waiting_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024 * 1024,
        description="likewise, by their size",
        json_schema_extra=BYTES,
    )
    batch_records: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="records read at once",
        json_schema_extra=COUNT,
    )
    commit_interval: float = Field(
        default=0.2, gt=0, le=30, description="between two commits", json_schema_extra=SECONDS
    )
    revoke_timeout: float = Field(
        default=3.0,
        gt=0,
        le=10,
        description="to finish what is under way before partitions go to another router",
        json_schema_extra=SECONDS,
    )
    watch_interval: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="between two looks at topics and lag",
        json_schema_extra=SECONDS,
    )
    trace_limit: int = Field(
        default=100,
        ge=1,
        description="sampled messages that are followed; further ones count as not sampled",
        json_schema_extra=PER_SECOND,
    )
    internal_host: str = Field(
        default="127.0.0.1", min_length=1, description="address of the internal port"
    )
    internal_port: int = Field(
        default=8083,
        ge=0,
        le=65535,
        description="internal port: `/healthz`, `/startupz`, `/readyz`, `/metrics`; `0` takes a free one",
        json_schema_extra=PORT,
    )
    internal_key_file: Path | None = Field(
        default=None,
        description="the internal key that the registry is shown. Required where `INTERNAL_HOST` is not loopback",
    )
    ready_json: bool = Field(
        default=False,
        description='print `{"event":"ready","internal":"http://…","pid":…}` on stdout once it routes',
    )
    console: bool = Field(
        default=False,
        description="tell the console how the process is, as `INSTANCE_ID`, or else as host and process",
    )
    dev: bool = Field(default=False, description="development mode: logs for people")
    log_level: LogLevel = Field(default="INFO", description="least weight of a line that is logged")

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        check_internal(self.internal_host, self.internal_key_file, PREFIX, "INTERNAL_HOST")
        refuse(PREFIX, self)
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
