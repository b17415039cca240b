"""The npm package in a project that has nothing else: it is imported, and type-checked, from there."""

import json
import re
from pathlib import Path

import pytest

from integration.packages.building import ROOT, Built, members_of, run

pytestmark = pytest.mark.timeout(120)

SDK = ROOT / "sdk" / "js"
MOST_BYTES = 10_000
PROGRAM = """
import { Tidewire, type Subscription } from 'tidewire';

const client = new Tidewire('wss://push.example.org/v1/ws', { getToken: async () => 'token' });
const flights: Subscription = client.subscribe('flights/JFK', { mode: 'latest', intervalMs: 250 });
flights.on('status', ({ state, ageMs }) => console.log(state.length, ageMs?.toFixed()));
// @ts-expect-error there is no such mode
client.subscribe('flights', { mode: 'sometimes' });
"""


@pytest.fixture(scope="module")
def project(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project into which the package was installed."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    npm = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--silent"]
    run([*npm, built.one("tidewire-*.tgz")], folder)
    return folder


def test_package_is_its_modules_types_readme_and_licence(built: Built) -> None:
    members = members_of(built.one("tidewire-*.tgz"))
    modules = {f"src/{path.name}" for path in (SDK / "src").iterdir()}
    assert set(members) == modules | {"package.json", "README.md", "LICENSE"}
    assert members["LICENSE"] == (ROOT / "LICENSE").read_bytes()
    assert "dependencies" not in json.loads(members["package.json"])


def test_node_imports_it(project: Path) -> None:
    code = "import { Tidewire } from 'tidewire'; console.log(typeof Tidewire)"
    said = run(["node", "--input-type=module", "--eval", code], project)
    assert said.split() == ["function"]


@pytest.mark.parametrize(("module", "resolution"), [("esnext", "bundler"), ("node16", "node16")])
def test_typescript_takes_its_types(project: Path, module: str, resolution: str) -> None:
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "lib": ["es2023", "dom", "dom.iterable"],
        "types": [],
        "module": module,
        "moduleResolution": resolution,
    }
    config = {"compilerOptions": options, "files": ["program.ts"]}
    (project / "tsconfig.json").write_text(json.dumps(config))
    (project / "program.ts").write_text(PROGRAM)
    run([SDK / "node_modules" / ".bin" / "tsc", "--project", "."], project)


def test_size_is_told_and_small(built: Built) -> None:
    told = re.search(r"in one file: (\d+) B minified, (\d+) B gzipped", built.said)
    assert told is not None, built.said
    assert 0 < int(told[2]) <= MOST_BYTES
