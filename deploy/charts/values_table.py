"""Write the table of values in the chart's README anew: ``python -m deploy.charts.values_table``."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["README", "VALUES", "Value", "readme_with", "table", "unexplained", "values_of"]

_CHART = Path(__file__).parents[2] / "helm" / "tidewire"
README, VALUES = _CHART / "README.md", _CHART / "values.yaml"
_BEGIN, _END = "<!-- values -->\n", "<!-- /values -->\n"
_KEY = re.compile(r"( *)([A-Za-z]\w*):")
_EXPLANATION = "# -- "


@dataclass(frozen=True, slots=True)
class Value:
    """``path`` such as ``gateway.drain.window``; ``meaning`` as the line above it says."""

    path: str
    default: Any
    meaning: str


def values_of(text: str) -> list[Value]:
    """Those that are explained, in their order."""
    defaults = yaml.safe_load(text)
    found = []
    for path, meaning in _keys(text):
        if meaning:
            found.append(Value(".".join(path), _at(defaults, path), meaning))
    return found


def unexplained(text: str) -> list[str]:
    """Values that nothing is said about: neither they, nor what they belong to, nor all that belongs to them."""
    explained = {value.path for value in values_of(text)}
    defaults = yaml.safe_load(text)
    missing = []
    for path, _ in _keys(text):
        name = ".".join(path)
        is_group = isinstance(_at(defaults, path), dict) and _at(defaults, path)
        above = {".".join(path[:depth]) for depth in range(1, len(path) + 1)}
        if not is_group and not above & explained:
            missing.append(name)
    return missing


def table(text: str) -> str:
    rows = (f"| `{one.path}` | {_shown(one.default)} | {one.meaning} |" for one in values_of(text))
    return "\n".join(("| value | default | meaning |", "| --- | --- | --- |", *rows)) + "\n"


def readme_with(readme: str, text: str) -> str:
    """The README with the table of these values."""
    before, _, rest = readme.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table(text)}{_END}{after}"


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The path of each key, with what is said of it in the line above."""
    path: list[str] = []
    meaning = ""
    for line in text.splitlines():
        if line.strip().startswith(_EXPLANATION):
            meaning = line.strip().removeprefix(_EXPLANATION)
            continue
        key = _KEY.match(line)
        if key:
            path = [*path[: len(key[1]) // 2], key[2]]
            yield tuple(path), meaning
        meaning = ""


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        values = values[key]
    return values


def _shown(default: Any) -> str:
    return "" if default in ("", None, [], {}) else f"`{json.dumps(default, ensure_ascii=False)}`"


if __name__ == "__main__":
    README.write_text(readme_with(README.read_text(), VALUES.read_text()))
    sys.stdout.write(f"written: {README}\n")
