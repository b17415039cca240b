"""Which release is the last, and what was released stays."""

import json
from pathlib import Path

import pytest

from harness.release_records import main
from harness.releases import ROOT, last_release, source_roots, unpack


def write_down(folder: Path, version: str) -> None:
    (folder / version).mkdir()
    told = {"version": version, "commit": f"commit of {version}"}
    (folder / version / "release.json").write_text(json.dumps(told))


def test_last_release_is_the_highest_version_by_number(tmp_path: Path) -> None:
    for version in ("0.9.0", "0.10.0", "0.2.11"):
        write_down(tmp_path, version)
    release = last_release(tmp_path)
    assert (release.version, release.commit) == ("0.10.0", "commit of 0.10.0")
    assert release.vectors == tmp_path / "0.10.0" / "protocol"


def test_source_roots_are_those_of_this_repository() -> None:
    assert all(Path(root).is_dir() for root in source_roots(ROOT))


def test_release_that_is_written_down_is_never_written_again(tmp_path: Path) -> None:
    write_down(tmp_path, "0.1.0")
    with pytest.raises(SystemExit, match=r"what was released is never edited"):
        main("0.1.0", "a commit", released=tmp_path)


def test_code_of_the_last_release_is_there_and_says_its_version(tmp_path: Path) -> None:
    release = last_release()
    tree = unpack(release, tmp_path)
    told = (tree / "shared" / "tidewire" / "_version.py").read_text()
    assert f'"{release.version}"' in told
    assert all(Path(root).is_dir() for root in source_roots(tree))
