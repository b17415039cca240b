"""Values that contradict themselves are told with their cure, all at once, before anything reaches a cluster."""

from typing import Any

import pytest

from integration.helm.chart import refused

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

_SASL = {"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "u", "existingSecret": "s"}


def kafka(**security: Any) -> dict[str, Any]:
    return {"kafka": {"security": security}}


def gateway(**values: Any) -> dict[str, Any]:
    return {"gateway": values}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (gateway(trustProxyTls=False), "gateway.tls.existingSecret: is not set"),
        (gateway(tls={"existingSecret": "s"}), "set one of the two, not both"),
        ({"publisher": {"trustProxyTls": False}}, "publisher.tls.existingSecret: is not set"),
        (gateway(trustedProxies=[]), "gateway.trustedProxies: is empty"),
        (gateway(httpRoute={"parentRefs": []}), "gateway.httpRoute.parentRefs: is empty"),
        (gateway(ingress={"enabled": True}), "gateway.ingress.hosts: is empty"),
        (gateway(autoscaling={"enabled": True}), "set one of the two to false"),
        (gateway(keda={"serverAddress": ""}), "gateway.keda.serverAddress: is not set"),
        (gateway(keda={"minReplicas": 50}), "gateway.keda.maxReplicas: is below minReplicas"),
        (
            gateway(keda={"enabled": False}, autoscaling={"enabled": True, "targetConnections": 0}),
            "there is nothing to scale by",
        ),
        ({"registry": {"slots": 40}}, "registry.slots: is 40, and there may be 42 gateway nodes"),
        (
            {"gateway": {"maxSurge": 13}},
            "registry.slots: is 64, and there may be 66 gateway nodes",
        ),
        (
            gateway(resources={"limits": {"memory": "64Mi"}}),
            "gateway.resources.limits.memory: a node refuses newcomers at 85 %",
        ),
        (
            gateway(env={"TIDEWIRE_GATEWAY__LOG_BYTES": "1900000000"}),
            "gateway.resources.limits.memory: a node refuses newcomers at 85 %",
        ),
        (
            {"kafka": {"topics": {"enabled": True, "env": {"TIDEWIRE_KAFKA__BOOTSTRAP": "k:1"}}}},
            "kafka.topics.env: TIDEWIRE_KAFKA__BOOTSTRAP is set by the chart",
        ),
        ({"registry": {"enabled": False}}, "router.enabled: a router asks the registry"),
        ({"redis": {"existingSecret": ""}}, "redis.existingSecret: is not set"),
        ({"redis": {"url": "redis://redis:6379"}}, "leave one of the two out"),
        (
            {"redis": {"existingSecret": "", "url": "redis://:hunter2@redis:6379"}},
            "would stand in plain text",
        ),
        ({"internalKey": {"existingSecret": ""}}, "openssl rand -hex 32"),
        ({"streams": None}, "streams: there are none"),
        ({"existingStreams": {"configMap": "c"}}, "streams stand in the values, too"),
        ({"kafka": {"bootstrap": ""}}, "kafka.bootstrap: is not set"),
        (kafka(protocol="SASL_SSL"), "kafka.security.mechanism: is not set"),
        (kafka(**_SASL | {"existingSecret": ""}), "kafka.security.existingSecret: is not set"),
        (kafka(**_SASL | {"username": ""}), "kafka.security.username: is not set"),
        (kafka(**_SASL | {"usernameKey": "u"}), "kafka.security.usernameKey: username is set, too"),
        (kafka(**_SASL | {"mechanism": "OAUTHBEARER"}), "kafka.security.tokenUrl: is not set"),
        (kafka(**_SASL | {"tokenScope": "s"}), "are for OAUTHBEARER"),
        (kafka(mechanism="PLAIN"), "which has no users and passwords"),
        (kafka(ca={"existingSecret": "ca"}), "which has no certificates"),
        ({"tokens": {"existingSecret": ""}}, "tokens.existingSecret: no key is named"),
        ({"tokens": {"jwksUrl": "https://a.example/keys"}}, "is the simple form"),
        (
            {"tokens": {"existingSecret": "", "jwksUrl": "https://a.example/keys"}},
            "tokens.issuer: is not set",
        ),
        ({"tokens": {"keyFiles": {"keys": ["a.pem"]}}}, "tokens.keyFiles: needs both"),
        ({"tokens": {"jwksCa": {"existingSecret": "ca"}}}, "is for jwksUrl"),
        (
            gateway(env={"TIDEWIRE_GATEWAY__DRAIN_WINDOW": "600"}),
            "TIDEWIRE_GATEWAY__DRAIN_WINDOW is set by the chart",
        ),
        (
            {"router": {"env": {"TIDEWIRE_ROUTER__KAFKA__SECURITY__PASSWORD": "hunter2"}}},
            "would stand in plain text",
        ),
        (
            {name: {"enabled": False} for name in ("gateway", "publisher", "registry", "router")},
            "gateway.enabled: nothing is enabled",
        ),
    ],
)
def test_what_contradicts_itself_is_told_with_its_cure(
    values: dict[str, Any], sentence: str
) -> None:
    told = refused(values)
    assert sentence in told
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("values", "place"),
    [
        (gateway(replica=3), "replica is not allowed"),
        ({"streams": {"flights": {"topic": "f", "partitons": 6}}}, "partitons is not allowed"),
        ({"streams": {"tide wire": {"topic": "f"}}}, "tide wire is not allowed"),
        (gateway(drain={"window": "30s"}), "gateway.drain.window"),
        (gateway(env={"TIDEWIRE_GATEWAY__LINGER": 30}), "gateway.env"),
        ({"kafka": {"bootstrap": "kafka"}}, "kafka.bootstrap"),
        ({"kafka": {"password": "x"}}, "password is not allowed"),
    ],
)
def test_what_the_schema_does_not_know_is_told_with_its_place(
    values: dict[str, Any], place: str
) -> None:
    assert place in refused(values)


def test_every_problem_is_told_at_once() -> None:
    told = refused({"kafka": {"bootstrap": ""}, "redis": {"existingSecret": ""}, "streams": None})
    assert told.count("\n- ") == 3
