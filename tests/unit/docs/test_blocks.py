"""Every block of code in the documents is run or checked, or says why it is not."""

import re
from pathlib import Path

import pytest

from harness.markdown import Block, blocks_of
from integration.docs.expectations import (
    BEFORE,
    ELSEWHERE,
    EXPECTED,
    NO_RUN,
    ROOT,
    Way,
    documents,
    reason_not_run,
    way_of,
)

MOST_SKIPPED = 12
DIAGRAMS = re.compile(r"(flowchart (LR|TB|TD)|sequenceDiagram|stateDiagram-v2)\n")
PAIRS = (("[", "]"), ("(", ")"), ("{", "}"))

BLOCKS = [
    (document, block)
    for document in documents()
    for block in blocks_of((ROOT / document).read_text())
]


def place(document: str, block: Block) -> str:
    return f"{document}:{block.line}"


def test_every_block_is_run_or_checked_or_says_why_not() -> None:
    unknown = [place(*found) for found in BLOCKS if way_of(*found) is None]

    assert not unknown, f"neither run nor checked, and no reason given: {unknown}"


def test_reasons_are_few_and_say_something() -> None:
    reasons = {place(*found): reason_not_run(*found) for found in BLOCKS}
    skipped = {where: reason for where, reason in reasons.items() if reason is not None}

    assert len(skipped) <= MOST_SKIPPED, skipped
    assert all(len(reason.split()) >= 3 for reason in skipped.values()), skipped


def texts(document: str) -> str:
    return "\n".join(block.text for found, block in BLOCKS if found == document)


@pytest.mark.parametrize(
    ("document", "has"),
    [(document, has) for document, known in NO_RUN.items() for has in known]
    + [(document, known.has) for document, every in EXPECTED.items() for known in every],
)
def test_what_is_known_of_a_block_is_of_one_that_is_there(document: str, has: str) -> None:
    assert has in texts(document)


def test_prepared_documents_are_there() -> None:
    assert set(BEFORE) <= set(documents())


@pytest.mark.parametrize("path", ELSEWHERE.values())
def test_languages_that_another_test_looks_after_have_it(path: str) -> None:
    assert (Path(__file__).parents[2] / path).is_file()


@pytest.mark.parametrize(
    ("document", "block"),
    [found for found in BLOCKS if found[1].language == "mermaid"],
    ids=lambda part: part if isinstance(part, str) else str(part.line),
)
def test_diagrams_are_of_a_known_kind_and_balanced(document: str, block: Block) -> None:
    bare = re.sub(r'"[^"]*"', '""', block.text)

    assert DIAGRAMS.match(block.text), place(document, block)
    assert block.text.count('"') % 2 == 0
    for opening, closing in PAIRS:
        assert bare.count(opening) == bare.count(closing), place(document, block)


def test_a_block_of_an_unknown_language_is_noticed() -> None:
    assert way_of("README.md", Block(1, "cobol", "STOP RUN.\n")) is None
    assert way_of("README.md", Block(1, "cobol", "", {"no-run": "no compiler here"})) is Way.SKIP
    assert way_of("README.md", Block(1, "", "$ true\n")) is Way.RUN
