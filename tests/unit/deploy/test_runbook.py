"""docs/runbook.md: a section for each alert, and nothing named in it that is not there."""

import re

import pytest

from unit.deploy.expressions import TARGET, exposed, problems
from unit.deploy.shipped import alerts, recorded
from unit.docs import pages

DOCUMENT = "docs/runbook.md"
PARTS = ("Clients", "See", "Ask", "Do", "Not", "Escalate", "Tried")
CASES = {"old", "Missing", "dropped", "Skipped"}
"""Of two alerts that share a section, what the one or the other is called there."""
OF_PROCESSES = (
    "process_cpu_seconds_total",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
)
"""Of the client library: no label but what Prometheus puts there."""


def text() -> str:
    return pages.text(DOCUMENT)


def sections() -> dict[str, str]:
    """What stands beneath the headings of the third level, by anchor."""
    beneath = re.split(
        r"^### (.+)$", re.sub(r"^## .+$", "", text(), flags=re.MULTILINE), flags=re.MULTILINE
    )[1:]
    return dict(zip(map(pages.anchor, beneath[::2]), beneath[1::2], strict=True))


def runbooks() -> dict[str, str]:
    """The address of its section, by alert."""
    return {name: alert["annotations"]["runbook"] for name, alert in alerts().items()}


def test_every_alert_has_its_section_and_every_section_an_alert() -> None:
    assert {f"{DOCUMENT}#{section}" for section in sections()} == set(runbooks().values())


def test_the_table_tells_each_alert_once_with_its_severity_and_section() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((#[\w-]+)\) \| (\w+) \| .+ \|$", text(), flags=re.MULTILINE)
    told = [(name, DOCUMENT + section, severity) for name, section, severity in rows]
    assert told == [(a, runbooks()[a], alerts()[a]["labels"]["severity"]) for a in alerts()]


def test_every_section_says_what_it_means_how_to_see_more_what_to_do_and_what_not() -> None:
    found = {
        section: tuple(re.findall(r"^- \*\*(\w+)\*\*", body, flags=re.MULTILINE))
        for section, body in sections().items()
    }
    assert found == dict.fromkeys(found, PARTS)


@pytest.mark.parametrize("section", sections())
def test_what_is_asked_of_prometheus_is_there_to_be_asked(section: str) -> None:
    queries = pages.queries(sections()[section])
    assert queries
    known = exposed() | recorded() | dict.fromkeys(OF_PROCESSES, TARGET)
    assert [wrong for query in queries for wrong in problems(query, known)] == []


@pytest.mark.parametrize("section", sections())
def test_how_it_was_provoked_can_be_done_again(section: str) -> None:
    """By a drill or a test that is there, or by hand, saying how."""
    tried = sections()[section].rpartition("- **Tried**: ")[2]
    named = " ".join(re.findall(r"drills? (\d+(?: and \d+)?)", tried))
    drills = {int(number) for number in re.findall(r"\d+", named)}
    assert drills <= pages.drills()
    files = re.findall(r"`([\w/]+\.py)`", tried)
    assert all((pages.ROOT / "tests" / file).is_file() for file in files)
    assert drills or files or "by hand, " in tried


def test_every_panel_that_is_named_is_on_the_dashboard_or_in_the_console() -> None:
    prose = re.sub(r"```.*?```", "", text(), flags=re.DOTALL)
    named = set(re.findall(r"(?<!\*)\*(?!\*)([^*]+)\*(?!\*)", re.sub(r"\s+", " ", prose)))
    panels = pages.panels()
    assert len(named & panels) > len(PARTS)
    others = {name for name in named - panels if not pages.is_in_console(name)}
    assert others - set(PARTS) == CASES


def test_metrics_and_lines_of_logs_are_named_more_often_than_there_are_alerts() -> None:
    assert len(pages.named_metrics(DOCUMENT)) > len(alerts())
    assert len(pages.quoted_log_lines(DOCUMENT)) > len(alerts())
