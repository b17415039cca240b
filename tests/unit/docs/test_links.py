"""Every link of every Markdown document leads somewhere."""

from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from harness.markdown import Link, anchors_of, links_of, markdown_files

ROOT = Path(__file__).parents[3]
DOCUMENTS = markdown_files(ROOT)
FOREIGN = ("http", "https", "mailto")
REGISTRY_WORDS = ("npmjs", "pypi", "pythonhosted", "maven", "rubygems", "crates")
"""Parts of the names of hosts that hand out packages, to which no document binds its reader."""


@cache
def anchors(path: Path) -> frozenset[str]:
    return anchors_of(path.read_text())


def fault_of(path: Path, link: Link) -> str | None:
    """What is wrong with a link of the document at ``path``."""
    address = urlsplit(link.target)
    if address.scheme or link.target.startswith("//"):
        return _foreign_fault(link.target)
    target = (path.parent / unquote(address.path)).resolve() if address.path else path
    if not target.is_relative_to(ROOT):
        return "leads out of the repository"
    if not target.exists():
        return "leads nowhere"
    if address.fragment and target.suffix == ".md" and address.fragment not in anchors(target):
        return f"there is no heading #{address.fragment}"
    return None


def _foreign_fault(target: str) -> str | None:
    address = urlsplit(target)
    if address.scheme not in FOREIGN:
        return f"has the scheme {address.scheme!r}"
    if address.scheme == "mailto":
        return None if "@" in address.path else "names no mailbox"
    if not address.hostname or " " in target:
        return "names no host"
    if any(word in address.hostname for word in REGISTRY_WORDS):
        return "names the host of a package registry"
    return None


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    faults = [
        f"{path.relative_to(ROOT)}:{link.line}: {link.target} {fault}"
        for link in links_of(path.read_text())
        if (fault := fault_of(path, link))
    ]

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    "target",
    [
        "docs/nowhere.md",
        "docs/delivery.md#no-such-heading",
        "#no-such-heading",
        "docs/images/nothing.png",
        "../outside.md",
        "https://",
        "ftp://example.org/file",
        "https://www.npmjs.example/package/thing",
    ],
)
def test_a_dead_link_is_found(target: str) -> None:
    assert fault_of(ROOT / "README.md", Link(1, target)) is not None


def test_documents_are_found_at_every_depth() -> None:
    found = {str(path.relative_to(ROOT)) for path in DOCUMENTS}

    assert {"README.md", "docs/protocol.md", "docs/adr/0006-pieces.md", "sdk/js/README.md"} <= found
    assert not any("node_modules" in name for name in found)
