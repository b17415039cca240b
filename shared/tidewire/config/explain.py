"""Validation errors as sentences that name the cure (pure)."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from .redaction import redact

__all__ = ["did_you_mean", "explain", "known_keys", "model_in"]

_PATTERNS = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text; put it in quotes",
    "string_too_short": "must not be shorter than {min_length} characters",
    "string_too_long": "must not be longer than {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "list_type": "must be a list",
    "tuple_type": "must be a list, such as [a, b]",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "path_type": "must be a path",
}
_MAX_SHOWN = 60


def explain(
    error: ErrorDetails, known: Sequence[str], shapes: Mapping[str, str], *, secret: bool = False
) -> str:
    """One sentence for one pydantic error.

    ``known``: the keys that may stand beside the one at fault; ``shapes``: for a key, words for what
    its pattern demands; ``secret``: do not show the value.
    """
    kind, place = error["type"], error["loc"]
    if kind == "extra_forbidden":
        return f"unknown key; {did_you_mean(str(place[-1]), known)}"
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "too_short":
        return "must not be empty"
    leaf = str(place[-1]) if place else ""
    if kind == "string_pattern_mismatch" and leaf in shapes:
        said = shapes[leaf]
    else:
        said = _PATTERNS.get(kind, error["msg"][:1].lower() + error["msg"][1:])
        said = said.format_map(_Context(error.get("ctx", {})))
    return said if secret else f"{said} (is {_shown(redact(leaf, error['input']))})"


def did_you_mean(word: str, known: Sequence[str], otherwise: str = "") -> str:
    """What was meant; where nothing is like it ``otherwise``, by default all that is known."""
    close = get_close_matches(word.lower(), {k.lower(): k for k in known}, n=1, cutoff=0.6)
    if close:
        return f"did you mean {next(k for k in known if k.lower() == close[0])!r}?"
    return otherwise or f"known: {', '.join(known)}"


def known_keys(model: type[BaseModel], path: Sequence[str | int]) -> tuple[str, ...]:
    """The keys that may stand at ``path`` inside ``model``; empty where any may."""
    here: Any = model
    for step in path:
        if nested := model_in(here):
            field = nested.model_fields.get(str(step))
            here = field.annotation if field else None
        else:
            here = get_args(here)[-1] if get_args(here) else None
    nested = model_in(here)
    return tuple(nested.model_fields) if nested else ()


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation names itself or as an alternative of a union, never inside dict or tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if isinstance(annotation, type) or getattr(annotation, "__origin__", None) in (dict, tuple):
        return None
    return next((m for m in map(model_in, get_args(annotation)) if m), None)


def _shown(value: object) -> str:
    if value is None:
        return "empty"
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


class _Context(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"
