"""A channel read once: what is in the answer, what its tag says, and who is refused."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tidewire.config.streams import Stream
from tidewire.identity.rights import Action
from tidewire.identity.tokens import Identity
from tidewire.protocol.channels import Channel
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.positions import Position
from tidewire.protocol.server_frames import encode_event
from tidewire_gateway.core.events import Event
from tidewire_gateway.core.feeds import Topology
from tidewire_gateway.core.one_off import (
    ChannelSnapshot,
    etag_of,
    is_live,
    names_etag,
    resolve_channel,
    take_snapshot,
)
from tidewire_gateway.core.one_off_problems import refused
from tidewire_gateway.core.partition_log import PartitionLog

WHOLE = Channel("flights")
STREAMS = {
    "flights": Stream(topic="flights", group="key-prefix", table=True, public=True),
    "secret": Stream(topic="secret", group="key-prefix"),
    "plain": Stream(topic="plain", public=True),
}


def event(key: str, partition: int, offset: int, data: bytes | None) -> Event:
    encoded = encode_event(key, data, 1_700_000_000_000, partition, offset)
    group = key.partition("/")[0]
    return Event(key, group, partition, offset, 1_700_000_000_000, data is None, encoded)


def topology(*events: Event, partitions: int = 2, table: bool = True) -> Topology:
    logs = {p: PartitionLog(0, is_table=table) for p in range(partitions)}
    for one in events:
        logs[one.partition].append(one)
    return Topology("flights", "e1", partitions, logs=logs, live=set(range(partitions)))


def answer(snapshot: ChannelSnapshot, size: int = 1 << 20) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(b"".join(snapshot.body(size)))
    return body


def test_answer_holds_the_newest_value_of_every_entity_and_where_that_stands() -> None:
    held = topology(
        event("JFK/1", 0, 0, b"1"),
        event("JFK/1", 0, 3, b"2"),
        event("EWR/1", 1, 0, b"3"),
        event("EWR/2", 1, 1, b"4"),
        event("EWR/2", 1, 2, None),
    )
    got = answer(take_snapshot("flights", WHOLE, held))
    assert {e["key"]: e["data"] for e in got.pop("events")} == {"JFK/1": 2, "EWR/1": 3}
    assert got == {
        "channel": "flights",
        "position": {"epoch": "e1", "offsets": {"0": 4, "1": 3}},
    }


def test_answer_embeds_the_bytes_that_were_published() -> None:
    held = topology(event("JFK/1", 0, 0, b'{ "price": 1.0 }'))
    assert b'"data":{ "price": 1.0 }' in b"".join(take_snapshot("f", WHOLE, held).body(1))


def test_group_is_read_from_its_own_partition_alone() -> None:
    held = topology(
        event("JFK/1", 0, 0, b"1"),
        event("LGA/1", 0, 1, b"2"),
        event("JFK/1", 1, 5, b"3"),
        partitions=2,
    )
    channel = Channel("flights", "JFK")
    [partition] = take_snapshot("flights/JFK", channel, held).position.offsets
    got = answer(take_snapshot("flights/JFK", channel, held))
    assert got["channel"] == "flights/JFK"
    assert [e["key"] for e in got["events"]] == ["JFK/1"]
    assert {e["offset"][0] for e in got["events"]} == {partition}


def test_group_without_events_is_empty() -> None:
    assert answer(take_snapshot("x", Channel("flights", "BOS"), topology()))["events"] == []


@pytest.mark.parametrize("table", [True, False])
def test_answer_is_partial_where_the_stream_is_no_table(table: bool) -> None:
    held = topology(event("a", 0, 0, b"1"), table=table)
    assert ("partial" in answer(take_snapshot("flights", WHOLE, held))) is not table


@given(
    data=st.lists(st.one_of(st.none(), st.integers(0, 10**12)), max_size=30),
    size=st.integers(1, 2000),
)
def test_slices_are_bounded_and_join_to_the_same_answer(data: list[int | None], size: int) -> None:
    events = [
        event(f"k{n}", 0, n, None if value is None else str(value).encode())
        for n, value in enumerate(data)
    ]
    snapshot = take_snapshot("flights", WHOLE, topology(*events, partitions=1))
    parts = list(snapshot.body(size))
    assert json.loads(b"".join(parts)) == answer(snapshot)
    assert [e["key"] for e in answer(snapshot)["events"]] == [
        e.entity for e in events if not e.deleted
    ]
    largest = max((len(e.encoded) for e in events), default=0)
    assert all(len(part) <= size + largest + 1 for part in parts[1:])


def test_what_is_read_later_does_not_change_an_answer_under_way() -> None:
    held = topology(event("a", 0, 0, b"1"), event("b", 0, 1, b"2"))
    snapshot = take_snapshot("flights", WHOLE, held)
    parts = snapshot.body(1)
    first = next(parts)
    held.logs[0].append(event("b", 0, 2, None))
    held.logs[0].append(event("c", 0, 3, b"3"))
    got = json.loads(first + b"".join(parts))
    assert {e["key"]: e["data"] for e in got["events"]} == {"a": 1, "b": 2}
    assert got["position"]["offsets"]["0"] == 2


def test_channel_is_live_when_all_its_partitions_are() -> None:
    held = topology()
    held.live = {0}
    groups = [Channel("flights", g) for g in ("JFK", "LGA", "EWR", "BOS", "SFO")]
    assert not is_live(held, WHOLE)
    assert {is_live(held, group) for group in groups} == {True, False}
    held.live = {0, 1}
    assert is_live(held, WHOLE)


positions = st.builds(
    Position,
    st.from_regex(r"[A-Za-z0-9_-]{1,22}", fullmatch=True),
    st.dictionaries(st.integers(0, 99), st.integers(0, 2**63 - 1), max_size=100),
)


@given(positions, positions)
def test_tags_are_equal_where_positions_are(one: Position, other: Position) -> None:
    assert (etag_of(one) == etag_of(other)) == (one == other)
    shuffled = Position(one.epoch, dict(sorted(one.offsets.items(), reverse=True)))
    assert etag_of(one) == etag_of(shuffled)


@given(positions)
def test_tag_is_strong_and_made_of_what_addresses_and_headers_carry(position: Position) -> None:
    assert re.fullmatch(r'"[A-Za-z0-9._-]{1,600}"', etag_of(position))


def test_tag_of_many_partitions_fits_into_a_header() -> None:
    offsets = dict.fromkeys(range(10_000), 5)
    tag = etag_of(Position("e1", offsets))
    assert len(tag) < 100
    assert tag != etag_of(Position("e1", offsets | {9_999: 6}))
    assert tag == etag_of(Position("e1", dict(reversed(offsets.items()))))


@pytest.mark.parametrize(
    ("header", "is_named"),
    [
        ('"e1.0-4"', True),
        ('W/"e1.0-4"', True),
        ('"x", W/"y,z" ,"e1.0-4"', True),
        ("*", True),
        (" * ", True),
        ("", False),
        ('"e1.0-5"', False),
        ("e1.0-4", False),
        ('"e1.0-4', False),
        ('"a,"e1.0-4"', False),
        ('w/"e1.0-4x"', False),
    ],
)
def test_tag_is_found_in_the_header(header: str, is_named: bool) -> None:
    assert names_etag(header, '"e1.0-4"') is is_named


ANYBODY = None
NOBODY = Identity("n", {}, 0.0)
READER = Identity("r", {"secret/**": {Action.SUBSCRIBE}}, 0.0)


@pytest.mark.parametrize(
    ("name", "identity", "kind", "status"),
    [
        ("nope", ANYBODY, "unknown-channel", 404),
        ("nope/group", READER, "unknown-channel", 404),
        ("@me", ANYBODY, "unknown-channel", 404),
        ("plain/group", ANYBODY, "unknown-channel", 404),
        ("secret", ANYBODY, "token-missing", 401),
        ("secret", NOBODY, "forbidden", 403),
        ("", ANYBODY, "bad-channel", 400),
        ("flights/", ANYBODY, "bad-channel", 400),
        ("flights/J K", ANYBODY, "bad-channel", 400),
        ("x" * 256, ANYBODY, "bad-channel", 400),
    ],
)
def test_channel_is_refused(name: str, identity: Identity | None, kind: str, status: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        resolve_channel(name, STREAMS, identity)
    problem = refused(caught.value, name, identity)
    assert (problem.kind, problem.status) == (kind, status)


@pytest.mark.parametrize(
    ("name", "identity", "channel"),
    [
        ("flights", ANYBODY, Channel("flights")),
        ("flights/JFK", ANYBODY, Channel("flights", "JFK")),
        ("flights/a/b", ANYBODY, Channel("flights", "a/b")),
        ("secret/JFK", READER, Channel("secret", "JFK")),
    ],
)
def test_channel_is_resolved(name: str, identity: Identity | None, channel: Channel) -> None:
    assert resolve_channel(name, STREAMS, identity) == channel


def test_entity_that_moved_to_another_partition_is_answered_once() -> None:
    held = topology(event("JFK/1", 0, 0, b"1"), event("LGA/1", 1, 0, b"2"))
    held.declared = 1
    later = replace(event("JFK/1", 1, 1, b"3"), ts_ms=1_700_000_000_001)
    held.logs[1].append(later)
    assert held.is_regrouped
    got = answer(take_snapshot("flights", WHOLE, held))
    assert {e["key"]: e["data"] for e in got["events"]} == {"JFK/1": 3, "LGA/1": 2}
    assert len(got["events"]) == 2
