"""Freeze a release: ``python -m harness.release_records VERSION COMMIT``, from a checkout that has the commit."""

import json
import lzma
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .releases import CODE, RELEASED, ROOT, SOURCES, Release, source_roots, unpack

__all__ = ["ask", "main"]

_TIMEOUT = 60.0
_VECTORS = "tests/vectors/protocol"
_FILES = ("client_frames", "foreign_server_frames", "sequences", "server_frames")


def main(version: str, commit: str, *, released: Path = RELEASED) -> int:
    folder = released / version
    if folder.exists():
        sys.exit(f"error: {folder} is there already: what was released is never edited")
    code = _archive(commit)
    (folder / "protocol").mkdir(parents=True)
    (folder / CODE).write_bytes(code)
    with tempfile.TemporaryDirectory() as unpacked:
        tree = unpack(Release(version, commit, folder), Path(unpacked))
        told = ask(tree, {"client": [], "server": [], "records": {}})["written"]
        read = ask(tree, {"client": [], "server": [], "records": told})["records"]
    for name in _FILES:
        text = _run(["git", "-C", str(ROOT), "show", f"{commit}:{_VECTORS}/{name}.json"])
        (folder / "protocol" / f"{name}.json").write_text(text)
    records = json.dumps({"written": told, "read": read}, indent=2)
    (folder / "records.json").write_text(records + "\n")
    (folder / "release.json").write_text(json.dumps({"version": version, "commit": commit}) + "\n")
    return 0


def ask(tree: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What `harness.both_sides` says with the code of ``tree``."""
    paths = [*source_roots(tree), str(ROOT / "tests")]
    command = [sys.executable, "-m", "drills.from_tree", str(tree), "harness.both_sides"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    told: dict[str, Any] = json.loads(_run(command, json.dumps(asked), environment))
    return told


def _archive(commit: str) -> bytes:
    """Its Python, the same bytes each time."""
    modules = [f":(glob){source}/**/*.py" for source in SOURCES]
    done = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--format=tar", commit, *modules],
        capture_output=True,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: commit {commit} cannot be had: {done.stderr.decode(errors='replace')}")
    return lzma.compress(done.stdout, preset=9 | lzma.PRESET_EXTREME)


def _run(command: Sequence[str], stdin: str = "", environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env=environment,
        timeout=_TIMEOUT,
        check=False,
    )
    if done.returncode:
        sys.exit(f"error: {' '.join(command)}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"error: {__doc__}")
    sys.exit(main(*sys.argv[1:]))
