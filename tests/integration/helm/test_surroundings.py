"""What stands around the pods: secrets, network, routes, monitoring, topics."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from integration.helm.chart import EXAMPLES, SERVICES, Manifests, example, rendered

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

_DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.parametrize("name", EXAMPLES)
def test_secrets_are_mounted_and_never_written(name: str) -> None:
    manifests = rendered(name)
    assert "Secret" not in {one["kind"] for one in manifests.objects}
    for component in manifests.components():
        for variable in manifests.container(component)["env"]:
            text = variable.get("value", "")
            assert "secretKeyRef" not in json.dumps(variable)
            assert "@" not in text, "a URL with a password"
            assert "PASSWORD" not in variable["name"]
        mounted = {one["name"]: one for one in manifests.pod(component)["volumes"]}
        projected = [one["projected"] for one in mounted.values() if "projected" in one]
        assert all(one["defaultMode"] == 0o440 for one in projected)
        named = {s["secret"]["name"] for one in projected for s in one["sources"] if "secret" in s}
        assert "tidewire-internal" in named


def allowed(manifests: Manifests, component: str) -> set[tuple[str, int]]:
    """Which other services may come in, and at which port; `*` is everybody."""
    found = set()
    for rule in manifests.one("NetworkPolicy", component)["spec"]["ingress"]:
        froms = rule.get("from", [{}])
        for one in froms:
            labels = one.get("podSelector", {}).get("matchLabels", {})
            who = labels.get("app.kubernetes.io/component", "outside" if one else "*")
            found |= {(who, port["port"]) for port in rule["ports"]}
    return found


def test_services_are_reached_by_whom_they_serve() -> None:
    manifests = rendered("values-redis-external")
    others = {("outside", 9100), ("registry", 9100), ("publisher", 9100)}
    assert allowed(manifests, "gateway") == {("*", 8080), *others}
    assert allowed(manifests, "publisher") == {("*", 8081)}
    callers = {(caller, 8082) for caller in ("gateway", "router", "publisher", "outside")}
    assert allowed(manifests, "registry") == callers
    assert allowed(manifests, "router") == {("outside", 8083)}


def test_the_plain_text_port_can_be_left_to_the_proxy() -> None:
    assert ("*", 8080) not in allowed(rendered("values-keda"), "gateway")
    assert ("outside", 8080) in allowed(rendered("values-keda"), "gateway")


def goes_to(manifests: Manifests, component: str) -> set[int]:
    rules = manifests.one("NetworkPolicy", component)["spec"]["egress"]
    return {port["port"] for rule in rules for port in rule["ports"]}


def test_pods_go_where_they_have_to_and_nowhere_else() -> None:
    manifests = rendered("values-redis-external")
    assert goes_to(manifests, "gateway") == {53, 9092, 6380, 8082}
    assert goes_to(manifests, "publisher") == {53, 9092, 8082, 9100}
    assert goes_to(manifests, "registry") == {53, 6380, 9100}
    assert goes_to(manifests, "router") == {53, 9092, 6380, 8082}
    watched = rendered("values-keda")
    assert goes_to(watched, "registry") == {53, 6379, 9100, 9092, 4317, 4318}
    assert 443 in goes_to(rendered("values-strimzi"), "gateway")  # keys of the identity provider
    assert 443 in goes_to(rendered("values-managed-oauth"), "gateway")  # tokens for Kafka


def test_kafkas_ports_are_those_of_its_addresses() -> None:
    many = {"kafka": {"bootstrap": "a:9095,b:9096,[2001:db8::1]:9095"}}
    assert goes_to(rendered("values-minimal", many), "publisher") == {53, 9095, 9096}
    told = {"networkPolicy": {"kafka": {"ports": [9000]}}}
    assert goes_to(rendered("values-minimal", told), "publisher") == {53, 9000}


@pytest.mark.parametrize(
    ("values", "component", "port"),
    [
        ({"tokens": {"jwksUrl": "https://login:8443/keys"}}, "publisher", 8443),
        ({"redis": {"url": "redis://redis:6380/0"}}, "router", 6380),
        ({"redis": {"url": "redis+sentinel://[::1],s:26380/main"}}, "router", 26379),
        ({"redis": {"url": "redis+sentinel://[::1],s:26380/main"}}, "router", 26380),
        ({"tracing": {"endpoint": "https://otel.example.org"}}, "registry", 443),
        ({"tracing": {"endpoint": "http://otel/v1:9/"}}, "registry", 80),
        ({"networkPolicy": {"dnsPorts": [5353]}}, "registry", 5353),
    ],
)
def test_policies_let_pods_go_to_what_the_values_name(
    values: dict[str, Any], component: str, port: int
) -> None:
    assert port in goes_to(rendered("values-strimzi", values), component)
    assert port not in goes_to(rendered("values-strimzi"), component)


def test_kafkas_tokens_are_got_from_where_they_are_given() -> None:
    values = {"kafka": {"security": {"tokenUrl": "https://login.example.org:8443/token"}}}
    assert 8443 in goes_to(rendered("values-managed-oauth", values), "gateway")


@pytest.mark.parametrize("component", SERVICES)
def test_further_rules_let_more_in(component: str) -> None:
    rule = {"ports": [{"port": 15020, "protocol": "TCP"}]}
    values = {"networkPolicy": {"extraIngress": [rule], "metricsFrom": []}}
    policy = rendered(values=values).one("NetworkPolicy", component)["spec"]
    assert policy["ingress"][-1] == rule
    plain = rendered(values={"networkPolicy": {"metricsFrom": []}})
    assert policy["ingress"][:-1] == plain.one("NetworkPolicy", component)["spec"]["ingress"]


def test_a_pod_with_two_addresses_is_scraped_once() -> None:
    services = rendered(values={"ipv6": True}).of_kind("Service")
    single = [
        name for name, one in services.items() if one["spec"]["ipFamilyPolicy"] == "SingleStack"
    ]
    assert single == ["release-tidewire-gateway-internal", "release-tidewire-router"]
    assert all(services[name]["spec"]["clusterIP"] == "None" for name in single)


@pytest.mark.parametrize("component", ["gateway", "publisher"])
def test_a_route_leads_to_the_port_of_the_service(component: str) -> None:
    manifests = rendered()
    (rule,) = manifests.one("HTTPRoute", component)["spec"]["rules"]
    (backend,) = rule["backendRefs"]
    (port,) = manifests.one("Service", component)["spec"]["ports"]
    assert backend == {"name": f"release-tidewire-{component}", "port": port["port"]}
    paths = {match["path"]["value"] for match in rule["matches"]}
    assert not paths & {"/", "/metrics", "/healthz", "/internal"}
    assert paths == (
        {"/v1/ws", "/v1/channels"}
        if component == "gateway"
        else {"/v1/events", "/v1/users", "/v1/push"}
    )


def test_an_ingress_leads_to_the_port_of_the_service() -> None:
    ingress = rendered("values-managed-scram").one("Ingress", "gateway")["spec"]
    (rule,) = ingress["rules"]
    backends = [path["backend"]["service"] for path in rule["http"]["paths"]]
    assert backends == [{"name": "release-tidewire-gateway", "port": {"name": "public"}}] * 2


@pytest.mark.parametrize(
    ("name", "port", "protocol"),
    [("values-keda", 80, "kubernetes.io/ws"), ("values-strimzi", 443, "kubernetes.io/wss")],
)
def test_proxies_are_told_how_a_node_speaks(name: str, port: int, protocol: str) -> None:
    (served,) = rendered(name).one("Service", "gateway")["spec"]["ports"]
    assert (served["port"], served["appProtocol"]) == (port, protocol)


def test_a_node_that_drains_is_still_measured() -> None:
    service = rendered().one("Service", "gateway", ending="-internal")["spec"]
    assert (service["clusterIP"], service["publishNotReadyAddresses"]) == ("None", True)


@pytest.mark.parametrize("component", SERVICES)
def test_every_service_is_scraped_under_a_name_that_the_alerts_look_for(component: str) -> None:
    for values in ({}, {"fullnameOverride": "events"}):
        manifests = rendered(values=values)
        name = f"{values.get('fullnameOverride', 'release-tidewire')}-{component}"
        monitor: Any = manifests.of_kind("ServiceMonitor")[name]["spec"]
        (endpoint,) = monitor["endpoints"]
        (relabeling,) = endpoint["relabelings"]
        assert "tidewire" in relabeling["replacement"]
        assert component in relabeling["replacement"]
        assert endpoint["path"] == "/metrics"
        scraped = [
            service
            for service in manifests.of_kind("Service").values()
            if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            and endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
        ]
        assert len(scraped) == 1


def test_alerts_arrive_as_they_were_tried() -> None:
    (rule,) = rendered().of_kind("PrometheusRule").values()
    written = yaml.safe_load((_DEPLOY / "prometheus" / "tidewire.rules.yaml").read_text())
    assert rule["spec"] == written
    assert rule["metadata"]["labels"]["release"] == "prometheus"


def test_the_dashboard_arrives_as_it_was_made() -> None:
    dashboard = rendered().of_kind("ConfigMap")["release-tidewire-dashboard"]
    written = json.loads((_DEPLOY / "grafana" / "tidewire.json").read_text())
    assert json.loads(dashboard["data"]["tidewire.json"]) == written
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_topics_are_made_before_anything_asks_for_them() -> None:
    manifests = rendered("values-strimzi")
    job = manifests.one("Job", "topics")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    weight = int(job["metadata"]["annotations"]["helm.sh/hook-weight"])
    before = [
        manifests.one("NetworkPolicy", "topics"),
        manifests.one("ConfigMap", "topics", ending="-streams"),
    ]
    for needed in before:
        annotations = needed["metadata"]["annotations"]
        assert annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
        assert int(annotations["helm.sh/hook-weight"]) < weight
    assert goes_to(manifests, "topics") == {53, 9093}
    sources = manifests.pod("topics")["volumes"][0]["projected"]["sources"]
    maps = [one["configMap"]["name"] for one in sources if "configMap" in one]
    assert maps == ["release-tidewire-topics-streams"]
    assert "serviceAccountName" not in manifests.pod("topics")  # made after the hook


def test_the_job_of_the_topics_is_placed_and_told_like_the_services() -> None:
    placed = {
        "nodeSelector": {"pool": "push"},
        "tolerations": [{"key": "push", "operator": "Exists"}],
    }
    told: dict[str, Any] = {
        "env": {"TZ": "UTC"},
        "extraEnvFrom": [{"secretRef": {"name": "more"}}],
        "podLabels": {"team": "push"},
        "podAnnotations": {"sidecar.istio.io/inject": "false"},
    }
    manifests = rendered("values-strimzi", {"kafka": {"topics": placed | told}})
    assert placed.items() <= manifests.pod("topics").items()
    container = manifests.container("topics")
    assert {"name": "TZ", "value": "UTC"} in container["env"]
    assert container["envFrom"] == told["extraEnvFrom"]
    metadata = manifests.one("Job", "topics")["spec"]["template"]["metadata"]
    assert told["podLabels"].items() <= metadata["labels"].items()
    assert metadata["annotations"] == told["podAnnotations"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_streams_of_the_examples_survive_a_broker(name: str) -> None:
    streams = yaml.safe_load(example(name).read_text())["streams"]
    assert {one["replication"] for one in streams.values()} == {3}


def test_what_is_not_enabled_is_not_there() -> None:
    manifests = rendered("values-managed-oauth")
    assert manifests.components() == ["gateway"]
    assert not any("publisher" in one["metadata"]["name"] for one in manifests.objects)
    variables = {one["name"] for one in manifests.container("gateway")["env"]}
    assert not any("TARGETED" in name for name in variables)
