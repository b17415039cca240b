"""Records of the dead letter topic: what it was, where it stood, and why it could not be routed."""

from typing import Final

from tidewire.kafka.records import Header, NewRecord, Record, RecordPosition

from .intake import DeadLetter

__all__ = ["PARTITION", "UNDECODABLE", "dead_letter_record", "undecodable", "without_value"]

PARTITION: Final = 0
UNDECODABLE: Final = "undecodable"
_OMITTED: Final = "tidewire-dlq-value-omitted"
_NOTHING: Final = b""
"""Not every client writes a record that has neither key nor value."""


def dead_letter_record(letter: DeadLetter, topic: str) -> NewRecord:
    """Key, value and headers as they came, behind headers that say where from and why; an empty value where there is neither."""
    record = letter.record
    value = _NOTHING if record.key is None and record.value is None else record.value
    return NewRecord(topic, PARTITION, record.key, value, [*_provenance(letter), *record.headers])


def undecodable(where: RecordPosition) -> DeadLetter:
    """For a record of which nothing but its place is known."""
    record = Record(where.topic, where.partition, where.offset, 0, None, None, ())
    return DeadLetter(record, UNDECODABLE, "the record cannot be decoded: only its place is known")


def without_value(record: NewRecord) -> NewRecord:
    """A dead letter that is too large for its topic, cut to what says where it stands."""
    size = len(record.value or b"")
    own = [header for header in record.headers if header[0].startswith("tidewire-dlq-")]
    return record._replace(key=None, value=_NOTHING, headers=[*own, (_OMITTED, b"%d" % size)])


def _provenance(letter: DeadLetter) -> list[Header]:
    record = letter.record
    return [
        ("tidewire-dlq-topic", record.topic.encode()),
        ("tidewire-dlq-partition", b"%d" % record.partition),
        ("tidewire-dlq-offset", b"%d" % record.offset),
        ("tidewire-dlq-ts", b"%d" % record.timestamp_ms),
        ("tidewire-dlq-reason", letter.reason.encode()),
        ("tidewire-dlq-detail", letter.detail.encode()),
    ]
