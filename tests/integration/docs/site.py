"""One `tidewire dev` for all documents, and a folder that looks like a clone in which it runs."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from harness.dev import DevRun, running_dev
from harness.markdown import blocks_of
from integration.docs.expectations import ROOT
from tidewire.dev.ports import free_port

__all__ = ["Site", "running_site"]

CLONE = (".venv", "Makefile", "docs", "examples", "sdk", "tests")
"""What documents reach by paths from the clone."""
EXAMPLE = ROOT / "examples" / "flights" / "streams.yaml"


@dataclass(frozen=True, slots=True)
class Site:
    """``folder`` is where a document's commands begin; ``addresses`` what stands in documents → what it is here."""

    run: DevRun
    folder: Path
    addresses: Mapping[str, str]

    def here(self, text: str) -> str:
        """Text of a document with the addresses of this run."""
        for written, address in self.addresses.items():
            text = text.replace(written, address)
        return text

    def environment(self) -> dict[str, str]:
        """That of somebody who has made the environment active, and has nothing of ours in his own."""
        own = {name: text for name, text in os.environ.items() if not name.startswith("TIDEWIRE_")}
        path = f"{ROOT / '.venv' / 'bin'}{os.pathsep}{own['PATH']}"
        return {**own, "PATH": path, "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}

    def at(self, folder: Path) -> "Site":
        """The same run, seen from a fresh clone in ``folder``."""
        folder.mkdir()
        for name in CLONE:
            (folder / name).symlink_to(ROOT / name)
        self.enter(folder)
        (folder / "streams.yaml").write_text((self.run.data_dir / "streams.yaml").read_text())
        packages = folder / "node_modules"
        packages.mkdir()
        (packages / "tidewire").symlink_to(ROOT / "sdk" / "js")
        (packages / "ws").symlink_to(ROOT / "sdk" / "js" / "node_modules" / "ws")
        return replace(self, folder=folder)

    def enter(self, folder: Path) -> None:
        """Commands in ``folder`` find the run as if it had been started there."""
        found = folder / ".tidewire"
        if not found.is_symlink():
            found.symlink_to(self.run.data_dir)


def _streams() -> str:
    """The example's streams, and those that the quickstart makes."""
    blocks = blocks_of((ROOT / "docs" / "quickstart.md").read_text())
    written = [block.text for block in blocks if block.language == "yaml"]
    streams = [yaml.safe_load(text)["streams"] for text in (EXAMPLE.read_text(), *written)]
    return yaml.safe_dump({"streams": {name: s[name] for s in streams for name in s}})


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    pages = f"127.0.0.1:{free_port()}"
    streams = folder / "streams.yaml"
    streams.write_text(_streams())
    with running_dev(
        folder / "data",
        *("--port", "0", "--example", "none", "--streams", str(streams)),
        environment={"TIDEWIRE_GATEWAY__ORIGINS": f"same-origin,http://{pages}"},
    ) as run:
        publisher = urlsplit(run.ready["publisher"]).netloc
        addresses = {
            "127.0.0.1:8080": urlsplit(run.ready["nodes"][0]["http"]).netloc,
            "127.0.0.1:8081": publisher,
            "127.0.0.1:PORT": publisher,
            "127.0.0.1:9092": run.ready["kafka"],
            "HOST:PORT": run.ready["kafka"],
            "127.0.0.1:8000": pages,
            "http.server 8000": f"http.server {pages.rpartition(':')[2]}",
        }
        yield Site(run, folder, addresses)
