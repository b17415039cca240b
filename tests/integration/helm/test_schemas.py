"""`helm lint`, and each rendered object against the API's own schemas, over a matrix of values."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from integration.helm.chart import EXAMPLES, Manifests, linted, rendered, tool

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

_SCHEMAS = Path(__file__).parents[2] / "vectors" / "kubernetes"
_VERSIONS = ("1.30.0", "1.37.0")
_NAMED = "{{.ResourceKind}}{{.KindSuffix}}.json"

PLACED: dict[str, Any] = {
    "podAnnotations": {"a": "b"},
    "podLabels": {"team": "push"},
    "nodeSelector": {"pool": "push"},
    "tolerations": [{"key": "push", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "priorityClassName": "high",
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    ],
    "extraEnvFrom": [{"secretRef": {"name": "more"}}],
    "extraVolumes": [{"name": "more", "secret": {"secretName": "more"}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/etc/more", "readOnly": True}],
    "serviceAccount": {"create": False, "name": "shared"},
    "podDisruptionBudget": {"enabled": False},
}
TOPICS = ("podAnnotations", "podLabels", "nodeSelector", "tolerations", "extraEnvFrom")
VARIANTS: dict[str, dict[str, Any]] = {
    "placed": dict.fromkeys(("gateway", "publisher", "registry", "router"), PLACED),
    "ipv6": {"ipv6": True, "kafka": {"bootstrap": "[2001:db8::1]:9092"}},
    "no-policies": {"networkPolicy": {"enabled": False}},
    "nobody-measures": {"networkPolicy": {"metricsFrom": []}},
    "existing-streams": {"streams": None, "existingStreams": {"configMap": "streams"}},
    "image": {
        "image": {
            "repository": "registry.example.org/tidewire",
            "digest": f"sha256:{'0' * 64}",
            "pullSecrets": [{"name": "pull"}],
        }
    },
    "autoscaler": {
        "gateway": {
            "keda": {"enabled": False},
            "autoscaling": {
                "enabled": True,
                "targetCPUUtilizationPercentage": 70,
                "customMetrics": [
                    {
                        "type": "External",
                        "external": {
                            "metric": {"name": "queue"},
                            "target": {"type": "Value", "value": "5"},
                        },
                    }
                ],
            },
        }
    },
    "tls": {
        "gateway": {"trustProxyTls": False, "tls": {"existingSecret": "g"}},
        "publisher": {
            "trustProxyTls": False,
            "tls": {"existingSecret": "p"},
            "service": {
                "type": "LoadBalancer",
                "loadBalancerClass": "example.org/lb",
                "externalTrafficPolicy": "Local",
                "loadBalancerSourceRanges": ["192.0.2.0/24"],
            },
        },
    },
    "ingress": {
        "publisher": {
            "ingress": {"enabled": True, "className": "a", "hosts": ["a.example", "b.example"]}
        }
    },
    "topics": {
        "kafka": {
            "topics": {
                "enabled": True,
                "replication": 3,
                "env": {"TZ": "UTC"},
                **{name: PLACED[name] for name in TOPICS},
            }
        }
    },
    "long-drain": {"gateway": {"drain": {"window": 86400}}},
    "outside-user": {
        "podSecurityContext": dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup")),
        "networkPolicy": {"dnsPorts": [53, 5353], "extraIngress": [{"ports": [{"port": 1}]}]},
    },
    "gateway-alone": {
        "publisher": {"enabled": False},
        "registry": {"enabled": False},
        "router": {"enabled": False},
    },
    "router-alone": {"gateway": {"enabled": False}, "publisher": {"enabled": False}},
    "other-names": {"fullnameOverride": "events-to-browsers"},
    "watched": {"kafka": {"topics": {"enabled": True}}, "tracing": {"samplerRatio": 0.5}},
}
MATRIX = [(name, "") for name in EXAMPLES] + [("values-keda", variant) for variant in VARIANTS]


def conform(text: str, version: str) -> subprocess.CompletedProcess[str]:
    """Without a network: a kind that no schema is there for is an error."""
    places = (
        f"{_SCHEMAS}/{{{{.NormalizedKubernetesVersion}}}}/{_NAMED}",
        f"{_SCHEMAS}/crds/{_NAMED}",
    )
    words = [f"-schema-location={place}" for place in places]
    command = [tool("kubeconform"), "-strict", f"-kubernetes-version={version}", *words, "-"]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, input=text, timeout=60
    )


def made(name: str, variant: str) -> Manifests:
    return rendered(name, VARIANTS.get(variant))


@pytest.mark.parametrize(("name", "variant"), MATRIX)
def test_chart_lints(name: str, variant: str) -> None:
    assert linted(name, VARIANTS.get(variant)) == ""


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize(("name", "variant"), MATRIX)
def test_objects_are_what_the_api_takes(name: str, variant: str, version: str) -> None:
    checked = conform(made(name, variant).text, version)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(("name", "variant"), MATRIX)
def test_no_object_stands_twice(name: str, variant: str) -> None:
    named = [(one["kind"], one["metadata"]["name"]) for one in made(name, variant).objects]
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
        ("maxReplicaCount: 40", "maxReplicaCount: many"),
        ("parentRefs:", "parents:"),
        ("scrapeTimeout:", "timeout:"),
        ("kind: PrometheusRule", "kind: PrometheusRules"),
    ],
)
def test_an_object_that_the_api_does_not_take_is_found(right: str, wrong: str) -> None:
    text = rendered().text
    assert right in text
    assert conform(text.replace(right, wrong), _VERSIONS[0]).returncode != 0


def test_lint_finds_a_value_that_there_is_not() -> None:
    assert "replica is not allowed" in linted("values-minimal", {"gateway": {"replica": 3}})
