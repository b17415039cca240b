"""What decides whether clients notice a rollout, an eviction or a scale-down: rendered facts."""

from typing import Any

import pytest

from integration.helm.chart import EXAMPLES, SERVICES, Manifests, rendered
from tidewire import __version__

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools


def drained(delay: int, window: int, sleep: int = 5) -> Manifests:
    drain = {"delay": delay, "window": window, "preStopSleep": sleep}
    return rendered(values={"gateway": {"drain": drain}})


def variable(manifests: Manifests, component: str, name: str) -> str:
    (text,) = (one["value"] for one in manifests.container(component)["env"] if one["name"] == name)
    made: str = text
    return made


@pytest.mark.parametrize(("delay", "window", "sleep"), [(10, 30, 5), (0, 1, 0), (20, 600, 15)])
def test_grace_period_is_longer_than_a_drain(delay: int, window: int, sleep: int) -> None:
    manifests = drained(delay, window, sleep)
    grace = manifests.pod("gateway")["terminationGracePeriodSeconds"]
    assert grace > delay + window + 10
    assert grace == sleep + delay + window + 15  # the process ends 5 s after the window at most
    assert variable(manifests, "gateway", "TIDEWIRE_GATEWAY__DRAIN_DELAY") == str(delay)
    assert variable(manifests, "gateway", "TIDEWIRE_GATEWAY__DRAIN_WINDOW") == str(window)


def test_grace_period_of_the_defaults_is_what_operators_are_told() -> None:
    assert rendered("values-minimal").pod("gateway")["terminationGracePeriodSeconds"] == 60


def test_a_pod_leaves_its_services_before_it_is_told_to_end() -> None:
    manifests = drained(10, 30, 7)
    assert manifests.container("gateway")["lifecycle"]["preStop"]["sleep"]["seconds"] == 7
    for component in ("publisher", "registry"):
        assert manifests.container(component)["lifecycle"]["preStop"]["sleep"]["seconds"] == 5
        assert manifests.pod(component)["terminationGracePeriodSeconds"] > 5 + 8
    assert "lifecycle" not in manifests.container("router")
    assert "lifecycle" not in drained(10, 30, 0).container("gateway")


@pytest.mark.parametrize("component", SERVICES)
def test_probes_ask_for_health_where_it_is(component: str) -> None:
    container = rendered().container(component)
    asked = {
        probe: container[f"{probe}Probe"]["httpGet"]
        for probe in ("startup", "readiness", "liveness")
    }
    started = "/healthz" if component == "router" else "/startupz"
    assert {probe: one["path"] for probe, one in asked.items()} == {
        "startup": started,
        "readiness": "/readyz",
        "liveness": "/healthz",
    }
    assert {one["scheme"] for one in asked.values()} == {"HTTP"}


def test_probes_of_a_publisher_with_a_certificate_speak_tls() -> None:
    container = rendered("values-strimzi").container("publisher")
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"
    gateway = rendered("values-strimzi").container("gateway")
    assert gateway["readinessProbe"]["httpGet"]["scheme"] == "HTTP"


@pytest.mark.parametrize("component", SERVICES)
def test_a_rollout_takes_no_pod_before_its_successor_is_ready(component: str) -> None:
    strategy = rendered().one("Deployment", component)["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


@pytest.mark.parametrize("component", SERVICES)
def test_selectors_choose_the_pods_of_one_service(component: str) -> None:
    manifests = rendered()
    pods = {
        other: manifests.one("Deployment", other)["spec"]["template"]["metadata"]["labels"]
        for other in SERVICES
    }
    selectors = [
        manifests.one("Deployment", component)["spec"]["selector"]["matchLabels"],
        manifests.one("PodDisruptionBudget", component)["spec"]["selector"]["matchLabels"],
        manifests.one("NetworkPolicy", component)["spec"]["podSelector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in manifests.pod(component)["topologySpreadConstraints"]
        ),
        *(
            service["spec"]["selector"]
            for name, service in manifests.of_kind("Service").items()
            if component in name
        ),
    ]
    assert len(selectors) >= 6
    for selector in selectors:
        chosen = [other for other, labels in pods.items() if selector.items() <= labels.items()]
        assert chosen == [component]


@pytest.mark.parametrize("component", SERVICES)
def test_pods_spread_over_zones_and_machines(component: str) -> None:
    spread = rendered().pod(component)["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    }
    budget = rendered().one("PodDisruptionBudget", component)["spec"]
    assert budget["maxUnavailable"] == 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_pod_is_held_tight(name: str) -> None:
    manifests = rendered(name)
    components = manifests.components() + (["topics"] if manifests.of_kind("Job") else [])
    for component in components:
        pod = manifests.pod(component)
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10_001  # as deploy/Dockerfile says
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        container = manifests.container(component)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        writable = [m["mountPath"] for m in container["volumeMounts"] if not m.get("readOnly")]
        assert writable == ["/tmp"]
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]
        assert container["image"] == f"tidewire:{__version__}"


def test_new_streams_roll_their_readers_and_nobody_else() -> None:
    def sums(topic: str) -> dict[str, Any]:
        manifests = rendered(values={"streams": {"flights": {"topic": topic}}})
        templates = {c: manifests.one("Deployment", c)["spec"]["template"] for c in SERVICES}
        return {c: one["metadata"]["annotations"] for c, one in templates.items()}

    old, new = sums("flights"), sums("flights-2")
    assert [component for component in SERVICES if old[component] != new[component]] == [
        "gateway",
        "publisher",
    ]


def test_a_release_that_only_renames_its_chart_rolls_nobody() -> None:
    for component in SERVICES:
        template = rendered().one("Deployment", component)["spec"]["template"]
        assert "helm.sh/chart" not in template["metadata"]["labels"]


def test_sessions_are_not_sticky() -> None:
    for name in EXAMPLES:
        for service in rendered(name).of_kind("Service").values():
            assert "sessionAffinity" not in service["spec"]


def behavior(manifests: Manifests) -> Any:
    if manifests.of_kind("ScaledObject"):
        scaled = manifests.one("ScaledObject", "gateway")["spec"]["advanced"]
        return scaled["horizontalPodAutoscalerConfig"]["behavior"]
    return manifests.one("HorizontalPodAutoscaler", "gateway")["spec"]["behavior"]


@pytest.mark.parametrize("name", ["values-keda", "values-managed-scram"])
def test_one_node_goes_at_a_time_and_the_next_when_its_clients_have_moved(name: str) -> None:
    manifests = rendered(name)
    grace = manifests.pod("gateway")["terminationGracePeriodSeconds"]
    down = behavior(manifests)["scaleDown"]
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": grace}]
    assert "replicas" not in manifests.one("Deployment", "gateway")["spec"]


def test_scaling_goes_by_connections() -> None:
    (trigger,) = rendered().one("ScaledObject", "gateway")["spec"]["triggers"]
    query = 'sum(tidewire_connections{namespace="push", job="release-tidewire-gateway"})'
    assert trigger["metadata"]["query"] == query
    assert (trigger["metricType"], trigger["metadata"]["threshold"]) == ("AverageValue", "10000")
    (relabeling,) = rendered().one("ServiceMonitor", "gateway")["spec"]["endpoints"][0][
        "relabelings"
    ]
    assert relabeling == {"targetLabel": "job", "replacement": "release-tidewire-gateway"}

    values = {"gateway": {"keda": {"enabled": False}, "autoscaling": {"enabled": True}}}
    (metric,) = rendered(values=values).one("HorizontalPodAutoscaler", "gateway")["spec"]["metrics"]
    assert metric["pods"] == {
        "metric": {"name": "tidewire_connections"},
        "target": {"type": "AverageValue", "averageValue": "10000"},
    }


def test_without_an_autoscaler_there_are_as_many_nodes_as_asked_for() -> None:
    values = {"gateway": {"replicas": 3}}
    assert rendered("values-minimal", values).one("Deployment", "gateway")["spec"]["replicas"] == 3
