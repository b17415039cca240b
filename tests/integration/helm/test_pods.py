"""What decides whether clients notice a rollout, an eviction or a scale-down: rendered facts."""

from typing import Any

import pytest

from integration.helm.chart import CHART, EXAMPLES, SERVICES, Manifests, rendered
from tidewire import __version__
from tidewire_gateway.settings import GatewaySettings

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
    # requests 8 s, what Kafka has not confirmed 8 s, connections and traces 3 s
    assert manifests.pod("publisher")["terminationGracePeriodSeconds"] > 5 + 8 + 8 + 3
    assert manifests.pod("registry")["terminationGracePeriodSeconds"] > 5 + 5
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


@pytest.mark.parametrize("window", [30, 3600])
def test_a_rollout_takes_the_next_gateway_when_the_last_one_has_drained(window: int) -> None:
    manifests = drained(10, window)
    spec = manifests.one("Deployment", "gateway")["spec"]
    assert spec["minReadySeconds"] >= manifests.pod("gateway")["terminationGracePeriodSeconds"]
    startup = manifests.container("gateway")["startupProbe"]
    start = startup["periodSeconds"] * startup["failureThreshold"]
    assert spec["progressDeadlineSeconds"] > spec["minReadySeconds"] + start
    assert "minReadySeconds" not in manifests.one("Deployment", "registry")["spec"]


def test_a_full_gateway_is_not_evicted_beyond_the_budget() -> None:
    policies = {
        component: rendered().one("PodDisruptionBudget", component)["spec"][
            "unhealthyPodEvictionPolicy"
        ]
        for component in SERVICES
    }
    assert policies == {**dict.fromkeys(SERVICES, "AlwaysAllow"), "gateway": "IfHealthyBudget"}


@pytest.mark.parametrize(
    ("limit", "most"),
    [("2Gi", 1_825_361_100), ("512Mi", 456_340_275), ("1.5G", 1_275_000_000), (10**9, 850_000_000)],
)
def test_a_node_refuses_newcomers_before_its_memory_ends(limit: str | int, most: int) -> None:
    manifests = rendered(values={"gateway": {"resources": {"limits": {"memory": limit}}}})
    assert variable(manifests, "gateway", "TIDEWIRE_GATEWAY__LIMITS__MAX_MEMORY") == str(most)


@pytest.mark.parametrize(
    ("gateway", "expected"),
    [
        ({"env": {"TIDEWIRE_GATEWAY__LIMITS__MAX_MEMORY": "0"}}, ["0"]),
        ({"resources": {"limits": {"memory": None}}}, []),
    ],
)
def test_a_nodes_memory_is_its_own_where_it_is_told_or_not_bounded(
    gateway: dict[str, Any], expected: list[str]
) -> None:
    variables = rendered(values={"gateway": gateway}).container("gateway")["env"]
    found = [one["value"] for one in variables if one["name"].endswith("MAX_MEMORY")]
    assert found == expected


def test_the_memory_of_events_is_the_settings_default() -> None:
    checks = (CHART / "templates" / "_checks.tpl").read_text()
    assert f'"{GatewaySettings.model_fields["log_bytes"].default}"' in checks


@pytest.mark.parametrize("component", SERVICES)
def test_further_volumes_are_mounted_beside_the_charts(component: str) -> None:
    more: dict[str, list[Any]] = {
        "extraVolumes": [{"name": "more", "secret": {"secretName": "otlp-ca"}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/etc/otlp", "readOnly": True}],
    }
    plain, manifests = rendered(), rendered(values={component: more})
    assert manifests.pod(component)["volumes"] == [
        *plain.pod(component)["volumes"],
        *more["extraVolumes"],
    ]
    assert manifests.container(component)["volumeMounts"] == [
        *plain.container(component)["volumeMounts"],
        *more["extraVolumeMounts"],
    ]


def test_the_cluster_may_choose_who_runs() -> None:
    nobody = {"podSecurityContext": dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"))}
    for component in SERVICES:
        context = rendered(values=nobody).pod(component)["securityContext"]
        assert context == {
            "runAsNonRoot": True,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }


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


def test_the_wait_between_two_nodes_is_one_that_the_api_takes() -> None:
    (policy,) = behavior(drained(10, 3600))["scaleDown"]["policies"]
    assert policy["periodSeconds"] == 1800


def test_scaling_goes_by_connections() -> None:
    (trigger,) = rendered().one("ScaledObject", "gateway")["spec"]["triggers"]
    query = 'sum(tidewire_connections{namespace="push", job="release-tidewire-gateway"})'
    assert trigger["metadata"]["query"] == query
    assert (trigger["metricType"], trigger["metadata"]["threshold"]) == ("AverageValue", "10000")
    assert trigger["metadata"]["ignoreNullValues"] == "false"  # nothing measured is not nobody
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
