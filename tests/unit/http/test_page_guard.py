"""Which requests count as those of another site's page."""

from typing import Any

import pytest

from tidewire.http.page_guard import PageGuard, host_of_url, is_foreign_page, is_known

HERE = "127.0.0.1:9000"
ELSEWHERE = "https://elsewhere.example"


@pytest.mark.parametrize(
    ("origin", "host", "is_foreign"),
    [
        (None, "127.0.0.1:9000", False),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", False),
        ("https://console.example", "console.example", False),
        ("http://127.0.0.1:9001", "127.0.0.1:9000", True),
        ("https://elsewhere.example", "127.0.0.1:9000", True),
        ("null", "127.0.0.1:9000", True),
        ("", "127.0.0.1:9000", True),
        ("http://127.0.0.1:9000", None, True),
        ("http://[", "127.0.0.1:9000", True),
    ],
)
def test_page_is_another_sites_where_its_origin_is_not_the_host(
    origin: str | None, host: str | None, is_foreign: bool
) -> None:
    told = {"origin": origin, "host": host}
    headers = {name: value for name, value in told.items() if value is not None}
    assert is_foreign_page(headers) is is_foreign


@pytest.mark.parametrize(
    ("host", "is_right"),
    [
        (None, True),
        ("127.0.0.1:9000", True),
        ("10.0.0.7", True),
        ("[::1]:9000", True),
        ("[fd00::7]", True),
        ("localhost", True),
        ("LocalHost:9000", True),
        ("localhost.:9000", True),
        ("gateway-0.gateway:9090", True),
        ("Gateway-0.Gateway", True),
        ("rebound.example:9000", False),
        ("127.0.0.1.rebound.example", False),
        ("localhost.rebound.example:9000", False),
        ("gateway-0.gateway.rebound.example", False),
        ("[rebound.example]:9000", False),
        ("", False),
        (":9000", False),
    ],
)
def test_host_is_an_address_localhost_or_a_name_that_was_told(
    host: str | None, is_right: bool
) -> None:
    assert is_known(host, {"gateway-0.gateway"}) is is_right


def test_host_of_a_url_is_its_name_alone() -> None:
    assert host_of_url("http://Gateway-0.gateway:9090/") == "gateway-0.gateway"
    assert host_of_url("http://[fd00::7]:9090") == "fd00::7"
    assert host_of_url("nonsense") == host_of_url("http://[") == ""


async def answer(
    *, method: str = "POST", kind: str = "http", hosts: set[str] | None = None, **headers: Any
) -> int:
    """The status of what comes back through the guard; 200 is the application's."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"status": 200})

    async def receive() -> Any:
        return {"type": f"{kind}.{'connect' if kind == 'websocket' else 'request'}"}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "headers": raw,
        "path": "/",
        "subprotocols": [],
    }
    scope["extensions"] = {"websocket.http.response": {}}
    await PageGuard(app, hosts)(scope, receive, send)
    status: int = sent[0]["status"]
    return status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_page_of_another_site_changes_nothing(method: str) -> None:
    assert await answer(method=method, host=HERE, origin=ELSEWHERE) == 403
    assert await answer(method=method, host=HERE, origin=f"http://{HERE}") == 200
    assert await answer(method=method, host=HERE) == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_changes_nothing_may_be_asked_from_anywhere(method: str) -> None:
    assert await answer(method=method, host=HERE, origin=ELSEWHERE) == 200


async def test_websocket_of_another_site_is_refused() -> None:
    assert await answer(kind="websocket", method="GET", host=HERE, origin=ELSEWHERE) == 403
    assert await answer(kind="websocket", method="GET", host=HERE, origin=f"http://{HERE}") == 200


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_name_that_was_pointed_here_is_refused_though_origin_and_host_agree(
    kind: str, method: str
) -> None:
    rebound: dict[str, Any] = {
        "host": "rebound.example:9000",
        "origin": "http://rebound.example:9000",
    }
    assert await answer(kind=kind, method=method, hosts=set(), **rebound) == 403
    assert await answer(kind=kind, method=method, hosts={"Rebound.Example"}, **rebound) == 200
    assert await answer(kind=kind, method=method, **rebound) == 200


async def test_start_and_end_of_the_process_pass() -> None:
    assert await answer(kind="lifespan", hosts=set()) == 200
