"""README.md and the pages of docs/ do what they show."""

import asyncio
from pathlib import Path

import pytest

from harness.markdown import Block, blocks_of
from harness.transcripts import Step, steps_of
from integration.docs.checks import fault_of_data
from integration.docs.conversation import fault_of_conversation
from integration.docs.expectations import (
    BEFORE,
    ROOT,
    Way,
    documents,
    expectation_of,
    way_of,
)
from integration.docs.pages import fault_of_page
from integration.docs.programs import run_program
from integration.docs.shell import Shell
from integration.docs.site import Site

PAGE = "http://127.0.0.1:8000/"


class Reader:
    """Does what a document says, block after block."""

    def __init__(self, document: str, site: Site) -> None:
        self._document = document
        self._site = site
        self._shell = Shell(site)
        self._pages: list[Block] = []

    def read(self, blocks: list[Block]) -> list[str]:
        """What is wrong, by line."""
        before = [self._shell.run(Step(0, text, ())) for text in BEFORE.get(self._document, ())]
        found = [f"{self._document}: before it: {fault}" for fault in before if fault]
        try:
            for block in blocks:
                where = f"{self._document}:{block.line}"
                found += [f"{where}: {fault}" for fault in self._faults_of(block)]
            found += [f"{self._document}: {fault}" for fault in self._shown()]
        finally:
            found += self._shell.close()
        return found

    def _faults_of(self, block: Block) -> list[str]:
        way = way_of(self._document, block)
        if "file" in block.attributes:
            (self._site.folder / block.attributes["file"]).write_text(self._site.here(block.text))
        if way is Way.CHECK:
            fault = fault_of_data(block, self._site.folder)
            return [fault] if fault else []
        return [fault for fault in self._run(block) if fault] if way is Way.RUN else []

    def _run(self, block: Block) -> list[str | None]:
        expected = expectation_of(self._document, block)
        if block.language in {"python", "js"}:
            is_file = "file" in block.attributes  # a later command runs it
            return [] if is_file else [run_program(self._site, block, expected)]
        if block.language == "websocket":
            url = self._site.run.ready["nodes"][0]["ws"]
            return [asyncio.run(fault_of_conversation(block.text, url))]
        if block.language == "html":
            self._pages.append(block)
            return []
        self._shell.begin_block()
        return [self._shell.run(step, expected) for step in _steps(block)]

    def _shown(self) -> list[str]:
        """Pages are looked at once everything is there that serves them."""
        faults = []
        for block in self._pages:
            expected = expectation_of(self._document, block)
            assert expected is not None, "say in `EXPECTED` what the page shows"
            address = self._site.here(PAGE)
            faults.append(asyncio.run(fault_of_page(address, expected.prints, expected.hides)))
        return [fault for fault in faults if fault]


def _steps(block: Block) -> list[Step]:
    if block.language == "sh":
        return [Step(0, line, ()) for line in block.text.splitlines() if line.strip()]
    return steps_of(block.text)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("document", documents())
def test_document_does_what_it_shows(document: str, site: Site, tmp_path: Path) -> None:
    blocks = blocks_of((ROOT / document).read_text())
    if not any(way_of(document, block) in {Way.RUN, Way.CHECK} for block in blocks):
        return

    faults = Reader(document, site.at(tmp_path / "clone")).read(blocks)

    assert not faults, "\n\n".join(faults)
