"""Settings models told for people: one row a setting, with everything that the model says of it (pure)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from .explain import model_in

__all__ = ["Group", "SettingRow", "groups_of", "variable_of", "variables_of"]

_KINDS_BY_UNIT = {"seconds": "duration", "bytes": "size", "port": "port"}
_KIB = 1024
_SIZES = (("MiB", _KIB * _KIB), ("KiB", _KIB))
_BOUNDS = {
    Ge: ("ge", "at least"),
    Gt: ("gt", "more than"),
    Le: ("le", "at most"),
    Lt: ("lt", "below"),
}


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting; texts as they stand in a table. ``path``: its names from the model down.

    ``unit`` is empty where there is none to tell: `is_number` tells whether there should be.
    """

    path: tuple[str, ...]
    kind: str
    default: str
    unit: str
    meaning: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The settings of one model; ``path`` leads to it, and is empty for a service's own."""

    path: tuple[str, ...]
    model: type[BaseModel]
    meaning: str
    rows: tuple[SettingRow, ...]


def groups_of(model: type[BaseModel]) -> tuple[Group, ...]:
    """The model's own settings, then those of each model within it."""
    return tuple(_groups(model, (), ""))


def variable_of(prefix: str, path: Sequence[str | int]) -> str:
    """The environment variable of a setting."""
    return prefix + "__".join(map(str, path)).upper()


def variables_of(prefix: str, model: type[BaseModel]) -> list[str]:
    """All that set something in ``model``."""
    return [variable_of(prefix, row.path) for group in groups_of(model) for row in group.rows]


def _groups(model: type[BaseModel], path: tuple[str, ...], meaning: str) -> Iterator[Group]:
    own = {n: f for n, f in model.model_fields.items() if model_in(f.annotation) is None}
    rows = tuple(_row((*path, name), field) for name, field in own.items())
    yield Group(path, model, meaning, rows)
    for name, field in model.model_fields.items():
        if nested := model_in(field.annotation):
            yield from _groups(nested, (*path, name), field.description or "")


def _row(path: tuple[str, ...], field: FieldInfo) -> SettingRow:
    unit = _unit_of(field)
    kind = _kind_of(path[-1], field.annotation, unit)
    bounds = "" if unit == "port" else ", ".join(_bounds(field.metadata))
    return SettingRow(
        path=path,
        kind=f"{kind}: {bounds}" if bounds else kind,
        default=_default_of(field) + _in_words(field, unit),
        unit=unit,
        meaning=field.description or "",
        is_number=_plain(field.annotation) in (int, float),
    )


def _unit_of(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _plain(annotation: Any) -> Any:
    """The type that an annotation means where it allows for None, too."""
    if type(None) not in get_args(annotation):
        return annotation
    return next(kind for kind in get_args(annotation) if kind is not type(None))


def _kind_of(name: str, annotation: Any, unit: str) -> str:
    plain = _plain(annotation)
    match get_origin(plain):
        case origin if origin is Literal:
            return "one of " + _listed(get_args(plain))
        case origin if origin is tuple:
            return f"list of {_element(get_args(plain)[0])}"
        case origin if origin is dict:
            return "JSON object"
    return _kind_of_one(name, plain, unit)


def _kind_of_one(name: str, plain: Any, unit: str) -> str:
    if plain in (int, float):
        return _KINDS_BY_UNIT.get(unit, "number" if plain is float else "whole number")
    if plain is str and name.endswith(("url", "address")):
        return "URL"
    return {bool: "`true` or `false`", Path: "path", SecretStr: "secret"}.get(plain, "text")


def _element(element: Any) -> str:
    if isinstance(element, type) and issubclass(element, Enum):
        return _listed(element)
    return "paths" if element is Path else "text"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _bounds(metadata: Iterable[Any]) -> Iterator[str]:
    for one in metadata:
        if type(one) in _BOUNDS:
            attribute, words = _BOUNDS[type(one)]
            yield f"{words} {_number(getattr(one, attribute))}"


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    value = field.get_default(call_default_factory=True)
    if value in (None, (), "", {}):
        return "—"
    match value:
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"`{_number(value)}`"
        case tuple():
            return f"`{','.join(value)}`"
        case _:
            return f"`{value}`"


def _number(value: float) -> str:
    """Whole ones without a point, none with an exponent."""
    return f"{value:.10f}".rstrip("0") if value % 1 else f"{value:.0f}"


def _in_words(field: FieldInfo, unit: str) -> str:
    """How large a size is, where it is a whole number of a larger unit."""
    size = field.default
    if unit != "bytes" or not isinstance(size, int) or size == 0 or size % _KIB:
        return ""
    unit, step = next((name, step) for name, step in _SIZES if size % step == 0)
    return f" ({size // step} {unit})"
