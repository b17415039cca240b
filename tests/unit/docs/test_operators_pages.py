"""The pages for operators name nothing that is not there: metrics, settings, commands, lines of logs."""

import pytest

from unit.docs import pages

DOCUMENTS = ("docs/operating.md", "docs/runbook.md", "docs/capacity.md")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_metric_that_is_named_exists_with_its_labels(document: str) -> None:
    assert pages.named_metrics(document)
    assert pages.unknown_metrics(document) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_setting_that_is_named_is_one(document: str) -> None:
    assert pages.unknown_settings(document) == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_is_named_is_there_with_its_options(document: str) -> None:
    assert pages.unknown_commands(document) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_line_of_a_log_that_is_quoted_is_in_the_sources(document: str) -> None:
    assert pages.unknown_log_lines(document) == []


def test_what_is_not_there_is_found(tmp_path: pytest.TempPathFactory) -> None:
    page = pages.ROOT / str(tmp_path) / "page.md"
    page.write_text(
        '`tidewire_conections`, `tidewire_closes_total{code="9"}`, `MAX_CONECTIONS`, `TIDEWIRE_ROUTER__LOG_BYTES`,\n'
        '`tidewire nods`, `tidewire topics check --pardon`, `"the broker has a cold"`\n'
        "```console\n$ tidewire revoke --usr ana\n```\n"
    )
    document = str(page)

    assert pages.unknown_metrics(document) == [
        "tidewire_conections{=}",
        "tidewire_closes_total{code=9}",
    ]
    assert pages.unknown_settings(document) == {"MAX_CONECTIONS", "TIDEWIRE_ROUTER__LOG_BYTES"}
    assert pages.unknown_commands(document) == [
        "tidewire nods",
        "tidewire topics check --pardon",
        "tidewire revoke --usr ana",
    ]
    assert pages.unknown_log_lines(document) == ["the broker has a cold"]
