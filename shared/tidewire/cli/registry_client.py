"""Asks the registry what operators want to know; one sentence where it does not answer."""

from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from ..errors import TidewireError
from ..identity.internal_keys import InternalKeys, headers_of

__all__ = [
    "Device",
    "Disconnected",
    "Node",
    "Nodes",
    "RegistryAnswerError",
    "RegistryClient",
    "UserDevices",
]

_TIMEOUT = 10.0
_MAX_TOLD = 300


class RegistryAnswerError(TidewireError):
    """The registry cannot be reached, refuses, or answers what no registry answers."""


class Node(BaseModel):
    """A node as the registry lists it; ``load`` holds figures by name."""

    node: str
    slot: int
    address: str
    state: str
    is_live: bool
    sessions: int
    lease_ms_left: float
    load: dict[str, float] = {}


class Slots(BaseModel):
    total: int
    used: int


class Nodes(BaseModel):
    """``frozen``: leases do not expire, since too many would at once."""

    nodes: list[Node]
    slots: Slots
    frozen: bool = False


class Device(BaseModel):
    """One connection of a user; ``since_ms`` is Unix milliseconds, ``node`` None one that is gone."""

    connection: str
    node: str | None
    since_ms: int
    is_live: bool
    device: str | None = None


class UserDevices(BaseModel):
    user: str
    devices: list[Device]
    mailbox: dict[str, Any] | None = None


class NodeOutcome(BaseModel):
    """``error``: the node could not be told, and why."""

    node: str
    error: str | None = None


class Disconnected(BaseModel):
    connections: int
    nodes: list[NodeOutcome]


M = TypeVar("M", bound=BaseModel)


class RegistryClient:
    """Each call gives the answer as it came, for scripts, and as a model; raises `RegistryAnswerError`.

    ``keys``: what the registry asks for.
    """

    def __init__(self, url: str, keys: InternalKeys | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = headers_of(keys)

    def nodes(self) -> tuple[Any, Nodes]:
        return self._ask("GET", "/v1/nodes", Nodes)

    def user(self, user: str) -> tuple[Any, UserDevices]:
        return self._ask("GET", _path_of(user), UserDevices)

    def disconnect(self, user: str) -> tuple[Any, Disconnected]:
        return self._ask("POST", f"{_path_of(user)}/disconnect", Disconnected)

    def _ask(self, method: str, path: str, model: type[M]) -> tuple[Any, M]:
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
                answer = client.request(method, self._url + path, headers=self._headers)
        except (httpx.HTTPError, httpx.InvalidURL) as e:
            raise RegistryAnswerError(
                f"the registry at {self._url} cannot be reached ({str(e) or type(e).__name__}): "
                "start it, or name another with --registry URL"
            ) from None
        body = _json_of(answer)
        if not answer.is_success:
            raise RegistryAnswerError(_refusal(self._url, answer.status_code, body))
        try:
            return body, model.model_validate(body)
        except ValidationError:
            raise RegistryAnswerError(
                f"{self._url} does not answer as a registry does: name one with --registry URL"
            ) from None


def _path_of(user: str) -> str:
    # Dots too: a user called ".." must not become a step up.
    return f"/v1/users/{quote(user, safe='').replace('.', '%2E')}"


def _json_of(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _refusal(url: str, status: int, body: Any) -> str:
    """A problem's own words, where the answer is one."""
    told = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(told, str) or "type" not in body:
        return f"{url} answered {status}: is it a registry? name one with --registry URL"
    return f"the registry at {url} answered {status}: {told[:_MAX_TOLD]}"
