"""The chart as Helm renders it, object by object."""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

__all__ = [
    "CHART",
    "EXAMPLES",
    "NAMESPACE",
    "RELEASE",
    "SERVICES",
    "Manifests",
    "example",
    "helm",
    "linted",
    "refused",
    "rendered",
    "rendered_against",
    "tool",
]

Object = Mapping[str, Any]

_ROOT = Path(__file__).parents[3]
CHART = _ROOT / "helm" / "tidewire"
EXAMPLES = sorted(path.stem for path in (CHART / "examples").glob("*.yaml"))
RELEASE, NAMESPACE = "release", "push"
SERVICES = ("gateway", "publisher", "registry", "router")
_PATIENCE = 60.0
_GETTING_TOOLS = 600.0


@dataclass(frozen=True, slots=True)
class Manifests:
    """``text`` is what would go to the cluster."""

    text: str
    objects: tuple[Object, ...]

    def of_kind(self, kind: str) -> dict[str, Object]:
        """By name."""
        return {one["metadata"]["name"]: one for one in self.objects if one["kind"] == kind}

    def one(self, kind: str, component: str, *, ending: str = "") -> Object:
        """The object of a service."""
        return self.of_kind(kind)[f"{RELEASE}-tidewire-{component}{ending}"]

    def pod(self, component: str) -> Object:
        """The pod's specification, of a service or of the topics' Job."""
        kind = "Job" if component == "topics" else "Deployment"
        pod: Object = self.one(kind, component)["spec"]["template"]["spec"]
        return pod

    def container(self, component: str) -> Object:
        (container,) = self.pod(component)["containers"]
        made: Object = container
        return made

    def components(self) -> list[str]:
        """The services that there are."""
        prefix = f"{RELEASE}-tidewire-"
        return sorted(name.removeprefix(prefix) for name in self.of_kind("Deployment"))


@cache
def tool(name: str) -> str:
    """Where `helm` or `kubeconform` is; the first time on a machine it is got."""
    script = _ROOT / "deploy" / "charts" / "tools.sh"
    got = subprocess.run(
        ["sh", script], check=False, capture_output=True, text=True, timeout=_GETTING_TOOLS
    )
    assert got.returncode == 0, got.stderr
    return str(Path(got.stdout.strip()) / name)


def helm(*words: str | Path, values: str = "") -> subprocess.CompletedProcess[str]:
    """``values``, in YAML, are read last."""
    command = [tool("helm"), *map(str, words), "--values", "-"]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, input=values, timeout=_PATIENCE
    )


def example(name: str) -> Path:
    return CHART / "examples" / f"{name}.yaml"


def rendered(name: str = "values-keda", values: Mapping[str, Any] | None = None) -> Manifests:
    """An example, with ``values`` laid over it."""
    return _rendered(name, json.dumps(values or {}))


def refused(values: Mapping[str, Any], name: str = "values-keda") -> str:
    """What Helm says of an example with ``values`` laid over it, which cannot be used."""
    done = _template(name, json.dumps(values))
    assert done.returncode != 0, "these values were taken"
    return done.stderr


def linted(name: str, values: Mapping[str, Any] | None = None) -> str:
    """What `helm lint --strict` finds; nothing where all is well."""
    words = ("lint", "--strict", "--quiet", CHART, "--values", example(name))
    done = helm(*words, values=json.dumps(values or {}))
    return "" if done.returncode == 0 else done.stdout + done.stderr


def rendered_against(url: str, values: Mapping[str, Any]) -> Manifests:
    """Likewise, and what the chart looks up is asked of an API server."""
    words = ("--dry-run=server", "--kubeconfig", os.devnull, "--kube-apiserver", url)
    return _manifests(_template("values-keda", json.dumps(values), *words))


@cache
def _rendered(name: str, values: str) -> Manifests:
    return _manifests(_template(name, values))


def _manifests(done: subprocess.CompletedProcess[str]) -> Manifests:
    assert done.returncode == 0, done.stderr
    return Manifests(done.stdout, tuple(_objects(yaml.safe_load_all(done.stdout))))


def _template(name: str, values: str, *more: str) -> subprocess.CompletedProcess[str]:
    words = ("template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", example(name))
    return helm(*words, *more, values=values)


def _objects(documents: Iterable[Any]) -> Iterable[Object]:
    return (document for document in documents if document)
