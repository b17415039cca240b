"""Write ``tests/vectors/kubernetes``: ``python -m deploy.charts.vendor_schemas KUBERNETES-SCHEMAS CRD.yaml…``.

KUBERNETES-SCHEMAS is ``kubernetes_validate/kubernetes-json-schema`` of the Python package kubernetes-validate; where the
CRDs come from stands in ``tests/vectors/kubernetes/README.md``. Only the kinds that the chart has are taken, without prose.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

OUT = Path(__file__).parents[2] / "tests" / "vectors" / "kubernetes"
VERSIONS = ("v1.30.0", "v1.37.0")
KINDS = (
    "configmap-v1",
    "deployment-apps-v1",
    "horizontalpodautoscaler-autoscaling-v2",
    "ingress-networking-v1",
    "job-batch-v1",
    "networkpolicy-networking-v1",
    "poddisruptionbudget-policy-v1",
    "service-v1",
    "serviceaccount-v1",
)
_SHARED = "_definitions.json"
_PROSE = frozenset({"description", "$schema"})


def without_prose(schema: Any, *, names: bool = False) -> Any:
    """``names``: the keys of ``schema`` are properties' names, which may be called like a keyword."""
    if isinstance(schema, list):
        return [without_prose(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: without_prose(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names
        or not (key in _PROSE or (key.startswith("x-kubernetes") and key != _INT_OR_STRING))
    }


def relative(schema: Any) -> Any:
    """References to definitions, as they stand beside the file."""
    if isinstance(schema, list):
        return [relative(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.removeprefix("/api/") if key == "$ref" else relative(value)
        for key, value in schema.items()
    }


def referred(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from referred(one)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from referred(value)


_INT_OR_STRING = "x-kubernetes-int-or-string"


def strict(schema: Any) -> Any:
    """A CRD's schema as the API server prunes by it: what is not named is an error."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: strict(one) for name, one in value.items()}
        if key == "properties"
        else strict(value)
        for key, value in schema.items()
    }
    if made.pop(_INT_OR_STRING, False):
        made.pop("anyOf", None)
        return made | {"type": ["integer", "string"]}
    if isinstance(made.get("properties"), dict) and "additionalProperties" not in made:
        made["additionalProperties"] = False
    return made


def write(path: Path, schema: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")


def write_kubernetes(source: Path, version: str) -> None:
    folder = source / f"{version}-local-strict"
    shared = json.loads((folder / _SHARED).read_text())["$defs"]
    wanted: set[str] = set()
    for kind in KINDS:
        schema = relative(without_prose(json.loads((folder / f"{kind}.json").read_text())))
        write(OUT / version / f"{kind}.json", schema)
        wanted.update(referred(schema))
    found: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        found[name] = without_prose(shared[name])
        wanted.update(set(referred(found[name])) - found.keys())
    write(OUT / version / _SHARED, {"$defs": relative(found)})


def write_crd(path: Path) -> None:
    spec = yaml.safe_load(path.read_text())["spec"]
    kind, group = spec["names"]["kind"].lower(), spec["group"].partition(".")[0]
    for version in spec["versions"]:
        if version["served"] and version["storage"]:
            schema = without_prose(version["schema"]["openAPIV3Schema"])
            schema["properties"]["metadata"] = {"type": "object"}
            schema = strict(schema)
            schema["properties"]["metadata"] = {"type": "object"}
            write(OUT / "crds" / f"{kind}-{group}-{version['name']}.json", schema)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    for version in VERSIONS:
        write_kubernetes(Path(arguments[0]), version)
    for crd in arguments[1:]:
        write_crd(Path(crd))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
