"""All revocations that the topic holds now, read once."""

from collections.abc import Mapping

from ..kafka.ports import RecordReader
from ..kafka.records import TopicPartition
from .errors import BadRevocationError
from .records import PARTITION, Revocation, Subject, revocation_of, subject_of

__all__ = ["read_revocations"]

_MAX_RECORDS = 1000
_MAX_WAIT = 0.5


async def read_revocations(reader: RecordReader, topic: str) -> Mapping[Subject, Revocation]:
    """In the order in which they were told last; what is no revocation is left out.

    ``reader`` is started. Raises its errors.
    """
    where = TopicPartition(topic, PARTITION)
    bounds = (await reader.bounds([where]))[where]
    await reader.assign({where: bounds.start})
    found: dict[Subject, Revocation] = {}
    reached = bounds.start
    while reached < bounds.end:
        fetched = await reader.fetch(max_records=_MAX_RECORDS, max_wait=_MAX_WAIT)
        for record in fetched.records:
            _take(found, record.key, record.value)
        reached = fetched.next_offsets.get(where, reached)
    return found


def _take(found: dict[Subject, Revocation], key: bytes | None, value: bytes | None) -> None:
    try:
        subject = subject_of(key)
        revocation = None if value is None else revocation_of(subject, value)
    except BadRevocationError:
        return
    found.pop(subject, None)
    if revocation is not None:
        found[subject] = revocation
