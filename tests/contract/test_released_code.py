"""The code of the last release and the present one read what the other writes, unknown fields and types included."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.both_sides import FAULT, answer, read_by_client, read_by_server, read_record, written
from harness.evolution import holds
from harness.releases import (
    ROOT,
    last_release,
    source_roots,
    unpack,
)

pytestmark = pytest.mark.timeout(120)

TESTS = ROOT / "tests"
PRESENT = TESTS / "vectors" / "protocol"
LATER = {"x-later": {"of": ["a", "later", "version"]}}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def released_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(last_release(), tmp_path_factory.mktemp("released"))


def run_in(tree: Path, paths: list[str], stdin: str) -> subprocess.CompletedProcess[str]:
    """`harness.both_sides`, with ``paths`` on PYTHONPATH and the promise that its code is the tree's."""
    return subprocess.run(
        [sys.executable, "-m", "drills.from_tree", str(tree), "harness.both_sides"],
        input=stdin,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([*paths, str(TESTS)])},
        timeout=60,
        check=False,
    )


def ask_release(tree: Path, **asked: Any) -> Json:
    """What `harness.both_sides` says there."""
    stdin = json.dumps({"client": [], "server": [], "records": {}} | asked)
    done = run_in(tree, source_roots(tree), stdin)
    assert done.returncode == 0, done.stderr
    told: Json = json.loads(done.stdout)
    return told


def vectors(file: str, folder: Path = PRESENT) -> list[Json]:
    found: list[Json] = json.loads((folder / file).read_text())
    return found


def frames(file: str, folder: Path = PRESENT) -> list[str]:
    """Those that have messages, and no fault among them."""
    return [v["frame"] for v in vectors(file, folder) if v.get("messages") and "error" not in v]


def strewn(frame: str) -> str:
    """The frame, with fields of a later version in its messages, payloads, events and positions."""
    parsed = json.loads(frame)
    for message in parsed if isinstance(parsed, list) else [parsed]:
        payload = message.setdefault("payload", {})
        for each in (message, payload, *payload.get("events", ())):
            each |= LATER
        for name in ("position", "since"):
            if isinstance(payload.get(name), dict):
                payload[name] |= LATER
    return json.dumps(parsed)


def as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))


def test_client_of_the_release_reads_what_present_nodes_write(released_tree: Path) -> None:
    present = frames("server_frames.json") + frames("foreign_server_frames.json")
    read = ask_release(released_tree, server=present)["server"]
    assert FAULT not in read
    assert len(read) == len(present) > 50
    for frame, message in zip(present, read, strict=True):
        assert holds(as_json(read_by_client(frame)), message), frame


def test_client_of_the_release_ignores_fields_and_types_of_a_later_version(
    released_tree: Path,
) -> None:
    known = frames("server_frames.json")
    later = '{"v":1,"type":"later","payload":{"sub":7}}'
    read = ask_release(released_tree, server=[*known, *map(strewn, known), later])["server"]
    assert read[: len(known)] == read[len(known) : -1]
    assert read[-1] == []


def test_node_of_the_release_reads_what_present_clients_write(released_tree: Path) -> None:
    present = frames("client_frames.json")
    read = ask_release(released_tree, client=present)["client"]
    assert len(read) == len(present) > 20
    for frame, messages in zip(present, read, strict=True):
        assert not any(isinstance(message, str) for message in messages), frame
        assert holds(as_json(read_by_server(frame)), messages), frame


def test_node_of_the_release_ignores_fields_of_a_later_version(released_tree: Path) -> None:
    known = frames("client_frames.json")
    read = ask_release(released_tree, client=[*known, *map(strewn, known)])["client"]
    assert read[: len(known)] == read[len(known) :]


def test_present_code_reads_released_frames_as_the_release_does(released_tree: Path) -> None:
    folder = last_release().vectors
    asked = {
        "client": frames("client_frames.json", folder),
        "server": frames("server_frames.json", folder),
    }
    told = ask_release(released_tree, **asked)
    ours = as_json(answer({**asked, "records": {}}))
    assert holds(ours["client"], told["client"])
    assert holds(ours["server"], told["server"])


def test_records_of_either_are_read_by_the_other(released_tree: Path) -> None:
    ours = as_json(written())
    told = ask_release(released_tree, records={n: with_later(r) for n, r in ours.items()})
    assert set(ours) >= set(told["written"])
    for name, record in told["written"].items():
        mine, its = as_json(read_record(name, with_later(record))), told["records"][name]
        assert holds(mine, its), name


def with_later(record: Any) -> Any:
    """With a header, and in a revocation a field, that nobody knows yet; what is kept in Redis has no room for more."""
    if not isinstance(record, Mapping):
        return record
    later = {**record, "headers": [*record["headers"], ["tidewire-later", "1"]]}
    if record["key"].startswith("user/"):
        later["value"] = json.dumps(json.loads(record["value"]) | LATER)
    return later


def test_frozen_records_are_those_that_the_release_writes(released_tree: Path) -> None:
    frozen = json.loads((last_release().vectors.parent / "records.json").read_text())
    told = ask_release(released_tree, records=frozen["written"])
    assert told["written"] == frozen["written"]
    assert told["records"] == frozen["read"]


def run_javascript(vectors: Path) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    assert node is not None, "Node 20 is needed: `make setup-test` says how to get it"
    return subprocess.run(
        [node, "--test", "test/codec.test.js", "test/reception.test.js"],
        cwd=ROOT / "sdk" / "js",
        env={**os.environ, "TIDEWIRE_VECTORS": f"{vectors}/"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_javascript_client_passes_the_vectors_of_the_release() -> None:
    done = run_javascript(last_release().vectors)
    assert done.returncode == 0, done.stdout[-4000:]


def test_javascript_client_fails_vectors_that_say_something_else(tmp_path: Path) -> None:
    shutil.copytree(last_release().vectors, tmp_path / "protocol")
    told = vectors("sequences.json", last_release().vectors)
    told[0]["expect"]["position"] = {"epoch": "another", "offsets": {}}
    (tmp_path / "protocol" / "sequences.json").write_text(json.dumps(told))
    done = run_javascript(tmp_path / "protocol")
    assert done.returncode == 1
    assert f"not ok 1 - {told[0]['name']}" in done.stdout


def test_code_of_another_tree_is_refused(released_tree: Path) -> None:
    done = run_in(released_tree, [], "{}")
    assert done.returncode == 1
    assert "not the code of" in done.stderr
