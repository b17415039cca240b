"""The last release: what was frozen of it, and its code."""

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "CODE",
    "ROOT",
    "SOURCES",
    "Release",
    "last_release",
    "source_roots",
    "unpack",
]

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "tests" / "vectors" / "released"
SOURCES = ("shared", "services", "sdk/python")
"""Where packages stand; these, unpacked and first on PYTHONPATH, are the release's code."""
CODE = "code.tar.xz"


@dataclass(frozen=True, slots=True)
class Release:
    """``commit`` is the one that it was made of, ``folder`` holds what was frozen."""

    version: str
    commit: str
    folder: Path

    @property
    def vectors(self) -> Path:
        """Its golden frames."""
        return self.folder / "protocol"


def last_release(released: Path = RELEASED) -> Release:
    """The newest of those that are written down."""
    found = [
        (json.loads(path.read_text()), path.parent) for path in released.glob("*/release.json")
    ]
    told, folder = max(found, key=lambda one: [int(n) for n in one[0]["version"].split(".")])
    return Release(told["version"], told["commit"], folder)


def unpack(release: Release, folder: Path) -> Path:
    """Its code, below ``folder``."""
    tree = folder / f"tidewire-{release.version}"
    with tarfile.open(release.folder / CODE) as packed:
        packed.extractall(tree, filter="data")
    return tree


def source_roots(tree: Path) -> list[str]:
    """What goes on PYTHONPATH for the code of ``tree``."""
    return [str(tree / source) for source in SOURCES]
