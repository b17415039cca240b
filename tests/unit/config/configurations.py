"""A configuration of everything that contradicts itself nowhere, and what becomes of it by a change."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from tidewire.cli.rules_between import BETWEEN
from tidewire.cli.rules_within import WITHIN
from tidewire.config.rules import Finding, facts_of, find
from tidewire.config.settings import ServiceSettings, load_settings
from tidewire.config.streams_file import parse_streams
from tidewire_gateway.settings import GatewaySettings
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.settings import RegistrySettings
from tidewire_router.settings import RouterSettings

MODELS: Final[Mapping[str, type[ServiceSettings]]] = {
    "gateway": GatewaySettings,
    "publisher": PublisherSettings,
    "registry": RegistrySettings,
    "router": RouterSettings,
}
ALL: Final = (*WITHIN, *BETWEEN)
STREAMS: Final = "streams: {a: {topic: a, public: true}, b: {topic: b}}"
LEAST: Final = {
    "gateway": {"STREAMS": "s.yaml", "DEV": "true"},
    "publisher": {"STREAMS": "s.yaml", "DEV": "true"},
    "registry": {},
    "router": {},
}
"""What a service cannot start without."""
WHOLE: Final = {
    "GATEWAY__STREAMS": "s.yaml",
    "GATEWAY__TRUST_PROXY_TLS": "true",
    "GATEWAY__TRUSTED_PROXIES": "10.0.0.0/8",
    "GATEWAY__HOST": "0.0.0.0",
    "GATEWAY__INTERNAL_HOST": "0.0.0.0",
    "GATEWAY__INTERNAL_PORT": "9100",
    "GATEWAY__INTERNAL_KEY_FILE": "internal.key",
    "GATEWAY__TARGETED__REGISTRY_URL": "http://registry:8082",
    "GATEWAY__TARGETED__REDIS_URL": "redis://user:hush@redis/1",
    "GATEWAY__TARGETED__ADDRESS": "http://gateway-0:9100",
    "GATEWAY__TOKENS__JWKS_URL": "https://login.example/jwks",
    "GATEWAY__TOKENS__ISSUER": "https://login.example",
    "GATEWAY__KAFKA__BOOTSTRAP": "kafka:9092",
    "PUBLISHER__STREAMS": "s.yaml",
    "PUBLISHER__TRUST_PROXY_TLS": "true",
    "PUBLISHER__TOKENS__JWKS_URL": "https://login.example/jwks",
    "PUBLISHER__TOKENS__ISSUER": "https://login.example",
    "PUBLISHER__REGISTRY_URL": "http://registry:8082",
    "PUBLISHER__INTERNAL_KEY_FILE": "internal.key",
    "PUBLISHER__KAFKA__BOOTSTRAP": "kafka:9092",
    "REGISTRY__HOST": "0.0.0.0",
    "REGISTRY__INTERNAL_KEY_FILE": "internal.key",
    "REGISTRY__KAFKA__BOOTSTRAP": "kafka:9092",
    "ROUTER__REGISTRY_URL": "http://registry:8082/",
    "ROUTER__REDIS_URL": "redis://redis:6379/1",
    "ROUTER__INTERNAL_KEY_FILE": "internal.key",
    "ROUTER__KAFKA__BOOTSTRAP": "other:9092,kafka:9092",
}
"""Everything, in production; names without ``TIDEWIRE_``."""


def facts_with(environ: Mapping[str, str], *services: str) -> dict[str, Any]:
    """What the services make of variables, whose names stand without ``TIDEWIRE_``. Raises ``ConfigError``."""
    facts: dict[str, Any] = {}
    for service in services:
        own = (item for item in environ.items() if item[0].startswith(f"{service.upper()}__"))
        facts |= _facts_of(service, tuple(own))
    return facts


@cache
def _facts_of(service: str, environ: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    variables = {f"TIDEWIRE_{name}": text for name, text in environ}
    return facts_of(service, load_settings(MODELS[service], environ=variables, env_file=None))


def broken(facts: Mapping[str, Any], text: str = STREAMS) -> list[Finding]:
    streams = parse_streams(text, "s.yaml").streams
    public = tuple(name for name, stream in streams.items() if stream.public)
    return find(ALL, {"file.public": public, **facts}, streams)
