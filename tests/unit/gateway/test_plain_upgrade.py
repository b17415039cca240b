"""Which upgrades are answered here, and that `websockets` would have answered them the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.headers import parse_subprotocol
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tidewire_gateway.plain_upgrade import PATH, PlainRequest, plain_request

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
NEEDED = {
    b"host": b"gateway",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-key": KEY,
    b"sec-websocket-version": b"13",
}


def asked(
    headers: dict[bytes, bytes] | None = None,
    *,
    without: bytes = b"",
    method: str = "GET",
    version: str = "1.1",
    url: bytes = PATH.encode(),
) -> PlainRequest | None:
    given = [(name, value) for name, value in (NEEDED | (headers or {})).items() if name != without]
    return plain_request(method, version, url, given)


def test_ordinary_upgrade_is_read() -> None:
    request = asked({b"sec-websocket-protocol": b"a, b,c"}, url=b"/v1/ws?x=%20&y#z")
    assert request is not None
    assert request.key == KEY
    assert request.query == b"x=%20&y#z"
    assert request.subprotocols == ["a", "b", "c"]


def test_upgrade_without_subprotocols_offers_none() -> None:
    request = asked()
    assert request is not None
    assert request.subprotocols == []


@pytest.mark.parametrize(
    "headers",
    [
        {b"connection": b"keep-alive, Upgrade"},
        {b"upgrade": b"WebSocket"},
        {b"cookie": b"x" * 7000},
        {b"sec-websocket-extensions": b"permessage-deflate; client_max_window_bits"},
    ],
)
def test_what_browsers_send_is_ordinary(headers: dict[bytes, bytes]) -> None:
    assert asked(headers) is not None


@pytest.mark.parametrize("method", ["POST", "HEAD", "OPTIONS"])
def test_other_methods_are_not_ordinary(method: str) -> None:
    assert asked(method=method) is None


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_other_versions_of_http_are_not_ordinary(version: str) -> None:
    assert asked(version=version) is None


@pytest.mark.parametrize("url", [b"/v1/ws/", b"/v1/w%73", b"/", b"/v1/ws#x", b"http://x/v1/ws"])
def test_other_paths_are_not_ordinary(url: bytes) -> None:
    assert asked(url=url) is None


@pytest.mark.parametrize("name", [name for name in NEEDED if name != b"host"])
def test_upgrade_that_lacks_a_header_is_not_ordinary(name: bytes) -> None:
    assert asked(without=name) is None


@pytest.mark.parametrize(
    "headers",
    [
        {b"upgrade": b"h2c"},
        {b"upgrade": b"websocket, h2c"},
        {b"connection": b"close"},
        {b"connection": b"upgrade-insecure"},
        {b"connection": b"close, upgrade"},
        {b"sec-websocket-version": b"12"},
        {b"sec-websocket-version": b"13, 8"},
        {b"sec-websocket-key": b""},
        {b"sec-websocket-key": KEY[:-4]},
        {b"sec-websocket-key": KEY + b"AAAA"},
        {b"sec-websocket-key": b"*" + KEY[1:]},
        {b"sec-websocket-key": KEY + b"\n"},
        {b"sec-websocket-protocol": b""},
        {b"sec-websocket-protocol": b"a,,b"},
        {b"sec-websocket-protocol": b"a b"},
        {b"sec-websocket-protocol": b"a\r\nb"},
        {b"content-length": b"0"},
        {b"transfer-encoding": b"chunked"},
        {b"cookie": "é".encode("latin-1")},
        {b"cookie": b"\x7f"},
        {b"cookie": b"a\0b"},
        {b"cookie": b"a\nb"},
        {b"cookie": b"a\tb"},
        {b"cookie": b""},
        {b"cookie": b"behind it stands space "},
        {b"cookie": b"behind it stands a tab\t"},
        {b"cookie": b"x" * 8000},
        {b"x-%d" % n: b"x" for n in range(100)},
    ],
)
def test_unusual_header_is_not_ordinary(headers: dict[bytes, bytes]) -> None:
    assert asked(headers) is None


def test_header_that_comes_twice_is_not_ordinary() -> None:
    twice = [*NEEDED.items(), (b"sec-websocket-key", KEY)]
    assert plain_request("GET", "1.1", PATH.encode(), twice) is None


def spoilt(values: list[bytes]) -> st.SearchStrategy[bytes]:
    """One of these, or something near it."""
    usual = st.sampled_from(values)
    near = st.builds(
        lambda value, at, new: (
            value[: at % (len(value) + 1)] + new + value[at % (len(value) + 1) :]
        ),
        usual,
        st.integers(0, 40),
        st.sampled_from([b" ", b",", b", ", b"=", b"A", b"\t", b'"', b"\x7f", b"\xe9"]),
    )
    return usual | near


@given(
    st.fixed_dictionaries(
        {
            b"upgrade": spoilt([b"websocket", b"WebSocket"]),
            b"connection": spoilt([b"Upgrade", b"keep-alive, Upgrade"]),
            b"sec-websocket-key": spoilt([KEY, b"/+" + b"9" * 20 + b"=="]),
            b"sec-websocket-version": spoilt([b"13"]),
        },
        optional={
            b"sec-websocket-protocol": spoilt([b"tidewire.v1.json", b"a, tidewire.bearer.x.y-_z"]),
            b"sec-websocket-extensions": spoilt([b"permessage-deflate"]),
            b"origin": spoilt([b"https://example.org"]),
        },
    )
)
def test_library_accepts_whatever_is_ordinary_and_reads_the_same(
    headers: dict[bytes, bytes],
) -> None:
    request = plain_request("GET", "1.1", b"/v1/ws", list(headers.items()))
    if request is None:
        return
    theirs = Headers({name.decode(): value.decode() for name, value in headers.items()})
    answer = ServerProtocol().accept(Request("/v1/ws", theirs))
    assert answer.status_code == 101
    offered: Any = theirs.get("sec-websocket-protocol")
    assert request.subprotocols == ([] if offered is None else parse_subprotocol(offered))
