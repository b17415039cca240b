"""What is installed: locked with hashes, and at run time nothing that only development needs."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = ROOT / "deploy" / "requirements"
LOCKED = ("run", "dev", "embedded", "fuzz")
SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


class Locked(NamedTuple):
    name: str
    requirement: str
    hashes: list[str]


def locked(lock: str) -> list[Locked]:
    """The entries of a lock file; a continued line belongs to the one before it."""
    text = (LOCKS / f"{lock}.lock").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    return [
        Locked(
            re.split(r"[=<>\[; ]", entry, maxsplit=1)[0],
            entry.partition("--hash")[0].split(" ;")[0].strip(),
            re.findall(r"--hash=(\S+)", entry),
        )
        for entry in entries
    ]


def names_in(requirements: list[str]) -> set[str]:
    return {re.split(r"[=<>\[; ]", one, maxsplit=1)[0].lower() for one in requirements}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
DEVELOPMENT: list[str] = PROJECT["dependency-groups"]["dev"]
RUN_TIME = [*PROJECT["project"]["dependencies"], *EXTRAS["cli"], *EXTRAS["server"]]


@pytest.mark.parametrize("lock", LOCKED)
def test_every_locked_package_has_one_version_and_its_hashes(lock: str) -> None:
    entries = locked(lock)

    assert entries
    for entry in entries:
        assert re.fullmatch(r"[\w.-]+==[\w.+!]+", entry.requirement), entry
        assert entry.hashes, f"{entry.name} has no hash"
        assert all(SHA256.fullmatch(one) for one in entry.hashes), entry


@pytest.mark.parametrize("lock", LOCKED)
def test_locks_name_no_address(lock: str) -> None:
    assert "://" not in (LOCKS / f"{lock}.lock").read_text()


def test_installation_insists_on_the_hashes() -> None:
    installing = re.findall(r"install .*\.lock\"?", (ROOT / "deploy" / "setup.sh").read_text())

    assert installing
    assert all("--require-hashes" in one and "--no-deps" in one for one in installing)


def test_at_run_time_there_is_neither_the_embedded_broker_nor_what_tests_need() -> None:
    only_development = names_in(EXTRAS["embedded"]) | (names_in(DEVELOPMENT) - names_in(RUN_TIME))
    # They build the editable packages of a checkout; nothing of Tidewire imports them.
    builders = {"hatchling", "editables"}

    assert {"noida-db", "pytest"} <= only_development
    assert not names_in(RUN_TIME) & only_development
    assert not {entry.name for entry in locked("run")} & (only_development - builders)


def test_every_declared_dependency_has_a_floor_and_a_reason() -> None:
    reasons = (ROOT / "docs" / "dependencies.md").read_text().lower()
    for requirement in [*RUN_TIME, *EXTRAS["embedded"], *DEVELOPMENT]:
        name = next(iter(names_in([requirement])))
        if name in {"tidewire", "tidewire-client"}:
            continue
        assert ">=" in requirement, f"{requirement} has no floor"
        assert name in reasons, f"{name} has no reason in docs/dependencies.md"


def test_the_javascript_sdk_depends_on_nothing() -> None:
    lock = (ROOT / "sdk" / "js" / "package-lock.json").read_text()
    package = (ROOT / "sdk" / "js" / "package.json").read_text()

    assert '"dependencies"' not in package
    assert "://" not in lock
