"""Bodies for the internal port that no part of the system would send."""

import contextlib

import pytest

from .site import Site
from .wire import wired

CLOSE, PUSH = "/internal/connections/close", "/internal/push"
MOST = 1024 * 1024


def status_of(site: Site, path: str, body: bytes, *, length: int | None = None) -> int:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    with wired(site.ports[1]) as wire:
        wire.send(head.encode(), body)
        return int(wire.head().split()[1])


@pytest.mark.parametrize("path", [CLOSE, PUSH])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"connections":' + b"[" * 100_000,
        b'{"user":' * 100_000,
        b'{"user":"\xff","id":"x","epoch":"e","connections":[],"ts_ms":1,"data":1}',
        b'{"user":"\\ud800","id":"x","epoch":"e","connections":[],"ts_ms":1,"data":1}',
        b'{"user":"u","id":"x","epoch":"e","connections":[],"ts_ms":1e999,"data":1}',
        b'{"user":"u","id":"x","epoch":"e","connections":[],"ts_ms":1,"data":' + b"[" * 5000,
        b'{"user":"u","id":"x","epoch":"e","connections":[],"ts_ms":1,"data":"\\ud800"}',
        b'{"connections":["\\ud800"],"connections":[NaN]}',
        b"\xef\xbb\xbf{}",
    ],
    ids=range(13),
)
def test_body_that_cannot_be_read_is_the_sender_s_fault(site: Site, path: str, body: bytes) -> None:
    """This node has no messages to users, so a body that could be read is answered 503."""
    assert status_of(site, path, body) in {400, 422, 503}


def test_body_without_end_is_refused_before_it_is_here(site: Site) -> None:
    with contextlib.suppress(ConnectionError):
        assert status_of(site, PUSH, b"x" * (MOST + 1), length=1 << 40) == 413


def test_caller_that_leaves_amid_its_body_is_no_fault_of_ours(site: Site) -> None:
    """What it would leave behind stands in the log, which is looked at after each test."""
    head = (
        f"POST {PUSH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        "Content-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    )
    with wired(site.ports[1]) as wire:
        wire.send(head.encode())
        assert b"100 Continue" in wire.head()
        wire.send(b"{")
    assert status_of(site, PUSH, b"") in {400, 422, 503}
