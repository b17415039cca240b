"""What is in the packages: all that a stranger needs, nothing else, the same from either source."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from integration.packages.building import ROOT, Built, members_of, run

pytestmark = pytest.mark.timeout(120)

PACKAGES = (
    "tidewire",
    "tidewire_gateway",
    "tidewire_publisher",
    "tidewire_registry",
    "tidewire_router",
)
STATIC = (".html", ".css", ".js", ".ts", ".svg", ".woff2", ".md", "")
LICENSE = (ROOT / "LICENSE").read_bytes()


def metadata_of(wheel: Path) -> str:
    (name,) = (name for name in members_of(wheel) if name.endswith(".dist-info/METADATA"))
    return members_of(wheel)[name].decode()


def sources(folder: str, *endings: str) -> set[str]:
    """The files below a folder of this checkout, as the wheel names them."""
    root = ROOT / folder
    return {
        path.relative_to(root.parent).as_posix()
        for path in root.rglob("*")
        if path.is_file() and path.suffix in endings and "__pycache__" not in path.parts
    }


def test_wheel_holds_every_module_and_what_the_modules_read(built: Built) -> None:
    names = set(members_of(built.one("tidewire-*.whl")))
    expected = sources("shared/tidewire", ".py", ".xml", ".c", ".h")
    for package in PACKAGES[1:]:
        expected |= sources(f"services/{package}", ".py")
    expected |= {
        f"tidewire_gateway/console/{name}"
        for name in sources("services/tidewire_gateway/console/static", *STATIC)
    }
    expected |= {f"tidewire/sdk_js/{path.name}" for path in (ROOT / "sdk" / "js" / "src").iterdir()}
    expected |= {f"{package}/py.typed" for package in PACKAGES}
    inside = {name for name in names if ".dist-info/" not in name}
    assert inside == expected


def test_wheel_carries_its_licence_its_command_and_its_extras(built: Built) -> None:
    wheel = built.one("tidewire-*.whl")
    members = members_of(wheel)
    assert _named(members, "licenses/LICENSE") == LICENSE
    assert b"tidewire = tidewire.cli.__main__:main" in _named(members, "entry_points.txt")
    extras = re.findall(r"^Provides-Extra: (\S+)$", metadata_of(wheel), re.MULTILINE)
    assert sorted(extras) == ["cli", "embedded", "server"]


def test_client_wheel_is_the_client_and_needs_websockets_alone(built: Built) -> None:
    wheel = built.one("tidewire_client-*.whl")
    members = members_of(wheel)
    inside = {name for name in members if ".dist-info/" not in name}
    assert inside == sources("sdk/python/tidewire_client", ".py") | {"tidewire_client/py.typed"}
    assert _named(members, "licenses/LICENSE") == LICENSE
    needed = re.findall(r"^Requires-Dist: (.+)$", metadata_of(wheel), re.MULTILINE)
    assert needed == ["websockets>=15"]


def test_example_wheel_brings_its_dashboard_and_its_streams(built: Built) -> None:
    names = set(members_of(built.one("tidewire_example_flights-*.whl")))
    inside = {name for name in names if ".dist-info/" not in name}
    dashboard = {
        f"tidewire_flights/{path.relative_to(ROOT / 'examples/flights').as_posix()}"
        for path in (ROOT / "examples" / "flights" / "dashboard").rglob("*")
        if path.is_file()
    }
    modules = sources("examples/flights/tidewire_flights", ".py")
    assert inside == modules | dashboard | {
        "tidewire_flights/py.typed",
        "tidewire_flights/streams.yaml",
    }


@pytest.mark.parametrize("name", ["tidewire", "tidewire_client"])
def test_source_distribution_builds_the_same_wheel(built: Built, tmp_path: Path, name: str) -> None:
    archive = built.one(f"{name}-*.tar.gz")
    members = members_of(archive)
    assert members["LICENSE"] == LICENSE
    assert not [path for path in members if path.startswith("tests/")]
    for path, content in members.items():
        file = tmp_path / "source" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    hatchling = Path(sys.prefix) / "bin" / "hatchling"
    run([hatchling, "build", "-t", "wheel", "-d", tmp_path / "again"], tmp_path / "source")
    (again,) = (tmp_path / "again").iterdir()
    first = built.one(f"{name}-*.whl")
    assert again.name == first.name
    assert members_of(again) == members_of(first)


def _named(members: Mapping[str, bytes], ending: str) -> bytes:
    (name,) = (name for name in members if name.endswith(ending))
    return members[name]
