"""What the code at hand makes of frames and internal records: run in two trees, its answers are compared.

``python -m harness.both_sides`` reads JSON from stdin and writes JSON: ``{"client": [frame…], "server": [frame…],
"records": {…}}`` is answered with what each is read as, and with the records that this code writes. Only what both a
release and its successor have may be named here.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidewire.kafka.records import NewRecord, Record
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.errors import ProtocolError
from tidewire.publishing.events import Origin
from tidewire.publishing.user_events import UserEvent, build_user_record, targeted
from tidewire.revocation.records import (
    Kind,
    Revocation,
    Subject,
    revocation_of,
    revocation_record,
    subject_of,
)
from tidewire.targeting.messages import Letter, inbox_record, letter_of, message_of
from tidewire_client.codec import decode
from tidewire_client.errors import MalformedFrameError
from tidewire_registry.core.sessions import Row, row_of, text_of

__all__ = ["answer", "read_by_client", "read_by_server", "read_record", "written"]

Json = dict[str, Any]
FAULT = "fault"
EPOCH = "0123456789abcdef0123456789abcdef"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def answer(asked: Mapping[str, Any]) -> Json:
    """As the module says."""
    return {
        "client": [read_by_server(frame) for frame in asked["client"]],
        "server": [read_by_client(frame) for frame in asked["server"]],
        "records": {name: read_record(name, told) for name, told in asked["records"].items()},
        "written": written(),
    }


def read_by_server(frame: str) -> list[Any]:
    """The messages of a client's frame, or the code of the error that answers each."""
    try:
        decoded: Sequence[Any] = decode_frame(frame)
    except ProtocolError as fault:
        decoded = [fault]
    return [
        str(message.code.value)
        if isinstance(message, ProtocolError)
        else {"read_as": type(message).__name__, **_plain(message)}
        for message in decoded
    ]


def read_by_client(frame: str) -> list[Any] | str:
    """The messages of a server's frame; ``fault`` where the client would drop the connection."""
    try:
        return [
            {"read_as": type(received.message).__name__, **_plain(received)}
            for received in decode(frame)
        ]
    except MalformedFrameError:
        return FAULT


def written() -> Json:
    """Records as this code writes them, by what they are."""
    origin = Origin("/both", "o-1", "2026-11-29T00:00:00+00:00")
    event = UserEvent("ann", {"gate": "B7"}, ttl=60, collapse_key="gate", id="m1")
    letter = Letter(
        user="ann",
        id="m1",
        data=b'{"gate":"B7"}',
        ts_ms=1_700_000_000_000,
        expires_at_ms=1_700_000_060_000,
        partition=2,
        offset=41,
        prev=39,
        collapse_key="gate",
        traceparent=TRACE,
    )
    fleeting = Letter("bob", "m2", b"1", 1_700_000_000_000, 1_700_000_000_500, 0, 7, None, False)
    revocation = Revocation(issued_before=1_700_000_000.5, until=1_700_003_600.0, reason="lost")
    return {
        "message": _shown(build_user_record(event, targeted("to-users", 12), origin)),
        "letter": _shown(inbox_record(letter, "inbox", 3, EPOCH)),
        "fleeting letter": _shown(inbox_record(fleeting, "inbox", 3, EPOCH)),
        "revocation": _shown(revocation_record("revoked", Subject(Kind.USER, "ann"), revocation)),
        "session": text_of(Row(EPOCH, 1_700_000_000_000, "kiosk 4")),
    }


def read_record(name: str, told: Any) -> Any:
    """What one of `written` says to this code."""
    return _plain(_READERS[name.rpartition(" ")[2]](told))


def _message(told: Json) -> object:
    return message_of(_record(told), partitions=12)


def _letter(told: Json) -> object:
    return letter_of(_record(told))


def _revocation(told: Json) -> object:
    record = _record(told)
    subject = subject_of(record.key)
    return subject.kind, subject.name, revocation_of(subject, record.value or b"")


_READERS: Mapping[str, Callable[[Any], object]] = {
    "message": _message,
    "letter": _letter,
    "revocation": _revocation,
    "session": row_of,
}


def _shown(record: NewRecord) -> Json:
    return {
        "partition": record.partition,
        "key": None if record.key is None else record.key.decode(),
        "value": None if record.value is None else record.value.decode(),
        "headers": [[name, value.decode()] for name, value in record.headers],
    }


def _record(told: Json) -> Record:
    headers = [(name, value.encode()) for name, value in told["headers"]]
    key, value = told["key"].encode(), told["value"].encode()
    return Record("topic", told["partition"], 41, 1_700_000_000_000, key, value, headers)


def _plain(value: Any) -> Any:
    """What JSON can hold of it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return _plain(named)
    if hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.stdout.write(json.dumps(answer(json.load(sys.stdin))))
