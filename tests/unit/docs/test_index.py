"""docs/README.md leads to every page of the documentation."""

from pathlib import Path

from harness.markdown import links_of

DOCS = Path(__file__).parents[3] / "docs"


def test_index_names_every_page() -> None:
    named = {link.target for link in links_of((DOCS / "README.md").read_text())}
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}

    assert pages <= named, f"docs/README.md does not name {sorted(pages - named)}"
