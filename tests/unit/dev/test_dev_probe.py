"""The question that tells whether a broker serves, byte for byte."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from tidewire.dev.probe import CORRELATION, metadata_request, serves


def _string(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _answer(brokers: int, controller: int, correlation: int = CORRELATION) -> bytes:
    body = struct.pack(">iii", correlation, 0, brokers)
    for node in range(brokers):
        body += struct.pack(">i", node) + _string("127.0.0.1") + struct.pack(">i", 9092)
        body += struct.pack(">h", -1)  # no rack
    return body + _string("cluster") + struct.pack(">i", controller) + struct.pack(">i", 0)


def test_request_asks_for_no_topic_and_makes_none() -> None:
    request = metadata_request()
    assert struct.unpack_from(">i", request)[0] == len(request) - 4
    assert struct.unpack_from(">hhi", request, 4) == (3, 4, CORRELATION)
    assert request.endswith(struct.pack(">i?", 0, False))


@given(st.integers(0, 4), st.integers(-1, 3), st.sampled_from([CORRELATION, 0]))
def test_broker_serves_once_it_names_a_broker_and_a_controller(
    brokers: int, controller: int, correlation: int
) -> None:
    expected = brokers > 0 and controller != -1 and correlation == CORRELATION
    assert serves(_answer(brokers, controller, correlation)) is expected


@given(st.integers(0, 40))
def test_cut_answer_serves_nothing(length: int) -> None:
    assert not serves(_answer(1, 0)[:length])


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_of_yes_or_no(data: bytes) -> None:
    assert serves(data) in (True, False)
