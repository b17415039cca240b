"""How to reach Kafka and how much to wait and to hold: one model, mapped to each client's own names."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..units import BYTES, COUNT, SECONDS
from .security import KafkaSecurity

__all__ = ["MAX_RECORD_BYTES", "KafkaSettings"]

MAX_RECORD_BYTES = 1024 * 1024
_Seconds = Annotated[float, Field(gt=0, le=3600, json_schema_extra=SECONDS)]


class KafkaSettings(BaseModel):
    """One cluster, as seen by every reader, writer and admin of a process. Durations in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    bootstrap: str = Field(
        default="127.0.0.1:9092",
        pattern=r"^[^\s,]+:\d{1,5}(,[^\s,]+:\d{1,5})*$",
        description="brokers to ask first, `HOST:PORT,…`",
    )
    security: KafkaSecurity = Field(
        default=KafkaSecurity(), description="TLS and passwords; without it, plain text"
    )
    client_id: str = Field(
        default="tidewire",
        min_length=1,
        max_length=200,
        description="name in the broker's logs; services go by their own unless one is given",
    )
    connect_timeout: _Seconds = Field(
        default=10.0, description="how long a start waits for the first answer of a broker"
    )
    request_timeout: _Seconds = Field(
        default=10.0, description="how long one question to a broker may take"
    )
    delivery_timeout: _Seconds = Field(
        default=30.0,
        description="how long a record may wait for its acknowledgement, retries included",
    )
    silence_timeout: _Seconds = Field(
        default=3.0,
        description="a reader that hears nothing for so long checks that a broker is there",
    )
    max_record_bytes: int = Field(
        default=MAX_RECORD_BYTES,
        ge=1024,
        le=64 * 1024 * 1024,
        description="largest record that a writer takes; the topic's `max.message.bytes` must allow it",
        json_schema_extra=BYTES,
    )
    buffer_records: int = Field(
        default=100_000,
        ge=1,
        description="records that a synchronous writer (the publishing library's) holds unacknowledged",
        json_schema_extra=COUNT,
    )
    buffer_bytes: int = Field(
        default=64 * 1024 * 1024,
        ge=1024 * 1024,
        description="likewise, by their size",
        json_schema_extra=BYTES,
    )
    linger: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="how long a synchronous writer waits to fill a batch",
        json_schema_extra=SECONDS,
    )
    fetch_wait: float = Field(
        default=0.1,
        gt=0,
        le=5,
        description="long poll of a reader; a change of its assignment may wait this long for the first records",
        json_schema_extra=SECONDS,
    )
    fetch_pause: float = Field(
        default=0.0,
        ge=0,
        le=5,
        description="rest of a reader at the end of all its partitions, for a broker without long polls; `0`: none",
        json_schema_extra=SECONDS,
    )
    fetch_gather: float = Field(
        default=0.005,
        ge=0,
        le=1,
        description="least time that the gateway's reader, having just handed over all there was, lets others gather. A "
        "busy topic costs a third less at 2,000 records a second and its events come some 2.5 ms later; the first event "
        "after a rest is heard at once. Where all clients of the topics heard in the last quarter of a second have an "
        "interval, records gather for a tenth of the shortest, at most 25 ms, whatever is set here",
        json_schema_extra=SECONDS,
    )
    fetch_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=1024 * 1024,
        description="most that one answer to a reader carries",
        json_schema_extra=BYTES,
    )
    partition_fetch_bytes: int = Field(
        default=MAX_RECORD_BYTES,
        ge=1024,
        description="most of one partition that an answer carries",
        json_schema_extra=BYTES,
    )

    @classmethod
    def at(cls, bootstrap: "str | KafkaSettings") -> "KafkaSettings":
        """Settings for brokers given by address alone; settings are taken as they are."""
        return bootstrap if isinstance(bootstrap, KafkaSettings) else cls(bootstrap=bootstrap)

    def named(self, client_id: str) -> "KafkaSettings":
        """These settings under a name of their own in the broker's logs, unless one was given."""
        if "client_id" in self.model_fields_set:
            return self
        return self.model_copy(update={"client_id": client_id})

    def aiokafka_common(self) -> dict[str, Any]:
        """Keyword arguments that say where aiokafka finds the brokers, and how long it asks."""
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "client_id": self.client_id,
            "request_timeout_ms": _ms(self.request_timeout),
            "retry_backoff_ms": 100,
            **self.security.aiokafka(),
        }

    def aiokafka_producer(self) -> dict[str, Any]:
        return self.aiokafka_common() | {
            "acks": "all",
            "enable_idempotence": True,
            "max_request_size": self.max_record_bytes,
            # One batch per partition and request; small ones make writers that do not wait slow.
            "max_batch_size": min(256 * 1024, self.max_record_bytes),
        }

    def librdkafka_common(self) -> dict[str, Any]:
        """Properties that every librdkafka handle shares."""
        return {
            "bootstrap.servers": self.bootstrap,
            "client.id": self.client_id,
            "socket.timeout.ms": _ms(self.request_timeout),
            "socket.connection.setup.timeout.ms": _ms(max(1.0, self.request_timeout)),
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "topic.metadata.refresh.interval.ms": 60_000,
            "log.connection.close": False,
            **self.security.librdkafka(),
        }

    def librdkafka_producer(self) -> dict[str, Any]:
        return self.librdkafka_common() | {
            "enable.idempotence": True,
            "acks": "all",
            "message.timeout.ms": _ms(self.delivery_timeout),
            "message.max.bytes": self.max_record_bytes,
            "queue.buffering.max.messages": self.buffer_records,
            "queue.buffering.max.kbytes": self.buffer_bytes // 1024,
            "linger.ms": self.linger * 1000,
            # The in-memory sum of a batch may exceed one record by far; the broker bounds a batch, not a request.
            "batch.size": min(256 * 1024, self.max_record_bytes),
        }

    def librdkafka_consumer(self) -> dict[str, Any]:
        return self.librdkafka_common() | {
            # librdkafka wants a name even where no group is joined and nothing is committed.
            "group.id": f"{self.client_id}-unused",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "allow.auto.create.topics": False,
            "check.crcs": True,
            "fetch.wait.max.ms": _ms(self.fetch_wait),
            "fetch.max.bytes": self.fetch_bytes,
            # The embedded broker heeds no limit and answers with a whole log; librdkafka would drop the
            # connection and ask again, for ever.
            "receive.message.max.bytes": 2_000_000_000,
            "max.partition.fetch.bytes": self.partition_fetch_bytes,
            "queued.max.messages.kbytes": self.fetch_bytes // 1024,
            # While so many wait to be taken librdkafka asks for no more: where they gather it asks seldom, for all that
            # came meanwhile. So few that a topic worth it reaches them; so many that a reader in a hurry, whose
            # next records would come later for it, does not.
            "queued.min.messages": 32,
            # How long it then does not ask; its default of a second halves a backlog's rate.
            "fetch.queue.backoff.ms": 5,
        }


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
