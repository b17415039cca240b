"""What the metadata of wheels asks for, found among what is installed here."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

__all__ = ["needed"]


def needed(wheels: Sequence[Path], extras: Sequence[str]) -> list[Distribution]:
    """Each once; ``extras`` are the first wheel's. `AssertionError` where one is not installed in a version that is asked for."""
    ours = {_name(wheel): _requirements(wheel) for wheel in wheels}
    pending: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in ours]
    pending[0] = (pending[0][0], tuple(extras))
    seen: set[tuple[str, tuple[str, ...]]] = set()
    found: dict[str, Distribution] = {}
    while pending:
        name, wanted = pending.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        if name not in ours:
            found[name] = distribution(name)
        texts = ours[name] if name in ours else found[name].requires or ()
        for requirement in _that_apply(texts, wanted):
            its_name = canonicalize_name(requirement.name)
            if its_name not in ours:
                version = distribution(its_name).version
                assert requirement.specifier.contains(version, prereleases=True), requirement
            pending.append((its_name, tuple(sorted(requirement.extras))))
    return list(found.values())


def _that_apply(texts: Iterable[str], extras: Sequence[str]) -> Iterator[Requirement]:
    for requirement in map(Requirement, texts):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _name(wheel: Path) -> str:
    return canonicalize_name(wheel.name.partition("-")[0])


def _requirements(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    return list(metadata.get_all("Requires-Dist") or ())
