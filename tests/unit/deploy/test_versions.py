"""Everything that is shipped together says one version, and one command changes it."""

import re
from pathlib import Path

import pytest
from deploy.packages.versions import PLACES, ROOT, SOURCE, versions, write

from tidewire import __version__

_SKIPPED = frozenset({"node_modules", "vectors", "charts"})


def test_every_place_says_the_version_of_the_library() -> None:
    assert {version for _, version in versions(ROOT)} == {__version__}


def test_every_package_that_states_a_version_is_a_place() -> None:
    names = ("_version.py", "Chart.yaml", "pyproject.toml", "package.json")
    states = re.compile(r'^(?:__version__ =|version:|version =|  "version":)', re.MULTILINE)
    stating = {
        path.relative_to(ROOT).as_posix()
        for name in names
        for folder in ("shared", "services", "sdk", "examples", "helm", "deploy")
        for path in (ROOT / folder).rglob(name)
        if not _SKIPPED & set(path.parts) and states.search(path.read_text())
    }
    assert stating <= {path for path, _ in PLACES}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that has a copy of every place."""
    for name, _ in PLACES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    return tmp_path


def test_another_version_is_written_everywhere_and_nothing_else_is(elsewhere: Path) -> None:
    write(elsewhere, "9.8.7")
    assert {version for _, version in versions(elsewhere)} == {"9.8.7"}
    for name, _ in PLACES:
        written = (elsewhere / name).read_text()
        assert written.count("9.8.7") == sum(path == name for path, _ in PLACES)
        assert written.replace("9.8.7", __version__) == (ROOT / name).read_text()


@pytest.mark.parametrize("word", ["next", "1.2", "1.2.3rc1"])
def test_what_is_no_version_is_refused_with_the_cure(elsewhere: Path, word: str) -> None:
    with pytest.raises(SystemExit, match="give three numbers"):
        write(elsewhere, word)
    assert (elsewhere / SOURCE).read_text() == (ROOT / SOURCE).read_text()


def test_place_that_cannot_be_found_is_named(elsewhere: Path) -> None:
    (elsewhere / SOURCE).write_text("__version__ = current()\n")
    with pytest.raises(SystemExit, match=SOURCE):
        versions(elsewhere)


def test_licence_of_each_package_is_that_of_the_repository() -> None:
    for folder in ("sdk/js", "sdk/python"):
        assert (ROOT / folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
