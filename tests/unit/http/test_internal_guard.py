"""Who gets through to an internal port."""

import json
from typing import Any

import pytest

from tidewire.http.internal_guard import OPEN_PATHS, InternalGuard
from tidewire.identity.internal_keys import InternalKeys

NEW, OLD, OTHER = (digit * 64 for digit in "abc")
SETTING = "TIDEWIRE_THING__INTERNAL_KEY_FILE"


class Port:
    """A guarded application that answers 200."""

    def __init__(self) -> None:
        self._guard = InternalGuard(self._app, InternalKeys([NEW, OLD]), SETTING)

    async def ask(
        self, authorization: str | None = None, *, kind: str = "http", path: str = "/v1/nodes"
    ) -> list[Any]:
        """What comes back."""
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": f"{kind}.{'connect' if kind == 'websocket' else 'request'}"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [] if authorization is None else [(b"authorization", authorization.encode())]
        scope: dict[str, Any] = {
            "type": kind,
            "method": "GET",
            "path": path,
            "headers": headers,
            "client": ("192.0.2.7", 5000),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        await self._guard(scope, receive, send)
        return sent

    async def status(self, *arguments: Any, **options: Any) -> int:
        status: int = (await self.ask(*arguments, **options))[0]["status"]
        return status

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"status": 200})


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("shown", "status"),
    [
        (f"Bearer {NEW}", 200),
        (f"bearer {OLD}", 200),
        (f"Bearer {OTHER}", 401),
        (f"Bearer {NEW[:-1]}", 401),
        (f"Bearer {NEW},{OLD}", 401),
        (f"Basic {NEW}", 401),
        (NEW, 401),
        ("Bearer ", 401),
        ("Bearer \u00e4", 401),
        (None, 401),
    ],
)
async def test_only_a_key_of_the_file_opens(
    port: Port, kind: str, shown: str | None, status: int
) -> None:
    assert await port.status(shown, kind=kind) == status


@pytest.mark.parametrize("path", sorted(OPEN_PATHS))
async def test_health_and_metrics_are_open(port: Port, path: str) -> None:
    assert await port.status(path=path) == 200
    assert await port.status(path=path, kind="websocket") == 401
    for near in (f"{path}/", f"/{path}", path.upper(), f"/x{path}", "/openapi.json", "/"):
        assert await port.status(path=near) == 401


@pytest.mark.parametrize(
    ("shown", "kind", "challenge"),
    [
        (None, "internal-key-missing", 'Bearer realm="tidewire internal"'),
        (
            f"Bearer {OTHER}",
            "internal-key-wrong",
            'Bearer realm="tidewire internal", error="invalid_token"',
        ),
    ],
)
async def test_refusal_is_a_problem_that_names_the_setting(
    port: Port, shown: str | None, kind: str, challenge: str
) -> None:
    start, body = await port.ask(shown)
    headers = {name.decode(): text.decode() for name, text in start["headers"]}
    assert headers["content-type"] == "application/problem+json"
    assert headers["www-authenticate"] == challenge
    problem = json.loads(body["body"])
    assert problem["type"] == f"urn:tidewire:problem:{kind}"
    assert SETTING in problem["detail"]
    assert not {key for key in (NEW, OLD, OTHER) if key in body["body"].decode()}


async def test_refusal_is_logged_without_what_was_shown(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    await port.ask(f"Bearer {OTHER}")
    await port.ask(f"Bearer {NEW}")
    await port.ask(path="/healthz")
    (record,) = caplog.records
    told: Any = record.msg
    assert told["event"] == "refused without the internal key"
    assert (told["client"], told["kind"]) == ("192.0.2.7", "internal-key-wrong")
    assert OTHER not in repr(told)


async def test_start_and_end_of_the_process_pass(port: Port) -> None:
    assert await port.status(kind="lifespan") == 200
