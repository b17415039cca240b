"""Revocations as records of their topic (pure): the key says of what, the value since when."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import orjson

from ..kafka.records import NewRecord
from .errors import BadRevocationError

__all__ = [
    "MAX_NAME_BYTES",
    "PARTITION",
    "REVOCATIONS",
    "Kind",
    "Revocation",
    "Subject",
    "revocation_of",
    "revocation_record",
    "subject_of",
]

REVOCATIONS: Final = "tidewire.revocations"
"""The topic where nobody says otherwise."""
PARTITION: Final = 0
"""The only one: everybody reads all revocations, in their order."""
MAX_NAME_BYTES: Final = 1024
_MAX_VALUE_BYTES: Final = 16 * 1024


class Kind(StrEnum):
    """By what a token is named: its own id (claim ``jti``), or whom it speaks for (claim ``sub``)."""

    TOKEN = "token"  # noqa: S105 - a word of the protocol, no secret
    USER = "user"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is revoked. Raises `BadRevocationError` for a name that no claim and no key can hold."""

    kind: Kind
    name: str

    def __post_init__(self) -> None:
        try:
            size = len(self.name.encode())
        except UnicodeEncodeError:
            raise BadRevocationError(
                f"the {self.kind}'s name holds half of a surrogate pair, which is no text"
            ) from None
        if not 0 < size <= MAX_NAME_BYTES:
            raise BadRevocationError(
                f"the {self.kind}'s name has {size} bytes, 1 to {MAX_NAME_BYTES} are possible"
            )

    @property
    def key(self) -> bytes:
        return f"{self.kind}/{self.name}".encode()


@dataclass(frozen=True, slots=True)
class Revocation:
    """Times are Unix seconds.

    It concerns tokens issued before ``issued_before``, and those that do not say when they were; None: whenever that was.
    From ``until`` on none of them is good any more in any case; None: nobody knows when that will be.
    """

    issued_before: float | None = None
    until: float | None = None
    reason: str | None = None


def revocation_record(topic: str, subject: Subject, revocation: Revocation | None) -> NewRecord:
    """What says so in the topic; None lifts what was revoked before."""
    return NewRecord(
        topic, PARTITION, subject.key, None if revocation is None else _value_of(revocation)
    )


def subject_of(key: bytes | None) -> Subject:
    """Raises `BadRevocationError`."""
    try:
        kind, slash, name = (key or b"").decode().partition("/")
    except UnicodeDecodeError:
        raise BadRevocationError("its key is not UTF-8") from None
    if not slash or kind not in set(Kind):
        raise BadRevocationError("its key is neither token/<id> nor user/<user>")
    return Subject(Kind(kind), name)


def revocation_of(subject: Subject, value: bytes) -> Revocation:
    """Fields that this version does not know are ignored. Raises `BadRevocationError`."""
    if len(value) > _MAX_VALUE_BYTES:
        raise BadRevocationError(f"its value is longer than {_MAX_VALUE_BYTES} bytes")
    try:
        document = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise BadRevocationError("its value is not JSON") from None
    if not isinstance(document, dict):
        raise BadRevocationError("its value is no JSON object")
    issued_before = _seconds(document, "issued_before")
    if issued_before is None and subject.kind is Kind.USER:
        raise BadRevocationError(
            "a user's tokens are revoked up to a time: issued_before is missing"
        )
    reason = document.get("reason")
    return Revocation(
        issued_before, _seconds(document, "until"), reason if isinstance(reason, str) else None
    )


def _value_of(revocation: Revocation) -> bytes:
    told = {
        "issued_before": revocation.issued_before,
        "until": revocation.until,
        "reason": revocation.reason,
    }
    return orjson.dumps({name: value for name, value in told.items() if value is not None})


def _seconds(document: Mapping[str, Any], field: str) -> float | None:
    value = document.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadRevocationError(f"{field} must be Unix seconds")
    return float(value)
