"""What `make packages` builds, and how an environment of its own gets it."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from integration.packages.dependencies import needed

__all__ = ["ROOT", "Built", "Environment", "build", "members_of", "run"]

ROOT = Path(__file__).parents[3]
STEP_TIMEOUT = 110
_OURS = ("PYTHON", "TIDEWIRE_", "VIRTUAL_ENV")


def run(command: Sequence[str | Path], folder: Path) -> str:
    """What a command of a stranger says on stdout: nothing in its environment points to this checkout."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def environment() -> Mapping[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}


@dataclass(frozen=True)
class Built:
    """The folder, and what building said."""

    folder: Path
    said: str

    def one(self, pattern: str) -> Path:
        (found,) = self.folder.glob(pattern)
        return found


def build(into: Path) -> Built:
    venv = Path(sys.prefix)
    done = subprocess.run(
        ["sh", ROOT / "deploy" / "packages" / "build.sh", into],
        env={**os.environ, "VENV": os.path.relpath(venv, ROOT)},
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    return Built(into, done.stdout)


def members_of(archive: Path) -> Mapping[str, bytes]:
    """The files of a wheel, or of a source distribution or npm package below its one folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as source:
        files = [member for member in source.getmembers() if member.isfile()]
        return {
            member.name.partition("/")[2]: file.read()
            for member in files
            if (file := source.extractfile(member)) is not None
        }


class Environment:
    """A virtual environment that has nothing but our wheels, and what their metadata asks for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
        (self._packages,) = folder.glob("lib/python*/site-packages")

    def install(self, *wheels: Path, extras: Sequence[str] = ()) -> None:
        """Dependencies come from the environment of the tests, which has the versions that are locked."""
        uv = shutil.which("uv")  # as set-up does
        installer = [uv, "pip"] if uv is not None else [sys.executable, "-m", "pip"]
        python = ["--python", str(self.bin / "python")]
        where = ["install", *python] if uv is not None else [*python, "install"]
        options = ["--quiet", "--no-index", "--no-deps"]
        run([*installer, *where, *options, *wheels], self.folder.parent)
        for dependency in needed(wheels, extras):
            self._copy(dependency)

    def python(self, code: str, *, folder: Path) -> str:
        return run([self.bin / "python", "-c", code], folder)

    def _copy(self, dependency: Distribution) -> None:
        for file in dependency.files or ():
            if ".." not in file.parts:  # a command of its own, which nothing here calls
                target = self._packages / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(Path(str(dependency.locate_file(file))), target)
