"""Hand records to a writer faster than the broker takes them."""

from tidewire.kafka.confluent_clients import ConfluentWriter
from tidewire.kafka.errors import BufferFullError
from tidewire.kafka.records import NewRecord

__all__ = ["offer"]


def offer(writer: ConfluentWriter, record: NewRecord) -> None:
    """Wait while the writer's buffer is full."""
    while True:
        try:
            writer.offer(record)
        except BufferFullError:
            writer.flush(1.0)
        else:
            return
