"""What the pages for operators name: metrics, settings, commands, lines of logs, panels, drills; and whether it is there."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from harness.markdown import blocks_of
from tidewire.cli.app import make_app
from tidewire.telemetry.metric_table import METRICS, PREFIX
from tidewire_gateway.settings import PREFIX as GATEWAY
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PREFIX as PUBLISHER
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.settings import PREFIX as REGISTRY
from tidewire_registry.settings import RegistrySettings
from tidewire_router.settings import PREFIX as ROUTER
from tidewire_router.settings import RouterSettings
from unit.deploy.shipped import DASHBOARD

__all__ = [
    "ROOT",
    "anchor",
    "default_of",
    "drills",
    "flowing",
    "is_in_console",
    "named_metrics",
    "panels",
    "queries",
    "quoted_log_lines",
    "text",
    "unknown_commands",
    "unknown_log_lines",
    "unknown_metrics",
    "unknown_settings",
]

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, type[BaseModel]] = {
    GATEWAY: GatewaySettings,
    PUBLISHER: PublisherSettings,
    REGISTRY: RegistrySettings,
    ROUTER: RouterSettings,
}
OF_COMMANDS = {
    "TIDEWIRE_SECRETS_DIR",
    "TIDEWIRE_TOKEN",
    "TIDEWIRE_INTERNAL_KEY_FILE",
    "TIDEWIRE_KAFKA__BOOTSTRAP",
}
NOT_OURS = re.compile(r"OTEL_\w+|SSL_CERT_FILE|NODE_EXTRA_CA_CERTS|TCP_NOTSENT_LOWAT")
"""OpenTelemetry's own, and those of client programs."""


@cache
def text(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def flowing(document: str) -> str:
    """The page without its lines' ends, so that nothing is looked for in halves."""
    return re.sub(r"\s+", " ", text(document))


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def queries(body: str) -> list[str]:
    """The lines of PromQL blocks."""
    blocks = [block.text for block in blocks_of(body) if block.language == "promql"]
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


@cache
def drills() -> frozenset[int]:
    """The numbers of those that docs/drills.md describes."""
    return frozenset(
        int(n) for n in re.findall(r"^\| (\d+) \|", text("docs/drills.md"), re.MULTILINE)
    )


def named_metrics(document: str) -> list[tuple[str, str, str]]:
    """Metric, and label and value where they stand beside it."""
    return re.findall(r"`(tidewire_\w+)(?:\{(\w+)=\"(\w+)\"\})?`", text(document))


def unknown_metrics(document: str) -> list[str]:
    known = {PREFIX + spec.name: spec.labels for spec in METRICS}
    return [
        f"{metric}{{{label}={value}}}"
        for metric, label, value in named_metrics(document)
        if metric not in known or (label and value not in known[metric].get(label, ()))
    ]


def quoted_log_lines(document: str) -> list[str]:
    return re.findall(r"`\"([^\"`]+)\"`", flowing(document))


def unknown_log_lines(document: str) -> list[str]:
    return [
        line
        for line in quoted_log_lines(document)
        if not any(told.startswith(line.removesuffix("…")) for told in _texts_in_sources())
    ]


@cache
def _texts_in_sources() -> frozenset[str]:
    """Every constant text of the services and what they share; one that is written in pieces is one."""
    files = [f for folder in ("services", "shared") for f in (ROOT / folder).rglob("*.py")]
    return frozenset(
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def unknown_settings(document: str) -> set[str]:
    """Variables that no service's model has: of those named in full the whole, of others what they end with."""
    named = re.findall(r"(?<![\w.])\$?([A-Z][A-Z0-9]*(?:_+[A-Z0-9]+)+)(?![\w(])", _code(document))
    return {name for name in named if not NOT_OURS.fullmatch(name) and not _is_setting(name)}


def _is_setting(name: str) -> bool:
    if name.startswith("TIDEWIRE_"):
        return name in _variables() or name in OF_COMMANDS
    return any(variable.endswith(f"__{name}") for variable in _variables())


def _code(document: str) -> str:
    """What stands in code spans and blocks that are no PromQL."""
    bare = re.sub(r"```promql.*?```", "", text(document), flags=re.DOTALL)
    return " ".join((*re.findall(r"`([^`\n]+)`", bare), *(b.text for b in blocks_of(bare))))


@cache
def _variables() -> frozenset[str]:
    return frozenset(_defaults())


@cache
def _defaults() -> dict[str, object]:
    return dict(pair for prefix, model in SERVICES.items() for pair in _of_model(prefix, model))


def default_of(variable: str) -> object:
    return _defaults()[variable]


def _of_model(prefix: str, model: type[BaseModel]) -> Iterator[tuple[str, object]]:
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        yield variable, field.default
        inner: object = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _of_model(f"{variable}__", inner)


def unknown_commands(document: str) -> list[str]:
    """`tidewire …` in code whose command or options there are not."""
    code = re.sub(r"\\\n\s*", " ", text(document))
    spans = re.findall(r"`(tidewire [a-z][^`\n]*)`", code)
    lines = re.findall(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(tidewire [a-z].*)$", code, re.MULTILINE)
    return [line for line in (*spans, *lines) if not _is_command(line)]


def _is_command(line: str) -> bool:
    words = shlex.split(line.partition(" #")[0].replace("…", ""), posix=True)[1:]
    command: TyperCommand | TyperGroup = _tidewire()
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        if "|" in words[0]:
            return all(part in command.commands for part in words[0].split("|"))
        if words[0] not in command.commands:
            return False
        inner = command.commands[words.pop(0)]
        assert isinstance(inner, TyperCommand | TyperGroup)
        command = inner
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return {word for word in words if word.startswith("--")} <= known


@cache
def _tidewire() -> TyperGroup:
    command = get_command(make_app())
    assert isinstance(command, TyperGroup)
    return command


@cache
def panels() -> frozenset[str]:
    document = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return frozenset(panel["title"] for panel in document["panels"])


def is_in_console(name: str) -> bool:
    return re.search(rf"[>'\"]{name}[<'\"]", _console()) is not None


@cache
def _console() -> str:
    console = ROOT / "services" / "tidewire_gateway" / "console" / "static"
    pages = (console / "index.html", *(console / "js").rglob("*.js"))
    return "".join(page.read_text(encoding="utf-8") for page in pages)
