"""OpenAPI files are what services serve, are OpenAPI 3.1, and show an example of every answer."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from deploy.apidocs.rendering import as_json
from deploy.apidocs.services import apps
from fastapi import FastAPI
from schemathesis.specs.openapi.definitions import OPENAPI_31

from tidewire.config.streams import Stream
from tidewire.http.health import Stage
from tidewire.identity.internal_keys import InternalKeys
from tidewire.kafka.memory import MemoryBroker
from tidewire.telemetry.metrics import create_metrics
from tidewire_publisher.app import create_app as create_publisher
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.app import create_app as create_registry
from tidewire_registry.settings import RegistrySettings
from tidewire_registry.stores.memory import MemoryStore
from tidewire_router.app import create_app as create_router
from unit.docs.schemas import Json, references_in, resolved

ROOT = Path(__file__).parents[3]
NAMES = ("gateway", "gateway-internal", "publisher", "registry", "router")
DOCUMENTS: dict[str, Json] = {
    name: json.loads((ROOT / "docs" / "api" / f"openapi-{name}.json").read_text(encoding="utf-8"))
    for name in NAMES
}
OPENAPI = jsonschema_rs.validator_for(OPENAPI_31)
EMPTY = {"204", "304"}


def test_a_document_is_completed_once() -> None:
    for app in apps().values():
        app.openapi()["components"].clear()
        assert app.openapi()["components"] == {}


@pytest.fixture(scope="module")
def running() -> dict[str, FastAPI]:
    return dict(apps())


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def bodies(document: Json) -> Iterator[tuple[str, Json]]:
    """Every kind of body that an answer may have, and whose."""
    for label, operation in operations(document):
        for status, response in operation["responses"].items():
            for media_type, shown in response.get("content", {}).items():
                yield f"{label} {status} {media_type}", shown


def examples_in(shown: Json) -> list[Any]:
    named = [example["value"] for example in shown.get("examples", {}).values()]
    return named + ([shown["example"]] if "example" in shown else [])


@pytest.mark.parametrize("name", NAMES)
def test_file_is_what_the_service_says(name: str, running: dict[str, FastAPI]) -> None:
    written = as_json(running[name].openapi())
    path = ROOT / "docs" / "api" / f"openapi-{name}.json"
    assert path.read_text(encoding="utf-8") == written, "run `make api-docs`"
    assert as_json(running[name].openapi()) == written, "asked twice"


@pytest.mark.parametrize("name", NAMES)
async def test_service_serves_its_file(name: str, running: dict[str, FastAPI]) -> None:
    transport = httpx.ASGITransport(running[name])
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        served = await client.get("/openapi.json")
    assert served.json() == DOCUMENTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_file_is_valid_openapi_and_its_references_lead_somewhere(name: str) -> None:
    document = DOCUMENTS[name]
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OPENAPI.iter_errors(document)] == []
    for reference in references_in(document):
        assert isinstance(resolved(document, reference), dict), reference


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d["info"].pop("title"),
        lambda d: d.update(openapi="3.0.0"),
        lambda d: d["paths"]["/v1/push"]["post"].update(responses={"ok": {}}),
        lambda d: d["paths"]["/v1/push"]["post"]["responses"]["200"].pop("description"),
        lambda d: d.update({"routes": {}}),
    ],
)
def test_schema_of_openapi_finds_damage(damage: Any) -> None:
    document = copy.deepcopy(DOCUMENTS["publisher"])
    damage(document)
    assert not OPENAPI.is_valid(document)


@pytest.mark.parametrize("name", NAMES)
def test_operations_have_names_of_their_own_and_say_what_they_do(name: str) -> None:
    told = [operation for _, operation in operations(DOCUMENTS[name])]
    names = [operation["operationId"] for operation in told]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] for operation in told)


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_has_an_example_that_fits_its_schema(name: str) -> None:
    document = DOCUMENTS[name]
    for label, operation in operations(document):
        for status, response in operation["responses"].items():
            assert response["description"], (label, status)
            assert response.get("content") or status in EMPTY, (label, status)
    seen = 0
    for label, shown in bodies(document):
        examples = examples_in(shown)
        assert examples, label
        schema = {**shown["schema"], "components": document["components"]}
        for example in examples:
            jsonschema_rs.Draft202012Validator(schema).validate(example)
            seen += 1
    assert seen


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_refusals_have_the_status_that_they_are_shown_for(name: str) -> None:
    for label, shown in bodies(DOCUMENTS[name]):
        if label.endswith("application/problem+json"):
            for example in examples_in(shown):
                assert f" {example['status']} " in label, label
                assert example["type"].startswith("urn:tidewire:problem:")


@pytest.mark.parametrize("name", ["gateway-internal", "registry"])
def test_internal_ports_say_that_they_ask_for_the_key_and_refuse_pages_of_others(name: str) -> None:
    for label, operation in operations(DOCUMENTS[name]):
        method, path = label.split()
        is_open = path in {"/healthz", "/readyz", "/startupz", "/metrics"}
        assert ("401" in operation["responses"]) is not is_open, label
        if method not in {"get", "head"}:
            assert "403" in operation["responses"], label


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


def shown(name: str, operation_id: str, status: int) -> Any:
    """The example of an answer."""
    for _, operation in operations(DOCUMENTS[name]):
        if operation["operationId"] == operation_id:
            [kind] = operation["responses"][str(status)]["content"].values()
            [example] = examples_in(kind)
            return example
    raise LookupError(operation_id)


def told(answer: httpx.Response) -> dict[str, Any]:
    return {name: answer.json()[name] for name in ("type", "title", "status")}


def same(answer: httpx.Response, name: str, operation_id: str) -> bool:
    """Whether an answer is of the kind that the document shows."""
    example = shown(name, operation_id, answer.status_code)
    return told(answer) == {member: example[member] for member in ("type", "title", "status")}


async def test_refusals_of_the_publisher_are_of_the_kinds_that_are_shown() -> None:
    app = create_publisher(
        PublisherSettings(streams=ROOT / "streams.yaml", dev=True, max_body_bytes=2048),
        streams={"flights": Stream(topic="flights")},
        verifier=None,
        writer=MemoryBroker().writer(),
    )
    json_type = {"content-type": "application/json"}
    async with client_of(app) as client:
        for path, body, headers, status in [
            ("/v1/events/flights", b"{", json_type, 400),
            ("/v1/events/nope", b"{}", json_type, 404),
            ("/v1/events/flights", b" " * 3000, json_type, 413),
            ("/v1/events/flights", b"{}", {"content-type": "text/plain"}, 415),
            ("/v1/events/flights", b'{"data": 1}', json_type, 422),
        ]:
            answer = await client.post(path, content=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert same(answer, "publisher", "publish"), answer.text


async def test_refusals_of_the_registry_are_of_the_kinds_that_are_shown() -> None:
    keys = InternalKeys(("k" * 32,))
    app = create_registry(RegistrySettings(), store=MemoryStore(lambda: 0), keys=keys)
    shows = {"authorization": f"Bearer {'k' * 32}"}
    async with client_of(app) as client:
        for body, headers, status in [
            (b"{}", {}, 401),
            (b"{}", shows | {"origin": "https://elsewhere.example"}, 403),
            (b"{", shows, 400),
            (b"{}", shows, 422),
        ]:
            answer = await client.post("/v1/nodes", content=body, headers=headers)
            assert answer.status_code == status, answer.text
            assert same(answer, "registry", "register"), answer.text
        answer = await client.get("/v1/nodes/nobody/sessions", headers=shows)
        assert (answer.status_code, same(answer, "registry", "node_sessions")) == (404, True)


@pytest.mark.parametrize("stage", Stage)
async def test_health_answers_what_is_shown(stage: Stage) -> None:
    async with client_of(create_router(lambda: stage, create_metrics("router"))) as client:
        for path in ("healthz", "startupz"):
            answer = await client.get(f"/{path}")
            assert answer.text.strip() == shown("router", path, answer.status_code)
        answer = await client.get("/readyz")
        assert answer.status_code == (200 if stage is Stage.READY else 503)
