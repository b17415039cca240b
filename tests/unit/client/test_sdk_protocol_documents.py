"""The published protocol documents say what the golden frames say."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidewire.protocol.codec import decode_frame
from tidewire.protocol.codes import CloseCode, ErrorCode, FeedState, GapReason, Mode, Recovered
from tidewire.protocol.errors import ProtocolError
from tidewire_client.codec import decode
from unit.docs.schemas import references_in

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests" / "vectors" / "protocol"
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
ASYNCAPI: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text("utf-8"))
MESSAGES: dict[str, Any] = ASYNCAPI["components"]["messages"]

Json = dict[str, Any]


def vectors(name: str) -> list[Json]:
    found: list[Json] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return found


CLIENT_FRAMES = vectors("client_frames.json")
SERVER_FRAMES = vectors("server_frames.json")


def frames_in_document(side: str) -> list[str]:
    return re.findall(rf"^```json {side}\n(.+?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_null(item) for name, item in value.items() if item is not None}
    return value


def messages_of(frames: list[Json]) -> Iterator[tuple[str, Json]]:
    for vector in frames:
        parsed = json.loads(vector["frame"])
        for message in parsed if isinstance(parsed, list) else [parsed]:
            yield vector["name"], message


def schema_name(type_: str) -> str:
    first, *others = type_.split("_")
    return first + "".join(word.capitalize() for word in others)


def resolved(reference: str) -> Any:
    found: Any = ASYNCAPI
    for step in reference.removeprefix("#/").split("/"):
        found = found[step]
    return found


PYTHON_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
}


def fits(value: Any, schema: Json) -> bool:
    """Whether a value satisfies the part of JSON Schema that the document uses."""
    return all(rule(value, schema, schema[name]) for name, rule in RULES.items() if name in schema)


def fits_properties(value: Any, schema: Json, properties: Json) -> bool:
    return all(fits(value[name], sub) for name, sub in properties.items() if name in value)


def fits_others(value: Any, schema: Json, others: Json) -> bool:
    named = schema.get("properties", {})
    return all(fits(item, others) for name, item in value.items() if name not in named)


RULES: dict[str, Any] = {
    "$ref": lambda v, s, target: fits(v, resolved(target)),
    "const": lambda v, s, const: v == const and isinstance(v, bool) == isinstance(const, bool),
    "enum": lambda v, s, choices: v in choices,
    "type": lambda v, s, name: PYTHON_TYPES[name](v),
    "required": lambda v, s, names: isinstance(v, dict) and all(name in v for name in names),
    "anyOf": lambda v, s, schemas: any(fits(v, each) for each in schemas),
    "oneOf": lambda v, s, schemas: sum(fits(v, each) for each in schemas) == 1,
    "properties": lambda v, s, each: isinstance(v, dict) and fits_properties(v, s, each),
    "additionalProperties": lambda v, s, each: isinstance(v, dict) and fits_others(v, s, each),
    "propertyNames": lambda v, s, each: isinstance(v, dict) and all(fits(n, each) for n in v),
    "items": lambda v, s, each: isinstance(v, list) and all(fits(item, each) for item in v),
    "minItems": lambda v, s, least: isinstance(v, list) and len(v) >= least,
    "maxItems": lambda v, s, most: isinstance(v, list) and len(v) <= most,
    "minimum": lambda v, s, least: isinstance(v, int) and v >= least,
    "maximum": lambda v, s, most: isinstance(v, int) and v <= most,
    "minLength": lambda v, s, least: isinstance(v, str) and len(v) >= least,
    "maxLength": lambda v, s, most: isinstance(v, str) and len(v) <= most,
    "pattern": lambda v, s, text: (
        isinstance(v, str) and re.fullmatch(text.strip("^$"), v) is not None
    ),
}
NOT_CHECKED = {"description", "default", "format"}


def schemas_within(schema: Any) -> Iterator[Json]:
    """A schema and every schema in it."""
    yield schema
    for name in ("properties",):
        for each in schema.get(name, {}).values():
            yield from schemas_within(each)
    for name in ("items", "additionalProperties", "propertyNames"):
        if name in schema:
            yield from schemas_within(schema[name])
    for name in ("anyOf", "oneOf"):
        for each in schema.get(name, ()):
            yield from schemas_within(each)


def test_every_json_frame_of_the_document_says_whose_it_is() -> None:
    marked = len(frames_in_document("client")) + len(frames_in_document("server"))
    assert DOCUMENT.count("```json") == marked > 15
    assert DOCUMENT.count("```") == 2 * marked


@pytest.mark.parametrize("frame", frames_in_document("client"))
def test_client_frame_of_the_document_is_a_vector_and_is_understood(frame: str) -> None:
    assert frame in {vector["frame"] for vector in CLIENT_FRAMES}
    assert not any(isinstance(message, ProtocolError) for message in decode_frame(frame))


@pytest.mark.parametrize("frame", frames_in_document("server"))
def test_server_frame_of_the_document_is_a_vector_and_is_understood(frame: str) -> None:
    assert frame in {vector["frame"] for vector in SERVER_FRAMES}
    assert len(decode(frame)) == 1


@pytest.mark.parametrize(
    "word",
    [*ErrorCode, *Mode, *Recovered, *GapReason, *FeedState]
    + [
        schema_name_
        for _, message in messages_of(SERVER_FRAMES)
        for schema_name_ in [message["type"]]
    ],
)
def test_document_explains_every_word_that_travels(word: str) -> None:
    assert f"`{word}`" in DOCUMENT


def test_document_lists_every_close_code_of_the_protocol() -> None:
    for code in CloseCode:
        if code >= 3000:
            assert f"\n| {int(code)} |" in DOCUMENT


@pytest.mark.parametrize("side", ["Client to server", "Server to client"])
def test_tables_of_the_document_have_the_fields_of_the_schemas(side: str) -> None:
    section = DOCUMENT.split(f"\n## {side}\n")[1].strip().split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE)
    assert len(rows) == (5 if side == "Client to server" else 11)
    for type_, cell in rows:
        payload = ASYNCAPI["components"]["schemas"][schema_name(type_)]["properties"]["payload"]
        required = payload.get("required", [])
        fields = [n if n in required else f"{n}?" for n in payload.get("properties", {})]
        assert re.findall(r"`(\w+\??)`", cell) == fields, type_


def test_references_of_the_asyncapi_document_lead_somewhere() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    for reference in references_in(ASYNCAPI):
        assert isinstance(resolved(reference), dict), reference


def test_asyncapi_document_has_every_message_of_the_protocol() -> None:
    spoken = {message["type"] for _, message in messages_of(SERVER_FRAMES)}
    understood = {m["type"] for vector in CLIENT_FRAMES for m in vector.get("messages", [])}
    assert {message["name"] for message in MESSAGES.values()} == spoken | understood | {"record"}
    assert set(ASYNCAPI["channels"]["connection"]["messages"]) == set(MESSAGES) - {"record"}
    for name in map(schema_name, understood):
        assert ASYNCAPI["operations"][name]["action"] == "receive"
    replies = {"welcome", "subscribed", "refreshed"}
    pushed = {
        r.rpartition("/")[2] for r in references_in(ASYNCAPI["operations"]["push"]["messages"])
    }
    assert pushed == spoken - replies


def test_schema_check_of_this_module_knows_every_rule_that_the_document_uses() -> None:
    for schema in ASYNCAPI["components"]["schemas"].values():
        for each in schemas_within(schema):
            assert set(each) <= set(RULES) | NOT_CHECKED


@pytest.mark.parametrize("name", MESSAGES)
def test_examples_of_the_asyncapi_document_fit_their_schemas_and_are_vectors(name: str) -> None:
    message = MESSAGES[name]
    golden = [parsed for _, parsed in messages_of(SERVER_FRAMES)]
    golden += [json.loads(v["frame"]) for v in CLIENT_FRAMES if "error" not in v]
    assert message["examples"]
    for example in message["examples"]:
        assert fits(example["payload"], message["payload"])
        if name == "record":
            assert fits(example["headers"], message["headers"])
        else:
            assert example["payload"] in golden


def test_every_golden_server_message_fits_its_schema_and_uses_all_of_it() -> None:
    seen: dict[str, list[set[str]]] = {}
    for name, message in messages_of(SERVER_FRAMES):
        schema = ASYNCAPI["components"]["schemas"][schema_name(message["type"])]
        assert fits(message, schema), name
        seen.setdefault(message["type"], []).append(set(message["payload"]))
    for type_, fields in seen.items():
        payload = ASYNCAPI["components"]["schemas"][schema_name(type_)]["properties"]["payload"]
        assert set.union(*fields) == set(payload.get("properties", {})), type_
        assert set.intersection(*fields) == set(payload.get("required", [])), type_


def test_every_golden_request_fits_its_schema_and_faulty_ones_do_not() -> None:
    known = {schema_name(t): t for t in ("hello", "subscribe", "update_subscription")}
    known |= {t: t for t in ("unsubscribe", "refresh")}
    types = {type_: name for name, type_ in known.items()}
    for vector in CLIENT_FRAMES:
        try:
            parsed = json.loads(vector["frame"])
        except (ValueError, RecursionError):
            continue
        if not isinstance(parsed, dict) or parsed.get("type") not in types:
            continue
        schema = ASYNCAPI["components"]["schemas"][types[parsed["type"]]]
        if "error" not in vector:
            assert fits(without_null(parsed), schema), vector["name"]
        elif vector["error"]["code"] == "bad_request":
            assert not fits(parsed, schema), vector["name"]
