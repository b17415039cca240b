"""The load client is compiled once for each state of its sources, with a compiler that stands in."""

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tidewire.bench.load_build import SOURCES
from tidewire.bench.load_client import NotBuiltError, built

COMPILER = """#!{python}
import pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    print(*sys.argv[1:], file=calls)
if (here / "fails").exists():
    sys.exit("main.c:1: error: nonsense")
program = pathlib.Path(sys.argv[sys.argv.index("-o") + 1])
program.write_text("#!/bin/sh\\n")
program.chmod(0o755)
"""


class Compiler:
    """A stand-in that notes how it was called."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "compiler"
        self.path.write_text(COMPILER.format(python=sys.executable))
        self.path.chmod(0o755)
        self.cache = directory / "cache"

    @property
    def environment(self) -> Mapping[str, str]:
        return {"CC": str(self.path), "XDG_CACHE_HOME": str(self.cache)}

    @property
    def calls(self) -> list[str]:
        noted = self.path.with_name("calls")
        return noted.read_text().splitlines() if noted.exists() else []

    def fail(self) -> None:
        self.path.with_name("fails").touch()


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(tmp_path)


def test_program_is_compiled_into_the_cache_directory_once(compiler: Compiler) -> None:
    program = built(compiler.environment)
    assert program.parent == compiler.cache / "tidewire"
    assert built(compiler.environment) == program
    assert len(compiler.calls) == 1
    assert all(str(source) in compiler.calls[0] for source in SOURCES.glob("*.c"))


def test_builds_at_the_same_time_leave_one_whole_program(compiler: Compiler) -> None:
    with ThreadPoolExecutor(4) as pool:
        programs = list(pool.map(built, [compiler.environment] * 4))
    assert len(set(programs)) == 1
    assert list((compiler.cache / "tidewire").iterdir()) == [programs[0]]
    subprocess.run([programs[0]], check=True, timeout=10)


def test_other_compiler_or_flags_build_another_program(compiler: Compiler) -> None:
    other = {**compiler.environment, "CC": f"{compiler.path} -g"}
    assert built(other) != built(compiler.environment)
    assert compiler.calls[0].startswith("-g ")


def test_cache_lies_in_the_home_directory_by_default(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    program = built({"CC": str(compiler.path)})
    assert program.parent == tmp_path / ".cache" / "tidewire"


def test_missing_compiler_is_told_with_the_cure(tmp_path: Path) -> None:
    environment = {"CC": "/nonexistent", "XDG_CACHE_HOME": str(tmp_path)}
    with pytest.raises(NotBuiltError, match=r"no C compiler '/nonexistent'.*install one.*CC"):
        built(environment)


def test_failing_compiler_is_quoted_and_leaves_nothing(compiler: Compiler) -> None:
    compiler.fail()
    with pytest.raises(NotBuiltError, match="error: nonsense"):
        built(compiler.environment)
    assert list((compiler.cache / "tidewire").iterdir()) == []


def test_cache_that_cannot_be_written_is_told_with_the_cure(compiler: Compiler) -> None:
    compiler.cache.write_text("a file")
    with pytest.raises(NotBuiltError, match="XDG_CACHE_HOME"):
        built(compiler.environment)
