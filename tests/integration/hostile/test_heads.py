"""Requests whose line and headers have no end, come too slowly, or contradict themselves."""

import contextlib
import time

import pytest

from .site import Site
from .wire import Wire, upgraded, wired

MIB = 1 << 20
BEGUN = b"GET /v1/channels/news HTTP/1.1\r\nHost: x\r\n"
ENDLESS = {
    "line": (b"GET /", b"a" * 64_000),
    "name": (BEGUN, b"a" * 64_000),
    "value": (BEGUN + b"X-A: ", b"a" * 64_000),
    "headers": (BEGUN, b"a: b\r\n" * 10_000),
    "empty lines": (b"", b"\r\n" * 30_000),
    "nothing": (b"", b"\x00" * 64_000),
}


def poured(wire: Wire, piece: bytes) -> int:
    """How many bytes went out before the server ended the connection."""
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < 64 * MIB:
            wire.sock.sendall(piece)
            sent += len(piece)
    return sent


@pytest.mark.parametrize("port", [0, 1], ids=["public", "internal"])
@pytest.mark.parametrize("attack", [name for name in ENDLESS if name != "empty lines"])
def test_head_without_end_is_cut_off(site: Site, port: int, attack: str) -> None:
    begun, piece = ENDLESS[attack]
    with wired(site.ports[port]) as wire:
        wire.send(begun)
        assert poured(wire, piece) < 16 * MIB


@pytest.mark.parametrize("port", [0, 1], ids=["public", "internal"])
def test_head_that_is_too_large_is_told_so(site: Site, port: int) -> None:
    with wired(site.ports[port]) as wire:
        wire.send(BEGUN + b"X-A: ", b"a" * 70_000)
        assert wire.head().startswith(b"HTTP/1.1 431 ")


def test_large_head_is_read(site: Site) -> None:
    with wired(site.ports[0]) as wire:
        wire.send(BEGUN + b"Cookie: " + b"a" * 60_000 + b"\r\n\r\n")
        assert wire.head().startswith(b"HTTP/1.1 200 ")


def test_request_behind_another_is_bounded_alike(site: Site) -> None:
    with wired(site.ports[0]) as wire:
        wire.send(BEGUN + b"\r\n")
        assert wire.head().startswith(b"HTTP/1.1 200 ")
        wire.send(BEGUN + b"X-A: ")
        assert poured(wire, b"a" * 64_000) < 16 * MIB


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 4", "Transfer-Encoding: chunked"],
        ["Content-Length: 4", "Content-Length: 5"],
        ["Content-Length: -1"],
        ["Content-Length: 1e3"],
        ["Content-Length: 99999999999999999999"],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: xchunked"],
        [" Folded: x"],
        ["Spaced : x"],
        ["No colon"],
        ["X: a\x00b"],
        ["X: a\nGET /v1/channels/other HTTP/1.1"],
    ],
)
@pytest.mark.parametrize("port", [0, 1], ids=["public", "internal"])
def test_request_that_can_be_read_in_two_ways_is_answered_once_and_ends(
    site: Site, port: int, lines: list[str]
) -> None:
    """Who stands before the service may have read it the other way: nothing behind it may be a second request."""
    head = "\r\n".join(["POST /v1/channels/news HTTP/1.1", "Host: x", *lines, "", ""])
    with wired(site.ports[port]) as wire:
        wire.send(head.encode() + b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.sock.shutdown(1)  # no more will come
        answers = wire.rest()
        assert answers.count(b"HTTP/1.1 ") <= 1, answers
        assert b"smuggled" not in answers


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 5"],
        ["Transfer-Encoding: chunked"],
        ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ],
)
def test_upgrade_with_a_body_smuggles_no_request(site: Site, lines: list[str]) -> None:
    with wired(site.ws) as wire:
        with contextlib.suppress(AssertionError):
            wire.upgrade(*lines, early=b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.sock.shutdown(1)
        assert b"smuggled" not in wire.rest()


def test_heads_that_dribble_in_are_cut_off_and_cost_nobody_else(site: Site) -> None:
    """They are half a request at the most, ten seconds after they began."""
    begun_at = time.monotonic()
    with contextlib.ExitStack() as wires:
        slow = [wires.enter_context(wired(site.ports[n % 2])) for n in range(60)]
        for wire in slow[20:]:
            wire.send(BEGUN)
        for wire in slow[40:]:
            wire.send(b"X-A: ")
        while slow:
            assert time.monotonic() - begun_at < 20.0
            with upgraded(site.ws) as neighbour:
                assert neighbour.is_alive()
            slow = [wire for n, wire in enumerate(slow) if is_open_after(wire, b"a" * (n >= 20))]


def is_open_after(wire: Wire, piece: bytes) -> bool:
    wire.sock.settimeout(0.01)
    try:
        wire.sock.sendall(piece)
        return wire.sock.recv(100) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False
