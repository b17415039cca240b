"""What `tidewire config check` looks at: settings as services would read them, the files that they name, streams.yaml."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from ..config.errors import ConfigError
from ..config.rules import Finding, Severity, facts_of, find
from ..config.setting_rows import variables_of
from ..config.settings import ServiceSettings, load_settings, read_variables
from ..config.strangers import strangers
from ..config.streams import Stream
from ..config.streams_file import load_streams
from .connection import kafka_of_environment
from .kafka_environment import PREFIX as KAFKA_PREFIX
from .kafka_environment import KafkaEnvironment
from .plain_variables import PLAIN_VARIABLES
from .rules_between import BETWEEN
from .rules_within import WITHIN
from .service_settings import Service, settings_of

__all__ = ["Checked", "Plan", "check_configuration"]

_STREAMS = Path("streams.yaml")
_MEMORY = "memory://"


@dataclass(frozen=True, slots=True)
class Plan:
    """What no setting says. ``grace``: seconds between being told to stop and being killed."""

    nodes: int | None = None
    grace: float | None = None

    @property
    def facts(self) -> dict[str, Any]:
        told = {"plan.nodes": self.nodes, "plan.grace": self.grace}
        return {name: value for name, value in told.items() if value is not None}


@dataclass(slots=True)
class Checked:
    """What was looked at and found.

    ``problems`` and ``warnings`` are sentences with the cure; ``findings`` are those of them that a rule tells.
    """

    services: tuple[Service, ...]
    file: Path | None = None
    streams: Mapping[str, Stream] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": not self.problems,
            "services": list(self.services),
            "streams": sorted(self.streams),
            "problems": self.problems,
            "warnings": self.warnings,
            "findings": [
                {
                    "rule": found.rule.name,
                    "severity": found.rule.severity.value,
                    "settings": dict(found.values),
                    "why": found.rule.why,
                    "cure": found.rule.cure,
                }
                for found in self.findings
            ],
        }


def check_configuration(file: Path | None, services: Sequence[Service], plan: Plan) -> Checked:
    """Check ``file``, or without it those that the services name, and the settings of ``services``.

    Without any ``services``, those that have variables here. Raises ``ConfigError`` where variables cannot be read at all.
    """
    variables = read_variables()
    chosen = services or [
        service
        for service in Service
        if any(name.startswith(service.prefix.lower()) for name in variables)
    ]
    checked = Checked(tuple(dict.fromkeys(chosen)))
    loaded = _loaded(checked)
    _check_files(checked, loaded)
    if any(name.startswith(KAFKA_PREFIX.lower()) for name in variables):
        with _told(checked):
            kafka_of_environment()
    facts = _facts_of_settings(loaded)
    facts |= _read_streams(checked, file, loaded)
    facts |= plan.facts | _machine()
    _tell(checked, find((*WITHIN, *BETWEEN), facts, checked.streams))
    own = [*(service.prefix for service in Service), KAFKA_PREFIX]
    checked.warnings += strangers(variables, own, _known())
    return checked


def _loaded(checked: Checked) -> dict[Service, ServiceSettings]:
    loaded = {}
    for service in checked.services:
        with _told(checked):
            loaded[service] = load_settings(settings_of(service))
    return loaded


def _facts_of_settings(loaded: Mapping[Service, ServiceSettings]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for service, settings in loaded.items():
        facts |= facts_of(service.value, settings)
    return facts


def _read_streams(
    checked: Checked, file: Path | None, loaded: Mapping[Service, ServiceSettings]
) -> dict[str, Any]:
    """Streams of ``file``, or else of the first service that names one; and what can be said of them all."""
    named = [Path(path) for m in loaded.values() if (path := getattr(m, "streams", None))]
    if file is not None or not checked.services:
        named = [file or _STREAMS]
    read: dict[Path, Mapping[str, Stream]] = {}
    for path in dict.fromkeys(named):
        with _told(checked):
            read[path] = load_streams(path).streams
    checked.file = next(iter(read), None)
    if checked.file is None:
        return {}
    checked.streams = read[checked.file]
    facts: dict[str, Any] = {
        "file.public": tuple(sorted(n for n, s in checked.streams.items() if s.public))
    }
    theirs = [read[path] for path in named if path in read]
    if len(theirs) > 1:
        facts["file.is_same"] = all(streams == theirs[0] for streams in theirs)
    return facts


def _check_files(checked: Checked, loaded: Mapping[Service, ServiceSettings]) -> None:
    """What a service opens at its start, and refuses to start without."""
    for service, settings in loaded.items():
        for look in _looks(settings, service.prefix):
            with _told(checked):
                look()
    checked.problems = list(dict.fromkeys(checked.problems))


def _looks(settings: Any, prefix: str) -> Iterator[Callable[[], object]]:
    from ..identity.internal_keys import load_internal_keys
    from ..identity.key_sources import named_keys

    yield lambda: load_internal_keys(settings.internal_key_file)
    if hasattr(settings, "tokens"):
        yield lambda: named_keys(settings.tokens, settings.token_key_file, prefix)
        if settings.tokens.jwks_url:
            yield lambda: _askable(settings.tokens)
    if getattr(settings, "static", None):
        yield lambda: import_module("tidewire_gateway.served_files").mounts_of(settings.static)
    if hasattr(settings, "tls") and settings.tls.is_on:
        from ..http.certificate import ServedCertificate

        yield lambda: ServedCertificate(settings.tls, prefix)
    if hasattr(settings, "redis_url"):
        yield lambda: _connectable(f"{prefix}REDIS_URL", settings.redis_url)
    if hasattr(settings, "targeted") and settings.targeted.redis_url is not None:
        yield lambda: _connectable(f"{prefix}TARGETED__REDIS_URL", settings.targeted.redis_url)


def _askable(tokens: Any) -> None:
    from ..identity.jwks_http import JwksUrl

    JwksUrl(tokens.jwks_url, ca_file=tokens.jwks_ca_file)  # which asks nobody yet


def _connectable(variable: str, url: str) -> None:
    from ..targeting.redis_urls import connect

    if url == _MEMORY:
        return
    try:
        connect(url)  # which connects to nothing yet
    except ConfigError as error:
        raise ConfigError(f"{variable}: {error}") from None


def _machine() -> dict[str, Any]:
    try:
        import resource
    except ImportError:  # no such limits here
        return {}
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return {} if hard == resource.RLIM_INFINITY else {"machine.descriptors": hard}


def _tell(checked: Checked, findings: Iterable[Finding]) -> None:
    for found in findings:
        checked.findings.append(found)
        is_error = found.rule.severity is Severity.ERROR
        (checked.problems if is_error else checked.warnings).append(str(found))


def _known() -> list[str]:
    """Every variable that something reads, of the services that are installed."""
    found = [*variables_of(KAFKA_PREFIX, KafkaEnvironment), *PLAIN_VARIABLES]
    for service in Service:
        with contextlib.suppress(ConfigError):
            found += variables_of(service.prefix, settings_of(service))
    return found


@contextlib.contextmanager
def _told(checked: Checked) -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        checked.problems += str(error).splitlines()
