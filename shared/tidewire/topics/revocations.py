"""The topic of revoked tokens, told like a stream so that it is made and checked like one (pure)."""

from ..config.streams import Stream
from ..revocation.records import REVOCATIONS

__all__ = ["revocations_topic"]


def revocations_topic(*, replication: int = 1) -> dict[str, Stream]:
    """By a name that no stream can have. The newest word on each token and user is kept for ever."""
    return {"@revocations": Stream(topic=REVOCATIONS, table=True, replication=replication)}
