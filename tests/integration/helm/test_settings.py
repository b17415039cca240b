"""Every rendered container's environment is what its service's settings take, and ports are theirs everywhere."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from integration.helm.chart import EXAMPLES, SERVICES, Manifests, rendered
from integration.helm.stand_ins import PASSWORD, POD, POD_IP, Pod, stand_in
from tidewire.cli.app import make_app
from tidewire.cli.kafka_environment import KafkaEnvironment
from tidewire.config.settings import ServiceSettings, load_settings
from tidewire.config.streams_file import load_streams
from tidewire.identity.internal_keys import load_internal_keys
from tidewire.identity.key_sources import named_keys
from tidewire_gateway.settings import PREFIX, GatewaySettings
from tidewire_publisher.settings import PublisherSettings
from tidewire_registry.settings import RegistrySettings
from tidewire_router.settings import RouterSettings

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

SETTINGS: dict[str, type[ServiceSettings]] = {
    "gateway": GatewaySettings,
    "publisher": PublisherSettings,
    "registry": RegistrySettings,
    "router": RouterSettings,
    "topics": KafkaEnvironment,
}
PORTS = {
    "gateway": {"public": 18080, "internal": 19100},
    "publisher": {"public": 18081},
    "registry": {"internal": 18082},
    "router": {"internal": 18083},
}
MOVED: dict[str, Any] = {
    "gateway": {"port": 18080, "internalPort": 19100},
    "publisher": {"port": 18081},
    "registry": {"port": 18082},
    "router": {"internalPort": 18083},
}


def load(component: str, pod: Pod) -> ServiceSettings:
    return load_settings(SETTINGS[component], environ=pod.environment, env_file=None)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_service_takes_its_environment(name: str, tmp_path: Path) -> None:
    manifests = rendered(name)
    components = manifests.components() + (["topics"] if manifests.of_kind("Job") else [])
    assert components
    for component in components:
        pod = stand_in(manifests, component, tmp_path / component)
        settings = load(component, pod)
        streams = getattr(settings, "streams", None)
        assert streams is None or load_streams(streams).streams
        if isinstance(settings, GatewaySettings | PublisherSettings):
            assert named_keys(settings.tokens, settings.token_key_file, PREFIX) or (
                settings.tokens.jwks_url
            )
        if component != "topics":
            assert load_internal_keys(pod.file("/etc/tidewire/internal/internal.key"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_variable_is_a_setting_or_opentelemetrys(name: str) -> None:
    manifests = rendered(name)
    for component in manifests.components():
        own = f"TIDEWIRE_{component.upper()}__"
        others = {"TIDEWIRE_SECRETS_DIR", "POD_IP"}
        for variable in manifests.container(component)["env"]:
            named = variable["name"]
            assert named.startswith((own, "OTEL_")) or named in others


def test_a_node_is_named_and_reached_like_its_pod(tmp_path: Path) -> None:
    settings = load("gateway", stand_in(rendered(), "gateway", tmp_path))
    assert isinstance(settings, GatewaySettings)
    assert settings.node == POD
    assert settings.targeted.address == f"http://{POD_IP}:{settings.internal_port}"
    assert settings.targeted.registry_url == "http://release-tidewire-registry:8082"


def test_a_node_with_an_ipv6_address_is_reached_by_it(tmp_path: Path) -> None:
    pod = stand_in(rendered(values={"ipv6": True}), "gateway", tmp_path)
    settings = load("gateway", pod)
    assert isinstance(settings, GatewaySettings)
    assert (settings.host, settings.internal_host) == ("::", "::")
    assert settings.targeted.address == f"http://[{POD_IP}]:9100"


def test_passwords_come_from_the_secrets_directory(tmp_path: Path) -> None:
    manifests = rendered("values-managed-scram")
    for component in manifests.components():
        pod = stand_in(manifests, component, tmp_path / component)
        if component == "registry":
            continue
        security = load(component, pod).kafka.security  # type: ignore[attr-defined] # all three have it
        assert security.password.get_secret_value() == PASSWORD
        assert security.username == "tidewire"
    gateway = load("gateway", stand_in(manifests, "gateway", tmp_path / "again"))
    assert isinstance(gateway, GatewaySettings)
    assert gateway.targeted.redis_url is not None
    assert PASSWORD in gateway.targeted.redis_url


def test_streams_arrive_as_they_were_written(tmp_path: Path) -> None:
    settings = load("publisher", stand_in(rendered("values-strimzi"), "publisher", tmp_path))
    assert isinstance(settings, PublisherSettings)
    streams = load_streams(settings.streams).streams
    assert streams["notices"].retention_ms == 604_800_000
    assert (streams["flights"].partitions, streams["flights"].group) == (12, "key-prefix")


@pytest.mark.parametrize("component", SERVICES)
def test_ports_are_the_settings_everywhere(component: str, tmp_path: Path) -> None:
    manifests = rendered(values=MOVED)
    settings = load(component, stand_in(manifests, component, tmp_path))
    own = ports_of(settings)
    assert own == PORTS[component]

    container = manifests.container(component)
    assert {one["name"]: one["containerPort"] for one in container["ports"]} == own
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]["port"]
        assert asked == ("public" if component == "publisher" else "internal")
    for service in services_of(manifests, component):
        assert all(port["targetPort"] in own for port in service["spec"]["ports"])
    assert set(reached(manifests, component)) == set(own.values())
    (endpoint,) = manifests.one("ServiceMonitor", component)["spec"]["endpoints"]
    served = {p["name"] for s in services_of(manifests, component) for p in s["spec"]["ports"]}
    assert endpoint["port"] in served


def ports_of(settings: ServiceSettings) -> dict[str, int]:
    """By the names that the chart gives them."""
    match settings:
        case GatewaySettings():
            return {"public": settings.port, "internal": settings.internal_port}
        case PublisherSettings():
            return {"public": settings.port}
        case RegistrySettings():
            return {"internal": settings.port}
        case RouterSettings():
            return {"internal": settings.internal_port}
        case _:
            raise AssertionError(f"{type(settings).__name__} has no port")


def services_of(manifests: Manifests, component: str) -> list[Mapping[str, Any]]:
    """Those whose selector the pods match."""
    labels = manifests.one("Deployment", component)["spec"]["template"]["metadata"]["labels"]
    return [
        service
        for service in manifests.of_kind("Service").values()
        if service["spec"]["selector"].items() <= labels.items()
    ]


def reached(manifests: Manifests, component: str) -> Iterator[int]:
    for rule in manifests.one("NetworkPolicy", component)["spec"]["ingress"]:
        yield from (port["port"] for port in rule["ports"])


def test_topics_are_asked_for_as_the_command_line_knows_them() -> None:
    values = {"kafka": {"topics": {"enabled": True, "replication": 3}}}
    words = list(rendered(values=values).container("topics")["args"])
    command: Any = typer.main.get_command(make_app())
    for word in words[:2]:
        assert isinstance(command, TyperGroup)
        command = command.commands[word]
    parsed = command.make_context("apply", words[2:]).params
    assert parsed["streams"] == Path("/etc/tidewire/streams/streams.yaml")
    assert (parsed["targeted"], parsed["slots"], parsed["console_too"]) == (True, 64, True)
    assert parsed["replication"] == 3


@pytest.mark.parametrize("component", SERVICES)
def test_a_container_runs_a_command_that_there_is(component: str) -> None:
    command = typer.main.get_command(make_app())
    assert isinstance(command, TyperGroup)
    (word,) = rendered().container(component)["args"]
    assert word in command.commands
