"""Text that means something to whoever handles it next: to logs, to HTTP, to JavaScript. It stays text, or is refused.

`Site.unharmed` looks at the log after each: a line is one JSON object, whatever stands in it.
"""

import json
import re

import pytest

from harness.leaks import CANARY

from .site import CHANNEL, Site
from .wire import PING, TEXT, frame, hello_bytes, message_bytes, upgraded, wired

NASTY = [
    '\n{"event":"forged","level":"critical"}',
    "\r\nX-Forged: yes\r\n\r\n",
    "\x1b[2J\x1b[31mforged",
    "\x00\x08\x7f\x85\u2028\u2029\u202e",
    '"}{"forged":"',
    "{{7*7}}${jndi:ldap://x}%s%n%x",
    "__proto__",
    "../../etc/passwd",
]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_what_a_client_calls_itself_forges_nothing(site: Site, text: str) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(frame(TEXT, hello_bytes(client=text, device=text)))
        wire.expect("welcome")
        wire.send(frame(TEXT, message_bytes("subscribe", 2, channel=text)))
        error = wire.expect("error")
        assert error["code"] in {"bad_request", "unknown_channel"}
        wire.send(frame(TEXT, message_bytes(text, 3)))
        assert wire.expect("error")["code"] == "unknown_type"
        wire.send(frame(TEXT, message_bytes("refresh", 4, token=text)))
        wire.expect_close(3500)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_what_stands_in_an_address_or_a_header_forges_nothing(site: Site, text: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in text.encode())
    plain = re.sub(r"[\x00-\x1f\x7f-\U0010ffff]", "?", text).replace(" ", "+")
    for path, value in ((f"/v1/channels/{encoded}", plain), ("/v1/channels/news", plain)):
        for port in site.ports:
            with wired(port) as wire:
                head = (
                    f"GET {path}?q={encoded} HTTP/1.1\r\nHost: {value}\r\nUser-Agent: {value}\r\n"
                )
                named = f"If-None-Match: {value}\r\ntraceparent: {value}\r\nX-Forwarded-For: {value}\r\n"
                wire.send(f"{head}{named}Connection: close\r\n\r\n".encode())
                answer = wire.rest()
                assert re.match(rb"HTTP/1.1 (200|400|403|404) ", answer), answer
                assert b"x-forged" not in answer.partition(b"\r\n\r\n")[0].lower()


@pytest.mark.parametrize("name", ["token", "access_token", "ToKeN", "jwt"])
def test_token_in_an_address_is_refused_and_not_logged(site: Site, name: str) -> None:
    """Of an upgrade, of a request, and of a request that is none."""
    before = len(site.log())
    for start in (
        f"GET /v1/channels/news?{name}={CANARY} HTTP/1.1",
        f"GET /v1/ws?{name}={CANARY} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"GET /v1/ws?{name}={CANARY} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade",
        f"GET /elsewhere?{name}={CANARY} HTTP/1.1\r\nUpgrade: other\r\nConnection: Upgrade",
        f"GET /v1/channels/news?{name}={CANARY} NOTHTTP",
    ):
        with wired(site.ws) as wire:
            wire.send(f"{start}\r\nHost: x\r\n\r\n".encode())
            assert re.match(rb"HTTP/1.1 4\d\d ", wire.head())
    assert CANARY not in "".join(site.log()[before:])


def test_invalid_utf8_writes_no_line(site: Site) -> None:
    before = len(site.log())
    for _ in range(50):
        with upgraded(site.ws) as wire:
            wire.send(frame(TEXT, b"\xff\xfe"))
            wire.expect_close(1007)
    assert site.log()[before:] == []


def test_line_breaks_in_kafka_headers_reach_no_answer(site: Site) -> None:
    headers = [
        ("x\r\nX-Forged", b"yes"),
        ("traceparent", b"00-\r\nX-Forged: yes\r\n\r\n"),
        ("ce_id", b"\r\nX-Forged: yes"),
        ("content-type", b"text/html\r\nX-Forged: yes"),
        ("", b"\x00\xff"),
    ]
    site.publish(b'{"forged":1}', *headers, key=b"forged\r\nX-Forged: yes")
    site.serve_neighbour()
    with wired(site.ports[0]) as wire:
        wire.send(b"GET /v1/channels/news HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = wire.rest().partition(b"\r\n\r\n")
    assert b"x-forged" not in head.lower()
    assert b'"forged\\r\\nX-Forged: yes"' in body
    assert b"\r\nX-Forged" not in body


@pytest.mark.parametrize(
    "value",
    [
        b'{"__proto__":{"admin":true},"constructor":{"prototype":{"x":1}}}',
        b'{"a":1,"a":2}',
        b'{"toString":null,"hasOwnProperty":1,"length":-1}',
        b'"</script><script>alert(1)</script>"',
        b"18446744073709551616",
        b'{"\\u0000":"\\u2028"}',
    ],
)
def test_data_of_any_kind_is_handed_on_as_it_is(site: Site, value: bytes) -> None:
    with upgraded(site.ws) as wire:
        wire.send(frame(TEXT, message_bytes("subscribe", 2, channel=CHANNEL, mode="every")))
        wire.expect("subscribed")
        site.publish(value, key=b"any")
        found = b""
        while value not in found:
            received = wire.next_but_pings()
            assert received is not None
            found = received.data
        json.loads(found)


@pytest.mark.parametrize(
    "value", [b"\xef\xbb\xbf{}", b"\xff", b"NaN", b"1e400", b"{}{}", b'"\\ud800"', b"[" * 2000, b""]
)
def test_data_that_clients_could_not_read_is_left_out(site: Site, value: bytes) -> None:
    with upgraded(site.ws) as wire:
        wire.send(frame(TEXT, message_bytes("subscribe", 2, channel=CHANNEL, mode="every")))
        wire.expect("subscribed")
        site.publish(value, key=b"left out")
        site.publish(b'"after"', key=b"after")
        while True:
            received = wire.next_but_pings()
            assert received is not None
            keys = [event["key"] for event in received.message["payload"].get("events", ())]
            assert "left out" not in keys
            if "after" in keys:
                break


def test_messages_with_duplicate_or_inherited_names_are_read_once(site: Site) -> None:
    with upgraded(site.ws, hello=False) as wire:
        wire.send(
            frame(
                TEXT,
                b'{"v":9,"v":1,"type":"x","type":"hello","__proto__":{"v":3},"id":1,"id":2,'
                b'"payload":{},"payload":{"client":"a","client":"test/1","constructor":1}}',
            )
        )
        wire.expect("welcome")


def test_byte_order_mark_is_no_message(site: Site) -> None:
    with upgraded(site.ws) as wire:
        wire.send(frame(TEXT, b"\xef\xbb\xbf" + hello_bytes()))
        assert wire.expect("error")["code"] == "bad_request"
        wire.send(frame(PING, b"x"))
        wire.expect_pong(b"x")


def test_requests_that_are_none_do_not_fill_the_log(site: Site) -> None:
    before = len(site.log())
    for _ in range(200):
        with wired(site.ports[0]) as wire:
            wire.send(b"NONSENSE \x1b[31m\r\n\r\n")
            assert wire.head().startswith(b"HTTP/1.1 400 ")
    assert len(site.log()) - before <= 10
