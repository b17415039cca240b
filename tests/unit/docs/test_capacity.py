"""docs/capacity.md: each figure is what was recorded, each sum comes out."""

import ast
import json
import math
import operator
import re
from collections.abc import Callable, Mapping
from functools import cache, reduce
from statistics import median
from typing import Any, Final

import pytest
import yaml

from harness.markdown import blocks_of
from unit.docs import pages

DOCUMENT: Final = "docs/capacity.md"
RESULTS: Final = "benchmarks/gateway/results/whole.json"
BY_HAND: Final = {"key_bytes"}
"""What no benchmark records."""

_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., float]]] = {"ceil": math.ceil, "min": min, "max": max}


def figures() -> dict[str, tuple[str, str]]:
    """What is quoted, and where from, by name."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d.]+) \| .+ \| (.+) \|$", pages.text(DOCUMENT), re.MULTILINE
    )
    return {name: (value, source) for name, value, source in rows}


@cache
def samples() -> dict[tuple[str, str, str], list[float]]:
    found: dict[tuple[str, str, str], list[float]] = {}
    for sample in json.loads(pages.text(RESULTS))["samples"]:
        for field, value in sample["values"].items():
            found.setdefault((sample["load"], sample["contender"], field), []).append(value)
    return found


def as_written(value: float, written: str) -> str:
    """The value, rounded to the last digit that stands there."""
    whole, _, fraction = written.partition(".")
    if fraction:
        return f"{value:.{len(fraction)}f}"
    return str(int(round(value, len(whole.rstrip("0")) - len(whole))))


def is_recorded(source: str, value: str) -> bool:
    """Of benchmarks the median, rounded; of settings and the chart the value itself."""
    if source.startswith("whole.json: "):
        load, contender, field = source.removeprefix("whole.json: ").split(" / ")
        return as_written(median(samples()[load, contender, field]), value) == value
    place, _, words = source.partition(": ")
    if place.startswith("TIDEWIRE_"):
        return float(str(pages.default_of(place))) == float(value)
    if place.startswith("helm/"):
        values = yaml.safe_load(pages.text(place))
        return str(reduce(lambda at, part: at[part], words.split("."), values)) == value
    return words in pages.flowing(place) and value in re.findall(r"\d+(?:\.\d+)?", words)


@pytest.mark.parametrize("name", figures())
def test_figure_is_what_was_recorded(name: str) -> None:
    value, source = figures()[name]
    if name in BY_HAND:
        assert source.startswith("by hand, 20")
    else:
        assert is_recorded(source.strip("`"), value)


def sums() -> list[tuple[str, str, str]]:
    """Name, formula and, where it is no input, the result that stands there; in order."""
    lines = [
        line.partition("#")[0].strip()
        for block in blocks_of(pages.text(DOCUMENT))
        if block.language == "capacity"
        for line in block.text.splitlines()
    ]
    found = []
    for line in filter(None, lines):
        name, formula, *result = (part.strip() for part in line.split("="))
        found.append((name, formula, result[0] if result else ""))
    return found


def worked_out(formula: str, names: Mapping[str, float]) -> float:
    def value(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return names[name]
            case ast.BinOp(left=left, op=op, right=right):
                return _OPERATORS[type(op)](value(left), value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return _FUNCTIONS[name](*map(value, arguments))
        raise AssertionError(f"{formula}: cannot be worked out")

    return value(ast.parse(formula, mode="eval").body)


def test_every_sum_comes_out() -> None:
    names = {name: float(value) for name, (value, _) in figures().items()}
    wrong: list[str] = []
    for name, formula, result in sums():
        assert name not in names, f"{name} is there twice"
        names[name] = worked_out(formula, names)
        if result and as_written(names[name], result) != result:
            wrong.append(f"{name} = {formula} = {names[name]:.5g}, not {result}")
    assert wrong == []


def test_there_are_sums_with_and_without_inputs() -> None:
    kinds = {bool(result) for _, _, result in sums()}
    assert kinds == {True, False}
    assert len(sums()) > 20


@pytest.mark.parametrize(
    ("value", "written", "is_right"),
    [
        (6.197, "6.2", True),
        (6.26, "6.2", False),
        (477.6, "478", True),
        (52743.0, "52700", True),
        (52800.0, "52700", False),
        (0.2388, "0.239", True),
        (10000.0, "10000", True),
        (20000.0, "10000", False),
    ],
)
def test_a_stale_figure_is_found(value: float, written: str, *, is_right: bool) -> None:
    assert (as_written(value, written) == written) is is_right


def test_the_machine_is_the_one_that_was_measured() -> None:
    machine: dict[str, Any] = json.loads(pages.text(RESULTS))["machine"]
    for said in (machine["processor"], f"{machine['cores']} cores", f"{machine['memory_gib']} GiB"):
        assert said in pages.flowing(DOCUMENT)
