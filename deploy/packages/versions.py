#!/usr/bin/env python3
"""The version of everything that is shipped together: `versions.py` prints it, `versions.py 0.2.0` writes another.

It stands in shared/tidewire/_version.py. The other places repeat it, since what reads them reads no Python; a test
holds them to it.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = "shared/tidewire/_version.py"
_PYTHON = r'^__version__ = "(.+)"$'
_JSON = r'^  "version": "(.+)",$'
PLACES = (
    (SOURCE, _PYTHON),
    ("sdk/python/tidewire_client/_version.py", _PYTHON),
    ("sdk/js/package.json", _JSON),
    ("sdk/js/package-lock.json", _JSON),
    (
        "sdk/js/package-lock.json",
        r'^    "": \{\n      "name": "tidewire",\n      "version": "(.+)",$',
    ),
    ("sdk/js/src/client.js", r"^const VERSION = '(.+)';$"),
    ("examples/flights/pyproject.toml", r'^version = "(.+)"$'),
    ("helm/tidewire/Chart.yaml", r"^version: (.+)$"),
    ("helm/tidewire/Chart.yaml", r"^appVersion: (.+)$"),
    ("helm/tidewire/README.md", r"-t registry\.example\.org/tidewire:(.+) \.$"),
    ("helm/tidewire/README.md", r"docker push registry\.example\.org/tidewire:(.+)$"),
)
"""Paths below the root, and how the version stands there: what the group holds."""


def found(text: str, pattern: str, path: str) -> re.Match[str]:
    """Where the version stands; ends with a message unless that is one place."""
    places = list(re.finditer(pattern, text, re.MULTILINE))
    if len(places) != 1:
        sys.exit(f"versions: {path}: {len(places)} places are {pattern!r}, and it should be one")
    return places[0]


def versions(root: Path) -> list[tuple[str, str]]:
    """Each place and what it says."""
    return [(path, found((root / path).read_text(), p, path)[1]) for path, p in PLACES]


def write(root: Path, version: str) -> None:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        sys.exit(f"versions: {version} is no version: give three numbers, such as 0.2.0")
    for path, pattern in PLACES:
        text = (root / path).read_text()
        place = found(text, pattern, path)
        (root / path).write_text(text[: place.start(1)] + version + text[place.end(1) :])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(ROOT, sys.argv[1])
    sys.stdout.write("".join(f"{version}  {path}\n" for path, version in versions(ROOT)))
