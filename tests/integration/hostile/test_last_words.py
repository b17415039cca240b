"""What comes together with a close frame, or with a fault, in one read: the answers keep their order, and nothing breaks."""

import pytest

from .site import Site
from .wire import CLOSE, CONT, PING, TEXT, close_frame, frame, hello_bytes, upgraded, wired

FORBIDDEN = frame(TEXT, hello_bytes(token="no.such.token"))
"""Nobody can have a token here: closes 3500."""


def test_answers_stand_before_the_close_that_came_with_their_requests(site: Site) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(frame(PING, b"first") + frame(TEXT, hello_bytes()) + close_frame(1000))
        wire.expect_pong(b"first")
        wire.expect("welcome")
        wire.expect_close(1000)


def test_answers_stand_before_the_fault_that_came_with_their_requests(site: Site) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(frame(PING, b"first") + frame(TEXT, hello_bytes()) + frame(CONT))
        wire.expect_pong(b"first")
        wire.expect("welcome")
        wire.expect_close(1002)


@pytest.mark.parametrize(
    "bad", [frame(TEXT, b"\xff"), frame(TEXT, b"no message"), FORBIDDEN], ids=["utf8", "text", "token"]
)  # fmt: skip
def test_who_closes_behind_what_is_refused_is_answered(site: Site, bad: bytes) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(bad + close_frame(1000))
        wire.expect_close(1000)


@pytest.mark.parametrize(
    "bad", [frame(TEXT, b"\xff"), frame(TEXT, b"no message"), FORBIDDEN], ids=["utf8", "text", "token"]
)  # fmt: skip
def test_fault_behind_what_is_refused_closes_once(site: Site, bad: bytes) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(bad + frame(CLOSE, b"x", fin=False))
        wire.expect_close(1002)


def test_no_pong_stands_behind_a_close(site: Site) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(frame(TEXT, b"no message") + frame(PING))
        wire.expect_close(3501)


def test_requests_behind_the_one_that_closed_are_not_looked_at(site: Site) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(frame(TEXT, b"no message") + frame(TEXT, hello_bytes()) * 3 + close_frame(1000))
        wire.expect_close(1000)


def test_frames_may_come_with_the_handshake(site: Site) -> None:
    with wired(site.ws) as wire:
        wire.upgrade(early=frame(TEXT, b"no message") + close_frame(1000))
        wire.expect_close(1000)
