"""How operators' browsers get in where the internal port asks for a key."""

from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tidewire.http.page_guard import PageGuard
from tidewire.identity.internal_keys import InternalKeys, headers_of
from tidewire.identity.internal_passes import LOGIN, SESSION, issue_pass
from tidewire_gateway.console.door import COOKIE, LOGIN_PATH, SESSION_TTL, Door, Logins, read_page

KEYS = InternalKeys(["a" * 64, "b" * 64])
OTHER = InternalKeys(["c" * 64])
PAGE = {"accept": "text/html,*/*;q=0.8"}
INSIDE = ["/console/", "/console/js/main.js", "/v1/flows/follow", "/v1/ws"]
HOST = "http://127.0.0.1:9000"


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        return
    await PlainTextResponse("inside")(scope, receive, send)


class Browser:
    """Asks a node's internal port, at a time of the test's own."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0
        door = Door(behind, KEYS, "TIDEWIRE_X__KEY", read_page(), clock=lambda: self.now)
        self._app = PageGuard(door, hosts=())
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app), base_url=HOST, follow_redirects=False
        )

    async def log_in(self, shown: str, **headers: str) -> httpx.Response:
        return await self.http.post(LOGIN_PATH, data={"key": shown}, headers=headers)

    async def upgrade(self, cookie: str, origin: str = HOST) -> str:
        """The type of the first message that answers a handshake."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/v1/ws",
            "headers": [
                (b"host", b"127.0.0.1:9000"),
                (b"origin", origin.encode()),
                (b"cookie", f"{COOKIE}={cookie}".encode()),
            ],
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        await self._app(scope, receive, send)
        kind: str = sent[0]["type"]
        return kind


@pytest.fixture
def browser() -> Browser:
    return Browser()


def nonce(number: int = 0) -> str:
    return f"{number:022}"


async def test_browser_without_a_session_is_asked_for_the_key(browser: Browser) -> None:
    answer = await browser.http.get("/console/", headers=PAGE)
    assert answer.status_code == 401
    assert 'action="/console/login"' in answer.text
    assert "data-refused" not in answer.text
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe" not in policy


@pytest.mark.parametrize("key", KEYS.accepted)
async def test_key_opens_a_session_for_the_console_and_nothing_else(
    browser: Browser, key: bytes
) -> None:
    answer = await browser.log_in(key.decode(), origin=HOST)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/")
    morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["secure"]) == (True, "strict", "")
    assert morsel["max-age"] == str(SESSION_TTL)
    assert key.decode() not in answer.headers["set-cookie"]
    assert [(await browser.http.get(path)).status_code for path in INSIDE] == [200] * 4
    assert await browser.upgrade(morsel.value) == "websocket.accept"
    assert (await browser.http.post("/v1/flows/follow", headers={"origin": HOST})).text == "inside"
    for path in ("/internal/drain", "/internal/push", "/openapi.json", "/", "/console.txt"):
        assert (await browser.http.get(path)).status_code == 401


async def test_cookie_goes_over_tls_alone_where_there_is_tls(browser: Browser) -> None:
    answer = await browser.http.post(f"https://127.0.0.1:9000{LOGIN_PATH}", data={"key": KEYS.sent})
    assert SimpleCookie(answer.headers["set-cookie"])[COOKIE]["secure"] is True


async def test_session_ends_after_twelve_hours(browser: Browser) -> None:
    cookie = SimpleCookie((await browser.log_in(KEYS.sent)).headers["set-cookie"])[COOKIE].value
    browser.now += SESSION_TTL - 1
    assert await browser.upgrade(cookie) == "websocket.accept"
    browser.now += 1
    assert await browser.upgrade(cookie) == "websocket.http.response.start"
    assert (await browser.http.get("/console/", headers=PAGE)).status_code == 401


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "x",
        KEYS.sent,
        issue_pass(OTHER, SESSION, 1_800_000_000, nonce()),
        issue_pass(KEYS, LOGIN, 1_800_000_000, nonce()),
    ],
)
async def test_cookie_that_is_no_session_opens_nothing(browser: Browser, cookie: str) -> None:
    assert await browser.upgrade(cookie) == "websocket.http.response.start"
    browser.http.cookies.set(COOKIE, cookie)
    assert [(await browser.http.get(path)).status_code for path in INSIDE] == [401] * 4


async def test_page_of_another_site_neither_logs_in_nor_uses_a_session(browser: Browser) -> None:
    foreign = "https://elsewhere.example"
    assert (await browser.log_in(KEYS.sent, origin=foreign)).status_code == 403
    cookie = SimpleCookie((await browser.log_in(KEYS.sent)).headers["set-cookie"])[COOKIE].value
    assert await browser.upgrade(cookie, origin=foreign) == "websocket.http.response.start"


@pytest.mark.parametrize("shown", ["", "a" * 63, OTHER.sent, "ä", "key"])
async def test_wrong_key_is_asked_for_again(browser: Browser, shown: str) -> None:
    answer = await browser.log_in(shown)
    assert answer.status_code == 401
    assert "<body data-refused>" in answer.text
    assert "set-cookie" not in answer.headers


async def test_wrong_key_is_logged_without_what_was_shown(
    browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    await browser.log_in(OTHER.sent)
    await browser.log_in(KEYS.sent)
    (record,) = caplog.records
    told: Any = record.msg
    assert (told["event"], told["client"]) == ("console login refused", "127.0.0.1")
    assert OTHER.sent not in repr(told)


@pytest.mark.parametrize("body", [b"", b"&" * 50, b"\xff=\xfe", b"key", b"key=%"])
async def test_whatever_else_is_sent_opens_nothing(browser: Browser, body: bytes) -> None:
    assert (await browser.http.post(LOGIN_PATH, content=body)).status_code == 401


async def test_form_that_is_too_large_is_refused(browser: Browser) -> None:
    assert (await browser.http.post(LOGIN_PATH, content=b"x" * 5000)).status_code == 413


async def test_program_shows_its_key_as_everywhere(browser: Browser) -> None:
    for path in INSIDE:
        assert (await browser.http.get(path, headers=headers_of(KEYS))).text == "inside"
    refused = await browser.http.get("/console/", headers=headers_of(OTHER) | PAGE)
    assert refused.status_code == 401
    assert refused.headers["content-type"] == "application/problem+json"


async def test_form_loads_its_parts_without_a_session(browser: Browser) -> None:
    assert (await browser.http.get(LOGIN_PATH)).status_code == 200
    for path in ("/console/js/login.js", "/console/css/login.css", "/console/icon.svg"):
        assert (await browser.http.get(path)).text == "inside"
        assert (await browser.http.post(path)).status_code == 401
    assert (await browser.http.put(LOGIN_PATH)).status_code == 401


def test_pass_logs_in_once_and_only_while_it_holds() -> None:
    logins = Logins(KEYS)
    link = issue_pass(KEYS, LOGIN, 60, nonce())
    assert [logins.take(link, now) for now in (59.0, 59.5, 60.0, 61.0)] == [
        True,
        *(False, False, False),
    ]
    assert not logins.take(issue_pass(OTHER, LOGIN, 120, nonce(1)), 61.0)
    assert not logins.take(issue_pass(KEYS, SESSION, 120, nonce(2)), 61.0)
    assert logins.take(KEYS.sent, 61.0)
    assert logins.take(KEYS.sent, 61.0)


def test_passes_beyond_what_is_remembered_are_refused_until_others_are_over() -> None:
    logins = Logins(KEYS)
    taken = [logins.take(issue_pass(KEYS, LOGIN, 60, nonce(n)), 0.0) for n in range(1001)]
    assert taken == [True] * 1000 + [False]
    assert logins.take(issue_pass(KEYS, LOGIN, 120, nonce(1001)), 60.0)
