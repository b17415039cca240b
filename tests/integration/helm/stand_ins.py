"""A rendered pod's files and variables on this machine, with secrets stood in."""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.authority import make_authority
from harness.issuer import make_key
from integration.helm.chart import RELEASE, Manifests

__all__ = ["PASSWORD", "POD", "POD_IP", "Pod", "stand_in"]

PASSWORD = "stood-in"
POD, POD_IP = f"{RELEASE}-tidewire-gateway-7c9d8b6f5-x2x4z", "10.0.0.7"
_FACTS = {"metadata.name": POD, "status.podIP": POD_IP}


@dataclass(frozen=True, slots=True)
class Pod:
    """``environment`` is the container's, its paths those below ``root``."""

    root: Path
    environment: dict[str, str]

    def file(self, path: str) -> Path:
        return self.root / path.removeprefix("/")


def stand_in(manifests: Manifests, component: str, root: Path) -> Pod:
    """What the container would find, in ``root``."""
    container = manifests.container(component)
    volumes = {one["name"]: one for one in manifests.pod(component)["volumes"]}
    for mount in container["volumeMounts"]:
        folder = root / mount["mountPath"].removeprefix("/")
        folder.mkdir(parents=True)
        for source in volumes[mount["name"]].get("projected", {}).get("sources", []):
            for item, text in _items(manifests, source):
                (folder / item).parent.mkdir(parents=True, exist_ok=True)
                (folder / item).write_bytes(text)
    return Pod(root, dict(_variables(container, root)))


@cache
def _contents() -> dict[str, bytes]:
    """What Secrets would hold, by how the path ends where it is mounted."""
    with tempfile.TemporaryDirectory() as folder:
        authority = make_authority(Path(folder))
        issued = authority.issue("stood-in")
        ca, certificate, key = (
            path.read_bytes() for path in (authority.certificate, issued.certificate, issued.key)
        )
    return {
        "ca.crt": ca,
        "tls.crt": certificate,
        "tls.key": key,
        ".pem": make_key("EdDSA").pem,
        "internal.key": secrets.token_hex(32).encode(),
        "token.key": secrets.token_hex(32).encode(),
        "__PASSWORD": PASSWORD.encode(),
        "__USERNAME": b"tidewire",
        "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:1/0".encode(),
    }


def _held(path: str) -> bytes:
    (found,) = (text for ending, text in _contents().items() if path.endswith(ending))
    return found


def _items(manifests: Manifests, source: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for item in (source.get("secret") or source["configMap"])["items"]:
        if "secret" in source:
            yield item["path"], _held(item["path"])
        else:
            held = manifests.of_kind("ConfigMap")[source["configMap"]["name"]]
            yield item["path"], held["data"][item["key"]].encode()


def _variables(container: Mapping[str, Any], root: Path) -> Iterator[tuple[str, str]]:
    for variable in container["env"]:
        if "valueFrom" in variable:
            yield variable["name"], _FACTS[variable["valueFrom"]["fieldRef"]["fieldPath"]]
            continue
        text = variable["value"].replace("$(POD_IP)", POD_IP)
        for mounted in ("/etc/tidewire/", "/run/secrets/"):
            text = text.replace(mounted, f"{root}{mounted}")
        yield variable["name"], text
