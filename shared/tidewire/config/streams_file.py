"""Reading ``streams.yaml``: every problem is reported with its line and its cure."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .errors import ConfigError
from .explain import explain, known_keys
from .located_yaml import Located, Problem, YamlError, parse_yaml
from .streams import StreamsFile

__all__ = ["load_streams", "parse_streams", "streams_schema"]

SCHEMA_ID = "urn:tidewire:schema:streams:1"
_MAX_FILE_BYTES = 1 << 20
_SMALLEST = "`streams: {flights: {topic: flights}}`"
_SHAPES = {
    "[key]": "a stream's name has 1 to 127 characters of A-Z a-z 0-9 . _ ~ - "
    "and starts with a letter or a digit",
    "entity": "must be key, header:<name> or value:<field>",
    "epoch": "must be 1 to 64 characters of A-Z a-z 0-9 _ -",
    "topic": "must be characters of A-Z a-z 0-9 . _ -, as Kafka allows",
}


def load_streams(path: Path) -> StreamsFile:
    """Read and check a file.

    Raises ``ConfigError`` with a line ``file:line: key: what is wrong; cure`` per problem.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; make one (docs/configuration.md shows how) "
            "or name the one you have"
        ) from None
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}") from e
    if len(content) > _MAX_FILE_BYTES:
        raise ConfigError(f"{path}: larger than {_MAX_FILE_BYTES >> 20} MiB; is it the right file?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = content.count(b"\n", 0, e.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8; save the file as UTF-8") from None
    return parse_streams(text, str(path))


def parse_streams(text: str, label: str) -> StreamsFile:
    """Like ``load_streams``, from text; ``label`` names the file in messages."""
    try:
        document = parse_yaml(text)
    except YamlError as e:
        raise _config_error(label, e.problems) from None
    if document.value is None:
        raise ConfigError(f"{label}: the file is empty; the least it says is {_SMALLEST}")
    try:
        return StreamsFile.model_validate(document.value)
    except ValidationError as e:
        problems = [_problem(error, document) for error in e.errors(include_url=False)]
        raise _config_error(label, tuple(sorted(problems, key=lambda p: p.line))) from None


def streams_schema() -> dict[str, Any]:
    """The file's JSON Schema (draft 2020-12)."""
    schema = StreamsFile.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
        "title": "Tidewire streams",
        "description": "Which Kafka topics clients may see, and by which rules (streams.yaml)",
    }


def _problem(error: Any, document: Located) -> Problem:
    place = error["loc"]
    path = place[:-1] if place and place[-1] == "[key]" else place
    message = explain(error, known_keys(StreamsFile, place[:-1]), _SHAPES)
    if error["type"] == "missing":
        message += f", such as {_SMALLEST}" if len(place) == 1 else "; every stream names its topic"
    return Problem(document.line_of(path), path, message)


def _config_error(label: str, problems: tuple[Problem, ...]) -> ConfigError:
    return ConfigError("\n".join(_sentence(label, problem) for problem in problems))


def _sentence(label: str, problem: Problem) -> str:
    where = f"{label}:{problem.line}" if problem.line else label
    path = ".".join(map(str, problem.path))
    return f"{where}: {path}: {problem.message}" if path else f"{where}: {problem.message}"
