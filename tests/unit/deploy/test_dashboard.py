"""The dashboard in the repository: made of its description, and asking only for what there is."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from deploy.grafana.__main__ import FILE, rendered
from deploy.grafana.shapes import Panel, Query, Row, dashboard

from unit.deploy.expressions import asked_by, exposed, problems
from unit.deploy.shipped import DASHBOARD, queries, recorded


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return made


def panels(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in document["panels"] if panel["type"] != "row")


def test_file_is_what_its_description_makes() -> None:
    assert FILE == DASHBOARD
    assert DASHBOARD.read_text() == rendered(), "run `python -m deploy.grafana`"


def test_every_expression_asks_for_what_there_is() -> None:
    known = exposed() | recorded()
    found = {
        f"{panel}: {expression}": wrong
        for panel, expression, _ in queries()
        if (wrong := problems(expression, known))
    }
    assert found == {}


def test_legends_name_labels_that_their_series_have() -> None:
    known = exposed() | recorded()
    for panel, expression, legend in queries():
        asked = asked_by(expression)
        there = asked.groupings or {label for name, _ in asked.selectors for label in known[name]}
        assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= there, panel


def test_several_series_of_a_query_have_a_legend_apart() -> None:
    for panel, expression, legend in queries():
        labels = asked_by(expression).groupings - {"le"}
        assert labels <= set(re.findall(r"\{\{(\w+)\}\}", legend)), panel


def test_every_query_goes_by_what_was_chosen(document: dict[str, Any]) -> None:
    assert [v["name"] for v in document["templating"]["list"]] == ["datasource", "job", "instance"]
    for panel in panels(document):
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            for metric, matchers in asked_by(target["expr"]).selectors:
                is_chosen = ("job", "=~", "$job") in matchers
                assert is_chosen or metric == "ALERTS", panel["title"]


def test_freshness_has_exemplars_and_asks_for_their_series(document: dict[str, Any]) -> None:
    targets = [t for panel in panels(document) for t in panel["targets"] if t["exemplar"]]
    assert targets
    for target in targets:
        names = [name for name, _ in asked_by(target["expr"]).selectors]
        assert names == ["tidewire_freshness_seconds_bucket"]  # a recorded series has no exemplars


def test_rows_are_those_that_people_look_for(document: dict[str, Any]) -> None:
    titles = [panel["title"] for panel in document["panels"] if panel["type"] == "row"]
    assert titles == [
        "Overview",
        "Delivery",
        "Clients",
        "Messages to users",
        "Processes",
        "Traces",
    ]


def test_panels_do_not_overlap_and_have_ids_of_their_own(document: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in document["panels"]]
    assert len(ids) == len(set(ids))


def test_panels_that_do_not_fit_begin_a_new_line() -> None:
    wide = Panel("wide", [Query("up")], width=16)
    stat = Panel("stat", [Query("up")], width=4, is_stat=True)
    made = dashboard(
        "title", "uid", variables=(), alarms="ALERTS", rows=[Row("row", [stat, wide, wide])]
    )
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in made["panels"]]
    assert places == [(0, 0), (0, 1), (4, 1), (0, 9)]


def test_a_bound_is_drawn_and_its_absence_is_not() -> None:
    drawn, bare = (
        dashboard("title", "uid", variables=(), alarms="ALERTS", rows=[Row("row", [panel])])[
            "panels"
        ][1]["fieldConfig"]["defaults"]
        for panel in (Panel("a", [Query("up")], bound=3), Panel("b", [Query("up")]))
    )
    assert drawn["custom"]["thresholdsStyle"]["mode"] == "line"
    assert [step["value"] for step in drawn["thresholds"]["steps"]] == [None, 3]
    assert bare["custom"]["thresholdsStyle"]["mode"] == "off"
