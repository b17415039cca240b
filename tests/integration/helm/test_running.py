"""Services run with what the chart tells them, and answer the probes, while nothing that they work with is there."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.ports import LOOPBACK, free_port
from harness.waiting import wait_until
from integration.helm.chart import SERVICES, Manifests, rendered
from integration.helm.stand_ins import stand_in
from tidewire.dev.processes import Child, ChildSpec, start_child

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

_PATIENCE = 60.0
_NOBODY = f"{LOOPBACK}:1"


@dataclass(frozen=True, slots=True)
class Running:
    container: Mapping[str, Any]
    child: Child

    def get(self, path: str) -> httpx.Response:
        """From the port that the probes ask, as the kubelet does: by whatever certificate."""
        asked = self.container["livenessProbe"]["httpGet"]
        ports = {one["name"]: one["containerPort"] for one in self.container["ports"]}
        url = f"{asked['scheme'].lower()}://{LOOPBACK}:{ports[asked['port']]}{path}"
        return httpx.get(url, timeout=5.0, trust_env=False, verify=False)

    def status(self, probe: str) -> int | None:
        """What a probe would be answered; None: nobody listens."""
        try:
            return self.get(self.container[f"{probe}Probe"]["httpGet"]["path"]).status_code
        except httpx.TransportError:
            return None


def values() -> dict[str, Any]:
    return {
        "kafka": {"bootstrap": _NOBODY},
        "redis": {"existingSecret": "", "url": f"redis://{_NOBODY}/0"},
        "tracing": {"endpoint": ""},
        "gateway": {
            "port": free_port(),
            "internalPort": free_port(),
            "drain": {"preStopSleep": 0, "delay": 0, "window": 1},
        },
        "publisher": {
            "port": free_port(),
            "trustProxyTls": False,
            "tls": {"existingSecret": "publish-tls"},
        },
        "registry": {"port": free_port()},
        "router": {"internalPort": free_port()},
    }


def started(manifests: Manifests, component: str, folder: Path) -> Running:
    pod = stand_in(manifests, component, folder / component)
    command = [sys.executable, "-m", f"tidewire_{component}"]
    spec = ChildSpec(component, command, folder / f"{component}.log", environment=pod.environment)
    return Running(manifests.container(component), start_child(spec))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    manifests = rendered(values=values())
    folder = tmp_path_factory.mktemp("running")
    services = {component: started(manifests, component, folder) for component in SERVICES}
    try:
        yield services
    finally:
        for service in services.values():
            service.child.stop(2.0)


@pytest.mark.parametrize("component", SERVICES)
def test_pods_start_stay_and_end_while_kafka_and_redis_are_away(
    running: dict[str, Running], component: str
) -> None:
    service = running[component]
    wait_until(lambda: service.status("startup") == 200, within=_PATIENCE, what="the start")
    assert service.status("liveness") == 200
    assert service.status("readiness") == (503 if component == "router" else 200)
    assert "tidewire_build_info" in service.get("/metrics").text
    assert service.child.exit_code() is None, service.child.output()

    service.child.terminate()
    wait_until(lambda: service.child.exit_code() is not None, within=_PATIENCE, what="its end")
    assert service.child.exit_code() == 0, service.child.output()
