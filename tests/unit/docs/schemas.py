"""Schemas of a document with components, made into validators; what may be wrong with a message."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs

__all__ = ["Json", "references_in", "resolved", "spoilt", "validator_of"]

Json = dict[str, Any]
_WRONG: tuple[Any, ...] = ([], "wrong", 1.5, None)


def validator_of(document: Json, reference: str) -> jsonschema_rs.Draft7Validator:
    """Of the schema at a reference; the others are within its reach. Draft 7 is what AsyncAPI's schemas are."""
    return jsonschema_rs.Draft7Validator({"$ref": reference, "components": document["components"]})


def references_in(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name == "$ref":
                yield item
            else:
                yield from references_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from references_in(item)


def resolved(document: Json, reference: str) -> Any:
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/")]
    return found


def spoilt(message: Json, path: tuple[str, ...]) -> Iterator[Json]:
    """The message without what is at the path, and with something of another type there."""
    *to, last = path
    for wrong in (..., *_WRONG):
        changed = copy.deepcopy(message)
        place = changed
        for step in to:
            place = place[step]
        if wrong is ...:
            del place[last]
        elif type(wrong) is type(place[last]):
            continue
        else:
            place[last] = wrong
        yield changed
