"""deploy/compose.yaml against the specification's schema, the settings models, and the files that it names."""

import copy
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
import yaml

from tidewire.config.settings import ServiceSettings
from tidewire.config.streams_file import load_streams
from tidewire.topics import DEFAULT_SLOTS
from unit.deploy.composed import (
    DEPLOY,
    ROOT,
    SETTINGS,
    commands_of,
    document,
    environment,
    mounts,
    ours,
    published,
    schema,
    services,
    settings_of,
)

OURS = ours()
RUNNING = ("gateway", "publisher", "registry", "router")
KEYS = DEPLOY / "compose" / "keys"
PLACE = re.compile(r"(?:\w+://)?([a-z-]+):(\d+)(?:/\d*)?")
OTHERS_PORTS = {
    "kafka": {9092},
    "redis": {6379},
    "jaeger": {4318, 16686},
    "otel-collector": {4318},
    "prometheus": {9090},
    "grafana": {3000},
}
"""Where what is not ours listens, by its documentation; the collector's is compared with its file below."""


def config_file(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "compose" / name).read_text())


def internal_port(service: str) -> int:
    settings: Any = settings_of(service, service)
    return int(getattr(settings, "internal_port", None) or settings.port)


def listening(service: str) -> set[int]:
    if service not in RUNNING:
        return OTHERS_PORTS[service]
    if service == "router":  # which has no public port
        return {internal_port(service)}
    settings: Any = settings_of(service, service)
    return {int(settings.port)}


def places_named() -> Iterator[tuple[str, str, int]]:
    """Every HOST:PORT of another service, and who names it."""
    for service in OURS:
        for word in [*environment(service).values(), *commands_of(service)]:
            if found := PLACE.fullmatch(word):
                yield service, found[1], int(found[2])


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from strings_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings_of(one)
    elif isinstance(value, str):
        yield value


def paths_of(settings: ServiceSettings) -> set[str]:
    """What the settings expect as files and folders of the container."""
    return {text for text in strings_of(settings.model_dump(mode="json")) if text.startswith("/")}


def test_it_is_what_the_specification_allows() -> None:
    jsonschema_rs.validator_for(schema()).validate(document())


def test_the_schema_finds_what_is_wrong() -> None:
    wrong = copy.deepcopy(document())
    wrong["services"]["gateway"]["helthcheck"] = {}
    assert not jsonschema_rs.validator_for(schema()).is_valid(wrong)


@pytest.mark.parametrize("service", RUNNING)
def test_every_variable_is_a_setting_with_a_value_that_it_takes(service: str) -> None:
    """Loading refuses unknown names and unusable values; none may be another service's either."""
    settings_of(service, service)
    prefix = f"TIDEWIRE_{service.upper()}__"
    own = [name for name in environment(service) if name.startswith("TIDEWIRE_")]
    assert own
    assert all(name.startswith(prefix) for name in own)
    assert commands_of(service) == [service]


def test_commands_have_the_variables_of_commands() -> None:
    for service in ("topics", "cli"):
        names = {name for name in environment(service) if name.startswith("TIDEWIRE_")}
        assert names <= {"TIDEWIRE_KAFKA__BOOTSTRAP", "TIDEWIRE_INTERNAL_KEY_FILE"}
        settings_of(service, "kafka")


def test_all_variables_are_text() -> None:
    """YAML would make others of yes, 8080 and 0.01, and not each of them the same."""
    for name in services():
        assert all(isinstance(value, str) for value in environment(name).values()), name


def test_nothing_runs_in_development_mode() -> None:
    for service in RUNNING:
        settings: Any = settings_of(service, service)
        assert settings.dev is False


@pytest.mark.parametrize("service", RUNNING)
def test_files_and_folders_that_a_service_is_told_of_are_mounted(service: str) -> None:
    wanted = paths_of(settings_of(service, service))
    assert "/run/secrets/internal_key" in wanted
    assert wanted == {target for _, target in mounts(service)}


def test_what_is_mounted_is_there() -> None:
    for service in services():
        for source, target in mounts(service):
            is_made = source.parent == KEYS
            assert is_made or source.exists(), f"{service}: {source}, as {target}, is not there"
            assert source.is_relative_to(ROOT)


def test_the_keys_are_made_by_the_script_and_by_nobody_twice(tmp_path: Path) -> None:
    """In a copy of the folder: what people have there is theirs."""
    script = tmp_path / "make-keys.sh"
    script.write_text((DEPLOY / "compose" / "make-keys.sh").read_text())
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "keys").iterdir()}
    assert set(made) == {path.name for path in map(Path, named_secrets())}
    assert all(re.fullmatch(r"[0-9a-f]{64}", text) for text in made.values())
    assert len(set(made.values())) == len(made)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "keys").iterdir()}
    assert ((tmp_path / "keys").stat().st_mode & 0o777, modes) == (0o700, {0o644})
    subprocess.run(["sh", str(script)], check=True, capture_output=True)
    assert made == {path.name: path.read_text() for path in (tmp_path / "keys").iterdir()}


def named_secrets() -> list[str]:
    return [secret["file"] for secret in document()["secrets"].values()]


def test_secrets_are_files_that_git_does_not_take() -> None:
    ignored = (DEPLOY / "compose" / ".gitignore").read_text().split()
    assert "keys/" in ignored
    assert all(name.startswith("compose/keys/") for name in named_secrets())
    for service in services():
        for name, value in environment(service).items():
            is_secret = re.search(r"PASSWORD|SECRET|_KEY$|TOKEN(?!_KEY_FILE)", name)
            assert not is_secret or value.startswith("/run/secrets/"), f"{service}: {name}"


def test_hosts_and_ports_that_services_are_told_are_there() -> None:
    named = set(places_named())
    assert ("gateway", "registry", 8082) in named
    assert ("router", "kafka", 9092) in named
    for service, host, port in named:
        known = listening(host) | ({internal_port(host)} if host in RUNNING else set())
        assert port in known, f"{service} is told {host}:{port}, which listens on {known}"
        shared = set(services()[service]["networks"]) & set(services()[host]["networks"])
        assert shared, f"{service} and {host} have no network in common"


def test_published_ports_are_ports_of_the_service_and_on_loopback_alone() -> None:
    seen = [(name, *port) for name in services() for port in published(name)]
    assert {name for name, *_ in seen} == {
        *("gateway", "publisher", "grafana", "prometheus", "jaeger")
    }
    for name, address, _, inside in seen:
        assert address == "127.0.0.1", name
        assert inside in listening(name), name
        assert "front" in services()[name]["networks"], name
    outside = [port for _, _, port, _ in seen]
    assert len(set(outside)) == len(outside)


def test_internal_ports_are_published_nowhere() -> None:
    for service in ("gateway", "registry", "router"):
        assert internal_port(service) not in {inside for _, _, inside in published(service)}
    assert document()["networks"]["back"] == {"internal": True}


def test_the_gateway_tells_others_where_its_internal_port_is() -> None:
    settings: Any = settings_of("gateway", "gateway")
    told = urlsplit(settings.targeted.address)
    assert (told.hostname, told.port) == ("gateway", settings.internal_port)


def test_topics_for_all_slots_of_the_registry_are_made() -> None:
    words = commands_of("topics")
    settings: Any = settings_of("registry", "registry")
    assert "--targeted" in words
    assert int(words[words.index("--slots") + 1]) == settings.slots == DEFAULT_SLOTS


def test_the_streams_are_those_that_the_replay_publishes_to() -> None:
    [source] = [path for path, target in mounts("gateway") if target.endswith("streams.yaml")]
    assert {"flights", "notices", "replay"} <= set(load_streams(source).streams)
    for service in ("publisher", "topics", "cli"):
        assert (source, "/etc/tidewire/streams.yaml") in set(mounts(service))


@pytest.mark.parametrize("service", OURS)
def test_ours_are_kept_from_everything_that_they_do_not_need(service: str) -> None:
    described = services()[service]
    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", described["user"])
    assert [entry.partition(":")[0] for entry in described["tmpfs"]] == ["/tmp"]
    assert not any(mount.get("read_only") is not True for mount in described.get("volumes", ()))


def test_nobody_is_given_more_than_that() -> None:
    for name, described in services().items():
        assert described["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in described["security_opt"], name
        assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & set(described)


def test_every_image_has_a_version() -> None:
    for name, described in services().items():
        _, _, tag = described["image"].rpartition(":")
        assert re.search(r"^v?\d+\.\d+\.\d+|^local$", tag), name


def test_every_image_of_ours_is_built_by_one_service_and_pulled_by_none() -> None:
    for image in {services()[name]["image"] for name in OURS}:
        takers = [services()[name] for name in OURS if services()[name]["image"] == image]
        assert sum("build" in taker for taker in takers) == 1, image
        assert {(taker["pull_policy"], "build" in taker) for taker in takers} <= {
            ("build", True),
            ("never", False),
        }


def test_versions_are_those_that_the_tests_run_with() -> None:
    kafka = (ROOT / "shared/tidewire/dev/kafka-pom.xml").read_text()
    version = services()["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in kafka or f">{version}<" in kafka
    collector = services()["otel-collector"]["image"].partition(":")[2]
    assert f'release = "{collector}"' in (DEPLOY / "collector/main.go").read_text()


def test_services_wait_for_what_is_there_and_has_a_health_check() -> None:
    for name, described in services().items():
        for other, how in described.get("depends_on", {}).items():
            waited = services()[other]
            if how["condition"] == "service_healthy":
                has_one = "healthcheck" in waited or other in RUNNING  # those have the image's
                assert has_one, f"{name} waits for the health of {other}"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert waited["restart"] == "no"


def test_there_is_time_to_end_in() -> None:
    gateway: Any = settings_of("gateway", "gateway")
    publisher: Any = settings_of("publisher", "publisher")
    grace = {name: int(services()[name]["stop_grace_period"].rstrip("s")) for name in RUNNING[:2]}
    assert grace["gateway"] > gateway.drain_delay + gateway.drain_window + 10
    assert grace["publisher"] > publisher.shutdown_timeout + 2


def test_prometheus_asks_every_service_where_its_metrics_are() -> None:
    scraped = {
        job["job_name"]: [target for one in job["static_configs"] for target in one["targets"]]
        for job in config_file("prometheus.yaml")["scrape_configs"]
    }
    assert scraped == {
        f"tidewire-{service}": [f"{service}:{internal_port(service)}"] for service in RUNNING
    }
    assert "--enable-feature=exemplar-storage" in commands_of("prometheus")
    targets = {target: source for source, target in mounts("prometheus")}
    assert (
        targets["/etc/prometheus/tidewire.rules.yaml"] == DEPLOY / "prometheus/tidewire.rules.yaml"
    )
    [config] = [word for word in commands_of("prometheus") if word.startswith("--config.file=")]
    assert config.partition("=")[2] in targets


def test_traces_go_through_the_collector_to_jaeger() -> None:
    collector = config_file("collector.yaml")
    takes = collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    for service in ("gateway", "publisher", "router"):
        told = urlsplit(environment(service)["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert (told.hostname, str(told.port)) == ("otel-collector", takes.rpartition(":")[2])
    sends = urlsplit(collector["exporters"]["otlphttp"]["endpoint"])
    assert (sends.hostname, sends.port) == ("jaeger", 4318)
    assert not any(name.startswith("OTEL_") for name in environment("flights"))


def test_grafana_knows_both_sources_and_the_dashboard() -> None:
    sources = {
        source["uid"]: source for source in config_file("grafana/sources.yaml")["datasources"]
    }
    for uid in ("prometheus", "jaeger"):
        url = urlsplit(sources[uid]["url"])
        assert url.port in OTHERS_PORTS[str(url.hostname)]
    [exemplars] = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplars["datasourceUid"] in sources
    [provider] = config_file("grafana/dashboards.yaml")["providers"]
    mounted = {target: source for source, target in mounts("grafana")}
    home = environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert os.path.dirname(home) == provider["options"]["path"]
    assert mounted[home] == DEPLOY / "grafana/tidewire.json"


def test_settings_of_every_word_are_checked() -> None:
    words = {
        name.split("_")[1].lower()
        for service in OURS
        for name in environment(service)
        if name.startswith("TIDEWIRE_") and "__" in name
    }
    assert words == set(SETTINGS)
