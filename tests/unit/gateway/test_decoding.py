"""Records become events, or are refused with a reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.streams import Stream
from tidewire.kafka.records import Header, Record
from tidewire_gateway.core.decoding import Decoder, Rejected, RejectReason

LIMIT = 1000


def record(
    value: bytes | None, key: bytes | None = b"JFK/B6-704", headers: tuple[Header, ...] = ()
) -> Record:
    return Record("t", 3, 1042, 1_700_000_000_000, key, value, headers)


def decoder(**stream: object) -> Decoder:
    return Decoder(Stream.model_validate({"topic": "t", **stream}), LIMIT)


def test_event_carries_the_published_bytes() -> None:
    event = decoder(group="key-prefix").decode(record(b'{ "n":1.0 }'))
    assert event.group == "JFK"
    assert event.encoded == (
        b'{"key":"JFK/B6-704","data":{ "n":1.0 },"ts":1700000000000,"offset":[3,1042]}'
    )


def test_empty_value_is_a_removal() -> None:
    event = decoder().decode(record(None))
    assert event.deleted
    assert json.loads(event.encoded)["deleted"] is True


@given(st.text())
def test_any_text_key_survives(key: str) -> None:
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return
    event = decoder().decode(record(b"1", encoded))
    assert json.loads(event.encoded)["key"] == event.entity == key


@pytest.mark.parametrize(
    ("given_record", "reason"),
    [
        (record(b"1", None), RejectReason.NO_KEY),
        (record(b"1", b"\xff"), RejectReason.BAD_KEY),
        (record(b"{"), RejectReason.NOT_JSON),
        (record(b""), RejectReason.NOT_JSON),
        (record(b'"\xff"'), RejectReason.NOT_JSON),
        (record(b"NaN"), RejectReason.NOT_JSON),
        (record(b"1e999"), RejectReason.NOT_JSON),
        (record(b"1" * 400), RejectReason.NOT_JSON),
        (record(b"01"), RejectReason.NOT_JSON),
        (record(b"[1,]"), RejectReason.NOT_JSON),
        (record(b"1 2"), RejectReason.NOT_JSON),
        (record(b'"\\ud800"'), RejectReason.NOT_JSON),
        (record(b'"\xed\xa0\x80"'), RejectReason.NOT_JSON),
        (record(b'"\x01"'), RejectReason.NOT_JSON),
        (record(b"\xef\xbb\xbf1"), RejectReason.NOT_JSON),
        (record(b'"' + b"x" * LIMIT + b'"'), RejectReason.TOO_LARGE),
    ],
)
def test_unusable_record_is_refused(given_record: Record, reason: RejectReason) -> None:
    with pytest.raises(Rejected) as refused:
        decoder().decode(given_record)
    assert refused.value.reason is reason


def test_structured_cloudevent_gives_its_data_as_published() -> None:
    body = b'{"specversion":"1.0","id":"1","data":{ "n": 1.50 },"type":"x"}'
    headers = (("content-type", b"application/cloudevents+json; charset=utf-8"),)
    event = decoder().decode(record(body, headers=headers))
    assert b'"data":{ "n": 1.50 },"ts"' in event.encoded
    with pytest.raises(Rejected):
        decoder().decode(record(b"[1]", headers=headers))


def test_entity_may_be_a_header() -> None:
    by_header = decoder(entity="header:device")
    assert by_header.decode(record(b"1", headers=(("device", b"d7"),))).entity == "d7"
    for headers, reason in (
        ((), RejectReason.NO_ENTITY),
        ((("device", b"\xff"),), RejectReason.BAD_HEADERS),
    ):
        with pytest.raises(Rejected) as refused:
            by_header.decode(record(b"1", headers=headers))
        assert refused.value.reason is reason


def test_entity_may_be_a_field_of_the_value() -> None:
    by_value = decoder(entity="value:tail")
    assert by_value.decode(record(b'{"tail":"N14228"}')).entity == "N14228"
    assert by_value.decode(record(b'{"tail":7}')).entity == "7"
    for value in (b"{}", b"[]", b'{"tail":true}', b'{"tail":null}', None):
        with pytest.raises(Rejected) as refused:
            by_value.decode(record(value))
        assert refused.value.reason is RejectReason.NO_ENTITY


def test_entity_may_be_a_field_of_a_structured_event_s_data() -> None:
    headers = (("content-type", b"application/cloudevents+json"),)
    body = b'{"data":{"tail":"N14228"},"tail":"another"}'
    assert decoder(entity="value:tail").decode(record(body, headers=headers)).entity == "N14228"


@given(st.integers(250, 262), st.booleans())
def test_depth_is_bounded_exactly(depth: int, of_objects: bool) -> None:
    decode = Decoder(Stream(topic="t"), 100_000).decode
    first, last = (b'{"":', b"}") if of_objects else (b"[", b"]")
    text = first * (depth - 1) + b"[]" + last * (depth - 1)
    if depth <= 256:
        assert text in decode(record(text)).encoded
    else:
        with pytest.raises(Rejected) as refused:
            decode(record(text))
        assert refused.value.reason is RejectReason.TOO_DEEP


@pytest.mark.parametrize("deep", [b"[" * 300 + b"]" * 300, b'{"a":' * 300 + b"1" + b"}" * 300])
def test_data_nested_deeper_than_clients_can_parse_is_refused(deep: bytes) -> None:
    structured = (("content-type", b"application/cloudevents+json"),)
    for one in (record(deep), record(b'{"data":' + deep + b"}", headers=structured)):
        with pytest.raises(Rejected) as refused:
            Decoder(Stream(topic="t"), 100_000).decode(one)
        assert refused.value.reason is RejectReason.TOO_DEEP


def test_structured_event_too_deep_for_any_parser_is_refused() -> None:
    body = b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}"
    headers = (("content-type", b"application/cloudevents+json"),)
    with pytest.raises(Rejected) as refused:
        Decoder(Stream(topic="t"), 100_000).decode(record(body, headers=headers))
    assert refused.value.reason is RejectReason.TOO_DEEP


def test_wide_data_is_not_deep() -> None:
    wide = b"[" + b",".join([b"[1]"] * 400) + b"]"
    assert not Decoder(Stream(topic="t"), 100_000).decode(record(wide)).deleted


def test_damaged_structured_event_and_other_headers() -> None:
    headers = (("x", b"1"), ("content-type", b"application/cloudevents+json"))
    for body in (b"{", b'{"data":"\xff"}'):
        with pytest.raises(Rejected) as refused:
            decoder().decode(record(body, headers=headers))
        assert refused.value.reason is RejectReason.NOT_JSON
    with pytest.raises(Rejected):
        decoder(entity="header:device").decode(record(b"1", headers=(("other", b"1"),)))
    assert decoder().decode(record(b"1", headers=(("content-type", b"text/plain"),))).entity


def test_binary_cloudevent_is_no_json_event() -> None:
    headers = (("content-type", b"application/cloudevents+json"),)
    with pytest.raises(Rejected) as refused:
        decoder().decode(record(b'{"data_base64":"AAEC"}', headers=headers))
    assert refused.value.reason is RejectReason.NOT_JSON
