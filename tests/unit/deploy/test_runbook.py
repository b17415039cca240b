"""docs/operating.md: a section for each alert, and nothing named in it that is not there."""

import ast
import json
import re
from functools import cache
from pathlib import Path

from tidewire.telemetry.metric_table import METRICS, PREFIX
from unit.deploy.shipped import DASHBOARD, alerts

ROOT = Path(__file__).parents[3]
DOCUMENT = "docs/operating.md"
PARTS = ("Clients", "See", "Do", "Not")


@cache
def text() -> str:
    return (ROOT / DOCUMENT).read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def sections() -> dict[str, str]:
    """What stands beneath the headings of the third level, by anchor."""
    beneath = re.split(
        r"^### (.+)$", re.sub(r"^## .+$", "", text(), flags=re.MULTILINE), flags=re.MULTILINE
    )[1:]
    return dict(zip(map(anchor, beneath[::2]), beneath[1::2], strict=True))


def runbooks() -> dict[str, str]:
    """The address of its section, by alert."""
    return {name: alert["annotations"]["runbook"] for name, alert in alerts().items()}


@cache
def texts_in_sources() -> frozenset[str]:
    """Every constant text of the services and what they share; one that is written in pieces is one."""
    files = [f for folder in ("services", "shared") for f in (ROOT / folder).rglob("*.py")]
    return frozenset(
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def flowing() -> str:
    """The document without its lines' ends, so that nothing is looked for in halves."""
    return re.sub(r"\s+", " ", text())


def test_every_alert_has_its_section_and_every_section_an_alert() -> None:
    assert {f"{DOCUMENT}#{section}" for section in sections()} == set(runbooks().values())


def test_no_two_headings_have_one_anchor() -> None:
    headings = [anchor(h) for h in re.findall(r"^#+ (.+)$", text(), flags=re.MULTILINE)]
    assert len(headings) == len(set(headings))


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


def test_every_link_within_the_page_leads_somewhere() -> None:
    linked = re.findall(r"\]\(#([\w-]+)\)", text())
    assert linked
    assert set(linked) <= {anchor(h) for h in re.findall(r"^#+ (.+)$", text(), flags=re.MULTILINE)}


def test_every_metric_that_is_named_exists_with_its_labels() -> None:
    known = {PREFIX + spec.name: spec.labels for spec in METRICS}
    named = re.findall(r"`(tidewire_\w+)(?:\{(\w+)=\"(\w+)\"\})?`", text())
    assert len(named) > len(alerts())
    for metric, label, value in named:
        assert metric in known
        assert not label or value in known[metric][label]


def test_every_line_of_a_log_that_is_quoted_is_in_the_sources() -> None:
    quoted = re.findall(r"`\"([^\"`]+)\"`", flowing())
    assert len(quoted) > len(alerts())
    missing = [
        line
        for line in quoted
        if not any(told.startswith(line.removesuffix("…")) for told in texts_in_sources())
    ]
    assert missing == []


def test_every_setting_that_is_named_is_explained() -> None:
    """OpenTelemetry's in docs/observability.md, by the name or the beginning that stands there."""
    explained = "".join(
        (ROOT / "docs" / page).read_text(encoding="utf-8")
        for page in ("configuration.md", "observability.md")
    )
    known = set(re.findall(r"[A-Z]+(?:_[A-Z]+)*", explained))
    named = re.findall(r"`(?:[A-Z]+__)*([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", text())
    assert named
    unknown = {name for name in named if name not in known and not name.startswith("OTEL_BSP_")}
    assert unknown == set()


def test_every_panel_that_is_named_is_on_the_dashboard_or_in_the_console() -> None:
    panels = {
        panel["title"] for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    }
    console = ROOT / "services" / "tidewire_gateway" / "console" / "static"
    pages = "".join(
        file.read_text(encoding="utf-8")
        for file in (console / "index.html", *(console / "js").rglob("*.js"))
    )
    named = set(re.findall(r"(?<!\*)\*(?!\*)([^*]+)\*(?!\*)", flowing()))
    assert len(named & panels) > len(PARTS)
    assert {
        name for name in named - panels if not re.search(rf"[>'\"]{name}[<'\"]", pages)
    } == set()
