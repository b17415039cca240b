"""Everything that reads what strangers send, as functions of arbitrary bytes.

Each returns quietly, whatever it is given: it knows the errors that are documented for what it calls, and asks of every
success what those behind it rely on. Any other exception is a find.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import jwt
import orjson

from tidewire.config.errors import ConfigError
from tidewire.config.streams import Stream
from tidewire.config.streams_file import parse_streams
from tidewire.identity.errors import IdentityError
from tidewire.identity.jwks_document import UnusableDocumentError, keys_of
from tidewire.identity.tokens import Identity, TokenVerifier
from tidewire.ingest.documents import parse_batch, parse_cloudevent, parse_event
from tidewire.ingest.errors import InvalidEventsError, NotJsonError, TooManyEventsError
from tidewire.ingest.user_events import parse_push, parse_user_event
from tidewire.kafka.records import Header, NewRecord, Record
from tidewire.protocol.channels import parse_channel
from tidewire.protocol.codec import decode_frame
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_error
from tidewire.protocol.trace_context import handed_on, is_traceparent, sampled
from tidewire.publishing.errors import InvalidEventError
from tidewire.publishing.events import Destination, Event, Origin, build_record
from tidewire.revocation.errors import BadRevocationError, BadTokenTextError
from tidewire.revocation.presented import presented_token
from tidewire.revocation.records import revocation_of, revocation_record, subject_of
from tidewire.targeting.errors import BadMessageError, InvalidUserError
from tidewire.targeting.messages import Letter, inbox_record, letter_of, message_of
from tidewire.targeting.users import check_user
from tidewire_gateway.core.decoding import Decoder, Rejected, RejectReason
from tidewire_publisher.core.problems import ProblemError
from tidewire_publisher.core.requests import (
    CLOUDEVENT,
    CLOUDEVENTS,
    JSON,
    RequestLimits,
    events_of,
    user_events_of,
    user_of,
)

__all__ = ["TARGETS", "Target"]

Target = Callable[[bytes], None]

KEY: Final = b"k" * 32
_VERIFIER: Final = TokenVerifier(KEY)
_SEPARATOR: Final = b"\x1e"
"""Between the parts of an input where several are needed."""
_MAX_EVENT_BYTES: Final = 128 * 1024
_LIMITS: Final = RequestLimits(1 << 20, _MAX_EVENT_BYTES, 100)
_DESTINATION: Final = Destination("t", "tidewire.t", 4)
_ORIGIN: Final = Origin("/fuzz", "id", "2024-01-01T00:00:00Z")
_DECODERS: Final = tuple(
    Decoder(Stream(topic="t", group=group, entity=entity), _MAX_EVENT_BYTES)
    for group, entity in (("key", "key"), ("key-prefix", "header:h"), ("none", "value:f"))
)
_BAD_EVENT: Final = (
    InvalidEventError,
    InvalidEventsError,
    NotJsonError,
    TooManyEventsError,
    ProblemError,
)
_TAKEN: Final = {None, RejectReason.TOO_LARGE, RejectReason.TOO_DEEP}
"""What gateways may say of a record that the publisher has written: the last two are for clients' sake."""


def _parts(data: bytes) -> Iterator[bytes]:
    yield from data.split(_SEPARATOR)
    while True:
        yield b""


def _text(data: bytes) -> str:
    """Text as JSON may hold it: with halves of surrogate pairs, where the bytes have them."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _lenient(data: bytes) -> Any:
    """What Python's own parser takes: NaN, huge numbers, lone surrogates."""
    try:
        return json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def frames(data: bytes) -> None:
    """Each message is a typed one, or an error that can be written."""
    try:
        messages = decode_frame(data)
    except ProtocolError as fault:
        messages = [fault]
    for message in messages:
        if isinstance(message, ProtocolError):
            orjson.loads(encode_error(message))


def position(data: bytes) -> None:
    try:
        found = Position.from_wire(_lenient(data))
    except ProtocolError:
        return
    assert all(p >= 0 and 0 <= o < 1 << 63 for p, o in found.offsets.items())


def channel(data: bytes) -> None:
    name = data.decode("latin-1")
    try:
        found = parse_channel(name)
    except ProtocolError as fault:
        orjson.loads(encode_error(fault))
        return
    assert str(found) == name


def _headers(data: bytes) -> list[Header]:
    pairs = (line.partition(b":") for line in data.split(b"\n") if line)
    return [(name.decode("latin-1"), content) for name, _, content in pairs]


def record(data: bytes) -> None:
    """Key, headers and value of a record; what becomes an event is JSON that every client can parse."""
    parts = _parts(data)
    key, headers, value = next(parts), _headers(next(parts)), next(parts)
    for decoder in _DECODERS:
        found = Record("t", 0, 1, 1, key, value or None, headers)
        try:
            event = decoder.decode(found)
        except Rejected:
            continue
        assert len(event.encoded) <= _MAX_EVENT_BYTES
        orjson.loads(event.encoded)
        json.loads(event.encoded)


def message(data: bytes) -> None:
    """A record of the targeted topic, and on to an inbox and out of it."""
    parts = _parts(data)
    key, headers, value = next(parts), _headers(next(parts)), next(parts)
    found = Record("t", 0, 1, 1, key, value, headers)
    try:
        sent = message_of(found)
    except BadMessageError:
        return
    orjson.loads(sent.data)
    letter = Letter(sent.user, sent.id, sent.data, 1, 2, 0, 1, None, sent.is_kept, sent.collapse_key, sent.traceparent)  # fmt: skip
    assert letter_of(_read_back(inbox_record(letter, "inbox", 0, "e"))) == ("e", letter)


def _read_back(written: NewRecord) -> Record:
    return Record(written.topic, 0, 1, 1, written.key, written.value, written.headers)


def letter(data: bytes) -> None:
    parts = _parts(data)
    key, headers, value = next(parts), _headers(next(parts)), next(parts)
    names = ("epoch", "offset", "prev", "ts", "expires", "kept")
    named = [(f"tidewire-{name}", next(parts)) for name in names]
    for given in (headers, [*named, ("ce_id", b"1"), *headers]):
        try:
            letter_of(Record("t", 0, 1, 1, key, value, given))
        except BadMessageError:
            continue


def user(data: bytes) -> None:
    try:
        check_user(_text(data)).encode()
    except InvalidUserError as error:
        str(error).encode()


def traceparent(data: bytes) -> None:
    told = handed_on(data)
    assert (told is not None) == is_traceparent(data)
    if told is not None:
        assert handed_on(told.encode()) == told
    if sampled(data) is not None:
        assert told is not None


def token(data: bytes) -> None:
    """Whatever stands where a token should."""
    text = data.decode("latin-1")
    _verify(text)
    _verify(text + "..")
    try:
        presented_token(text)
    except BadTokenTextError as error:
        str(error).encode()


def claims(data: bytes) -> None:
    """Signed by the right key, whatever it says."""
    told = jwt.PyJWS().encode(data, KEY, algorithm="HS256")
    identity = _verify(told)
    if identity is not None:
        assert math.isfinite(identity.expires_at)
        orjson.dumps([identity.user, identity.token_id, list(identity.caps)])
    try:
        presented_token(told)
    except BadTokenTextError as error:
        str(error).encode()


def token_header(data: bytes) -> None:
    segment = jwt.utils.base64url_encode(data).decode()
    _verify(f"{segment}.e30.AAAA")


def _verify(text: str) -> Identity | None:
    try:
        return _VERIFIER.verify(text)
    except IdentityError as error:
        str(error).encode()
        return None


def key_set(data: bytes) -> None:
    try:
        keys_of(data)
    except UnusableDocumentError:
        return


def streams(data: bytes) -> None:
    try:
        parse_streams(data.decode("utf-8", "replace"), "streams.yaml")
    except ConfigError as error:
        str(error).encode()


def publisher(data: bytes) -> None:
    """What the publisher takes becomes a record that gateways can read."""
    parts = _parts(data)
    body = next(parts)
    headers = {name.lower(): content.decode("latin-1") for name, content in _headers(next(parts))}
    for media_type in (JSON, CLOUDEVENT, CLOUDEVENTS):
        for named in (headers, {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/", "ce-type": "x", "ce-subject": "k", **headers}):  # fmt: skip
            try:
                events = events_of(media_type, named, body, _LIMITS)
            except _BAD_EVENT as error:
                str(error).encode()
                continue
            for event in events:
                _published(event)


def events(data: bytes) -> None:
    for parse in (parse_event, parse_cloudevent):
        try:
            _published(parse(data))
            for event in parse_batch(data, parse, max_events=100):
                _published(event)
        except _BAD_EVENT as error:
            str(error).encode()


def _published(event: Event) -> None:
    try:
        written = build_record(event, _DESTINATION, _ORIGIN)
    except InvalidEventError as error:
        str(error).encode()
        return
    assert _reason_to_reject(written) in _TAKEN


def _reason_to_reject(written: NewRecord) -> RejectReason | None:
    try:
        _DECODERS[0].decode(_read_back(written))
    except Rejected as rejected:
        return rejected.reason
    return None


def user_events(data: bytes) -> None:
    try:
        for event in user_events_of("ann", {}, data, _LIMITS):
            assert event.user == "ann"
        parse_user_event(data, "ann")
        parse_push(data)
    except _BAD_EVENT as error:
        str(error).encode()


def user_path(data: bytes) -> None:
    try:
        user_of(b"/v1/users/" + data + b"/events").encode()
    except InvalidEventsError as error:
        str(error).encode()


def revocation(data: bytes) -> None:
    """What is read can be told again."""
    parts = _parts(data)
    for key in (next(parts), b"token/1", b"user/ann"):
        value = next(parts) or data
        try:
            subject = subject_of(key)
            found = revocation_of(subject, value)
        except BadRevocationError as error:
            str(error).encode()
            continue
        again = revocation_record("t", subject, found)
        assert again.value is not None
        assert revocation_of(subject_of(again.key), again.value) == found


TARGETS: Final[Mapping[str, Target]] = MappingProxyType(
    {
        target.__name__: target
        for target in (
            channel, claims, events, frames, key_set, letter, message, position, publisher, record, revocation,
            streams, token, token_header, traceparent, user, user_events, user_path,
        )
    }
)  # fmt: skip
