"""Run a module with the code of another tree, and refuse to where any of it would be somebody else's.

``python -m drills.from_tree TREE MODULE [ARGUMENT…]``, the tree's own source roots being first on PYTHONPATH.
"""

import runpy
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

__all__ = ["main", "strangers"]

SOURCES = ("shared", "services", "sdk/python")


def packages(tree: Path) -> Iterator[str]:
    """Those that the tree has."""
    for source in SOURCES:
        for found in sorted((tree / source).glob("*/__init__.py")):
            yield found.parent.name


def strangers(tree: Path) -> list[str]:
    """Packages of the tree that are found elsewhere, and where, and modules of theirs that were loaded from elsewhere."""
    names = set(packages(tree))
    found = []
    for name in sorted(names):
        spec = find_spec(name)
        origin = None if spec is None else spec.origin
        if origin is None or not Path(origin).resolve().is_relative_to(tree):
            found.append(f"{name} ({origin})")
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None) if name.partition(".")[0] in names else None
        if file is not None and not Path(file).resolve().is_relative_to(tree):
            found.append(f"{name} ({file})")
    return found


def main() -> None:
    tree, module = Path(sys.argv[1]).resolve(), sys.argv[2]
    _refuse_strangers(tree)
    sys.argv = [module, *sys.argv[3:]]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        _refuse_strangers(tree)


def _refuse_strangers(tree: Path) -> None:
    if not any(packages(tree)):
        sys.exit(f"error: {tree} has no packages: give the root of an unpacked source tree")
    if found := strangers(tree):
        sys.exit(f"error: not the code of {tree}: {', '.join(found[:5])}")


if __name__ == "__main__":
    main()
