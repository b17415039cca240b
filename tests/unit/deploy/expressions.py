"""What PromQL expressions ask for, held against what Tidewire's processes expose.

No grammar: promtool parses the same expressions (`tests/integration/deploy`). Here names and labels are looked up.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from tidewire.telemetry.metric_table import EVERY_SERVICE, METRICS
from tidewire.telemetry.metrics import create_metrics

__all__ = ["TARGET", "Asked", "Labels", "Series", "asked_by", "exposed", "problems"]

Labels = dict[str, frozenset[str] | None]
Series = dict[str, Labels]
"""By metric, its labels and the values that they may have; None: any."""

TARGET: Labels = dict.fromkeys(("job", "instance", "namespace"))
"""The labels that Prometheus itself puts to what it scrapes."""

OF_PROMETHEUS: Series = {
    "up": TARGET,
    "ALERTS": TARGET | dict.fromkeys(("alertname", "alertstate", "severity")),
}

_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<range>\[[^\]]*\])"""
    r"""|(?P<name>[A-Za-z_:][\w:]*)|(?P<number>[\d.]+\w*)|(?P<operator>=~|!~|!=|==|>=|<=|\S)"""
)
_GROUPING = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_WORDS = frozenset({"and", "or", "unless", "bool", "offset"})
_AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile"})


@dataclass(frozen=True, slots=True)
class Asked:
    """``selectors``: metrics with their matchers (label, operator, value); ``groupings``: labels to sum by or match on."""

    selectors: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...]
    groupings: frozenset[str]


@cache
def exposed() -> Series:
    """Everything that any service's `/metrics` may show, and what Prometheus adds."""
    found: dict[str, dict[str, set[str]]] = {}
    for service in sorted({spec.service for spec in METRICS} - {EVERY_SERVICE}):
        text = create_metrics(service).render()[0].decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = found.setdefault(sample.name, {})
                for label, value in sample.labels.items():
                    labels.setdefault(label, set()).add(value)
    series = dict(OF_PROMETHEUS)
    for name, labels in found.items():
        series[name] = TARGET | {label: frozenset(values) for label, values in labels.items()}
    return series


def asked_by(expression: str) -> Asked:
    """What the expression asks for; it has to be one that promtool parses."""
    tokens = list(_tokens(expression))
    selectors, groupings, at = [], set[str](), 0
    while at < len(tokens):
        kind, word = tokens[at]
        following = tokens[at + 1][1] if at + 1 < len(tokens) else ""
        at += 1
        if word == "{":
            raise AssertionError(f"a selector without a metric's name: {expression}")
        if kind != "name" or word in _WORDS or word in _AGGREGATIONS:
            continue
        if word in _GROUPING:
            labels, at = _until(tokens, at + 1, ")") if following == "(" else ([], at)
            groupings.update(text for kind, text in labels if kind == "name")
        elif following == "{":
            matchers, at = _until(tokens, at + 1, "}")
            selectors.append((word, tuple(_matchers(matchers))))
        elif following != "(":
            selectors.append((word, ()))
    return Asked(tuple(selectors), frozenset(groupings))


def problems(expression: str, known: Series) -> list[str]:
    """Names, labels and values in the expression that nothing exposes."""
    asked, found = asked_by(expression), []
    if not asked.selectors and "vector(" not in expression:
        found.append("asks for no metric")
    for metric, matchers in asked.selectors:
        if metric not in known:
            found.append(f"unknown metric {metric}")
            continue
        for label, operator, value in matchers:
            found += _problems_of(metric, label, operator, value, known)
    labels = {label for metric, _ in asked.selectors for label in known.get(metric, ())}
    found += [f"no metric here has the label {label}" for label in asked.groupings - labels]
    return found


def _problems_of(metric: str, label: str, operator: str, value: str, known: Series) -> list[str]:
    if label not in known[metric]:
        return [f"{metric} has no label {label}"]
    values = known[metric][label]
    if values is None or value.startswith("$"):
        return []
    wanted = value.split("|") if operator in {"=~", "!~"} else [value]
    return [
        f"{metric} has no {label} {one!r}"
        for one in wanted
        if not _is_there(one, values, is_pattern=operator in {"=~", "!~"})
    ]


def _is_there(wanted: str, values: Iterable[str], *, is_pattern: bool) -> bool:
    if is_pattern:
        return any(re.fullmatch(wanted, value) for value in values)
    return wanted in values


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(expression):
        kind = match.lastgroup
        assert kind is not None
        yield kind, match.group()


def _until(
    tokens: list[tuple[str, str]], start: int, end: str
) -> tuple[list[tuple[str, str]], int]:
    """The tokens from ``start`` to the next ``end``, and where one goes on after it."""
    stop = next(at for at in range(start, len(tokens)) if tokens[at][1] == end)
    return tokens[start:stop], stop + 1


def _matchers(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    words = [text for _, text in tokens if text != ","]
    for label, operator, value in zip(words[::3], words[1::3], words[2::3], strict=True):
        yield label, operator, value[1:-1]
