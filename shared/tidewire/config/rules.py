"""Contradictions between settings: what a rule is, and which of them a configuration breaks (pure).

Settings go by dotted names: ``gateway.limits.high_water``; those of one of several streams by ``stream.topic``, and by
``other.topic`` where a second one of the same topic is held against it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, combinations
from typing import Any

from pydantic import BaseModel

from .redaction import redact

__all__ = ["SERVICES", "Facts", "Finding", "Rule", "Severity", "facts_of", "find", "service_of"]

Facts = Mapping[str, Any]
SERVICES = ("gateway", "publisher", "registry", "router")
_LABELS = {
    "file.public": "public streams",
    "file.is_same": "the same file for both",
    "machine.descriptors": "ulimit -Hn",
    "plan.grace": "--grace",
    "plan.nodes": "--nodes",
}
_STREAM, _OTHER = "stream.", "other."


class Severity(StrEnum):
    ERROR = "error"
    """Something that was asked for will not work."""
    WARNING = "warning"
    """It works, and not as one would think."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``is_broken`` is given the values of ``settings``, in their order; ``why`` goes on after the first one's name."""

    name: str
    settings: tuple[str, ...]
    is_broken: Callable[..., bool]
    why: str
    cure: str
    severity: Severity = Severity.WARNING


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken; ``values`` by the names that people set them by, secrets masked."""

    rule: Rule
    values: Mapping[str, str]

    def __str__(self) -> str:
        told = ", ".join(f"{name}={value}" for name, value in self.values.items())
        return f"{next(iter(self.values))}: {self.rule.why}; {self.rule.cure} ({told})"


def find(
    rules: Iterable[Rule], facts: Facts, streams: Mapping[str, BaseModel] | None = None
) -> list[Finding]:
    """What is broken, in the order of ``rules``; one that names a setting that is not known here says nothing."""
    scopes = _scopes(facts, streams or {})
    return [
        Finding(rule, {_label(name, scope): _shown(name, scope[name]) for name in rule.settings})
        for rule in rules
        for scope in scopes[_reach(rule)]()
        if all(name in scope for name in rule.settings)
        and rule.is_broken(*(scope[name] for name in rule.settings))
    ]


def facts_of(place: str, model: BaseModel) -> dict[str, Any]:
    """The values of a model by their dotted names; ``place`` stands before each."""
    facts: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            facts |= facts_of(f"{place}.{name}", value)
        else:
            facts[f"{place}.{name}"] = value
    return facts


def service_of(prefix: str) -> str:
    """The service whose settings have this prefix: ``TIDEWIRE_GATEWAY__`` is that of ``gateway``."""
    return prefix.removeprefix("TIDEWIRE_").removesuffix("__").lower()


def _reach(rule: Rule) -> str:
    beginnings = {name.partition(".")[0] for name in rule.settings}
    return next((kind for kind in ("other", "stream") if kind in beginnings), "one")


def _scopes(
    facts: Facts, streams: Mapping[str, BaseModel]
) -> dict[str, Callable[[], Iterable[Facts]]]:
    """What rules of each reach are asked of; pairs of streams are many, and are made one after the other."""
    told: dict[str, Facts] = {n: facts_of("stream", stream) for n, stream in streams.items()}
    each: list[Facts] = [{**facts, **own, "stream": name} for name, own in told.items()]
    return {"one": lambda: [facts], "stream": lambda: each, "other": lambda: _pairs(told)}


def _pairs(told: Mapping[str, Facts]) -> Iterator[Facts]:
    sharing: dict[Any, list[tuple[str, Facts, Facts]]] = {}
    for name, own in told.items():
        beside: Facts = {_OTHER + key.removeprefix(_STREAM): value for key, value in own.items()}
        sharing.setdefault(own["stream.topic"], []).append((name, own, beside))
    for (name, own, _), (other, _, beside) in chain.from_iterable(
        combinations(streams, 2) for streams in sharing.values()
    ):
        yield {**own, **beside, "stream": name, "other": other}


def _label(name: str, scope: Facts) -> str:
    if name in _LABELS:
        return _LABELS[name]
    first, _, rest = name.partition(".")
    if first in SERVICES:
        return f"TIDEWIRE_{first}__{rest.replace('.', '__')}".upper()
    return f"streams.{scope[first]}.{rest}"


def _shown(name: str, value: Any) -> str:
    match value:
        case None | () | "":
            return "(none)"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.10g}"
        case tuple() | list() | frozenset():
            return ",".join(map(str, value))
        case _:
            return str(redact(name.rpartition(".")[2], str(value)))
