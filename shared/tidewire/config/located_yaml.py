"""YAML with the line of every key kept, duplicate keys refused (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

__all__ = ["Located", "Path", "Problem", "YamlError", "parse_yaml"]

Path = tuple[str | int, ...]
_MERGE_TAG = "tag:yaml.org,2002:merge"
_STRING_TAG = "tag:yaml.org,2002:str"
_MAX_NODES = 100_000  # aliases can write an enormous document in a few lines


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong, where: ``line`` counts from 1, 0 is the file as a whole."""

    line: int
    path: Path
    message: str


class YamlError(Exception):
    """Internal to this package: turned into a ``ConfigError`` that names the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(*problems)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Located:
    """A document as plain values, and the line where each path's key stands."""

    value: Any
    lines: Mapping[Path, int]

    def line_of(self, path: Path) -> int:
        """The line of ``path``, or of the nearest thing around it; 0 in an empty document."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def parse_yaml(text: str) -> Located:
    """Parse one document; raises ``YamlError`` with every duplicate or unusable key."""
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return Located(None, {})
        reading = _Reading(loader)
        value = reading.value_of(node, ())
    except yaml.MarkedYAMLError as e:
        raise YamlError((_syntax_problem(e),)) from None
    except yaml.reader.ReaderError as e:
        line = text.count("\n", 0, e.position) + 1
        said = f"not valid YAML: character U+{ord(text[e.position]):04X} may not stand in a file"
        raise YamlError((Problem(line, (), said),)) from None
    except RecursionError:
        raise YamlError((Problem(0, (), "not valid YAML: nested too deeply"),)) from None
    if reading.problems:
        raise YamlError(tuple(sorted(reading.problems, key=lambda p: p.line)))
    return Located(value, reading.lines)


@dataclass(slots=True)
class _Reading:
    """One walk over the node tree."""

    loader: yaml.SafeLoader
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)
    _nodes: int = 0

    def value_of(self, node: yaml.Node, path: Path) -> Any:
        self.lines.setdefault(path, _line(node))
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise YamlError((Problem(_line(node), path, f"more than {_MAX_NODES} values"),))
        if id(node) in self._open:
            raise YamlError((Problem(_line(node), path, "an alias that contains itself"),))
        self._open.add(id(node))
        try:
            match node:
                case yaml.MappingNode():
                    return self._mapping(node, path)
                case yaml.SequenceNode():
                    return [self.value_of(n, (*path, i)) for i, n in enumerate(node.value)]
                case _:
                    return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE_TAG:
                merged = self._merge(value_node, path) | merged
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            here = (*path, key)
            if key in own:
                first = first_lines[key]
                message = f"duplicate key; it stands on line {first} already, keep one of the two"
                self.problems.append(Problem(_line(key_node), here, message))
                continue
            first_lines[key] = self.lines[here] = _line(key_node)
            own[key] = self.value_of(value_node, here)
        return merged | own

    def _merge(self, node: yaml.Node, path: Path) -> dict[str, Any]:
        """The value of ``<<``: one mapping or a list of them, earlier ones win."""
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        merged: dict[str, Any] = {}
        for part in parts:
            value = self.value_of(part, path)
            if not isinstance(value, dict):
                message = "'<<' merges a mapping, or a list of mappings"
                self.problems.append(Problem(_line(part), path, message))
                continue
            merged = value | merged
        return merged

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag == _STRING_TAG:
            return str(node.value)
        text = str(node.value) if isinstance(node, yaml.ScalarNode) else "…"
        self.problems.append(
            Problem(_line(node), path, f'key {text} is not text to YAML; write it as "{text}"')
        )
        return None

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        try:
            return self.loader.construct_object(node)
        except (ValueError, OverflowError) as e:
            raise YamlError((Problem(_line(node), path, f"not a YAML value: {e}"),)) from None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    said = ", ".join(str(part) for part in (error.context, error.problem) if part)
    cure = "; indent with spaces, not tabs" if "'\\t'" in said else ""
    return Problem(mark.line + 1 if mark else 0, (), f"not valid YAML: {_one_line(said)}{cure}")


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
