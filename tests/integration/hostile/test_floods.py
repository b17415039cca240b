"""Frames without end: each kind of flood ends with its connection, and neighbour, memory and log do not notice."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from .site import Site
from .wire import BINARY, CONT, PING, PONG, TEXT, Wire, frame, hello_bytes, upgraded

MOST_LATE = 2.0
"""Seconds that a neighbour waits for its events; a flood that is not stopped makes it many times that."""
CUT_OFF = 10.0
"""Seconds in which a flood has ended: the server waits five for the answer to its close."""


def pour(wire: Wire, piece: bytes) -> None:
    """Send the piece again and again, reading nothing, until the server has ended the connection."""
    cut_off_by = time.monotonic() + CUT_OFF
    with contextlib.suppress(ConnectionError):
        while True:
            wire.sock.sendall(piece)
            assert time.monotonic() < cut_off_by, "the flood goes on"


@pytest.fixture(autouse=True)
def _in_time(site: Site, _unharmed: None) -> Iterator[None]:
    yield
    asked_at = time.monotonic()
    site.serve_neighbour()
    assert time.monotonic() - asked_at < MOST_LATE


@pytest.mark.parametrize(
    "piece",
    [
        frame(PING) * 10_000,
        frame(PING, b"x" * 125) * 1000,
        frame(PONG) * 10_000,
        frame(TEXT, b"1") * 10_000,
        frame(TEXT) * 10_000,
        frame(BINARY, b"x") * 10_000,
        frame(TEXT, b'{"v":1,"type":"unsubscribe","payload":{"sub":1}}') * 1000,
        frame(TEXT, b"[" * 60_000) * 10,
        frame(TEXT, b"[" + b",".join([b"{}"] * 1000) + b"]") * 10,
    ],
    ids=[
        "pings",
        "large pings",
        "pongs",
        "nonsense",
        "empty",
        "binary",
        "requests",
        "deep",
        "many",
    ],
)
def test_flood_of_frames_ends_its_connection(site: Site, piece: bytes) -> None:
    with upgraded(site.ws) as wire:
        pour(wire, piece)


@pytest.mark.parametrize(
    "piece",
    [
        frame(CONT, fin=False) * 10_000,
        frame(CONT, b"x", fin=False) * 10_000,
        (frame(CONT, b"x", fin=False) + frame(PING)) * 5000,
        frame(CONT, b"x" * 60_000, fin=False),
    ],
    ids=["empty", "one byte", "with pings between", "large"],
)
@pytest.mark.parametrize("is_welcome", [True, False])
def test_message_that_never_ends_ends_its_connection(
    site: Site, piece: bytes, is_welcome: bool
) -> None:
    with upgraded(site.ws, hello=is_welcome) as wire:
        wire.send(frame(TEXT, b"", fin=False))
        pour(wire, piece)


@pytest.mark.parametrize("size", [1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_frame_of_any_claimed_length_is_refused_by_its_header(site: Site, size: int) -> None:
    with upgraded(site.ws) as wire:
        wire.send(frame(TEXT, b"x", length=size))
        wire.expect_close(1009)


@pytest.mark.parametrize(
    "piece",
    [
        frame(TEXT, hello_bytes())[:1],
        frame(TEXT, hello_bytes())[:5],
        frame(TEXT, hello_bytes())[:-1],
        frame(TEXT, b"x" * 60_000)[:-1],
    ],
    ids=["a byte", "a header", "nearly a hello", "nearly a large one"],
)
def test_half_a_frame_costs_no_more_than_it_is(site: Site, piece: bytes) -> None:
    with contextlib.ExitStack() as wires:
        for _ in range(100):
            wires.enter_context(upgraded(site.ws, hello=False)).send(piece)
        with upgraded(site.ws) as wire:
            assert wire.is_alive()


def test_crowd_of_floods_leaves_room_for_others(site: Site) -> None:
    with contextlib.ExitStack() as wires:
        for _ in range(20):
            wire = wires.enter_context(upgraded(site.ws, hello=False))
            wire.send(frame(PING) * 4000)
        with upgraded(site.ws) as wire:
            assert wire.is_alive()
