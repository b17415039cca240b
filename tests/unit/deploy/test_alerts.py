"""The alerts: asking only for what there is, saying what to do, each tried both ways."""

import re
from typing import Any

import pytest

from unit.deploy.expressions import asked_by, exposed, problems
from unit.deploy.shipped import alerts, queries, recorded, rule_tests, rules

_LABEL = re.compile(r'(\w+)="([^"]*)"')


def cases(alert: str) -> list[dict[str, Any]]:
    """The groups of promtool's tests that are named after the alert."""
    return [group for group in rule_tests() if group["name"].partition(":")[0] == alert]


def instances(labels: str) -> tuple[str | None, str | None]:
    found = dict(_LABEL.findall(labels))
    return found.get("job"), found.get("instance")


def test_every_rule_asks_for_what_there_is() -> None:
    known = exposed() | recorded()
    found = {
        rule.get("alert") or rule["record"]: wrong
        for rule in rules()
        if (wrong := problems(rule["expr"], known))
    }
    assert found == {}


def test_every_rule_series_in_promtools_tests_exists() -> None:
    """A test that feeds a misspelt series would show an alert quiet that never fires."""
    known = exposed()
    for group in rule_tests():
        for series in group["input_series"]:
            assert problems(series["series"], known) == [], group["name"]


@pytest.mark.parametrize("name", alerts())
def test_alert_says_what_it_is_and_what_to_do(name: str) -> None:
    alert = alerts()[name]
    assert name.startswith("Tidewire")
    assert alert["labels"].keys() == {"severity"}
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    assert re.fullmatch(r"docs/runbook\.md#[a-z]+(-[a-z]+)*", alert["annotations"]["runbook"])


@pytest.mark.parametrize("name", alerts())
def test_texts_of_an_alert_use_labels_that_it_has(name: str) -> None:
    alert, known = alerts()[name], exposed() | recorded()
    asked = asked_by(alert["expr"])
    there = asked.groupings or {label for metric, _ in asked.selectors for label in known[metric]}
    if alert["expr"].startswith("absent("):
        there = frozenset()
    used = re.findall(r"\$labels\.(\w+)", " ".join(alert["annotations"].values()))
    assert set(used) <= set(there)


@pytest.mark.parametrize("name", alerts())
def test_alert_is_tried_both_ways(name: str) -> None:
    """One case makes it fire; another series of the same metrics, or another moment, does not."""
    fires, is_quiet = False, False
    for group in cases(name):
        for test in group["promql_expr_test"]:
            fired = [s["labels"] for s in test["exp_samples"] if f'"{name}"' in s["labels"]]
            fires |= bool(fired)
            there = {instances(series["series"]) for series in group["input_series"]}
            is_quiet |= not fired or len(there) > len({instances(f) for f in fired})
    assert fires, f"no test of promtool's makes {name} fire"
    assert is_quiet, f"no test of promtool's keeps {name} quiet"


def test_what_is_recorded_is_used() -> None:
    used = {
        metric
        for expression in (*(rule["expr"] for rule in rules()), *(q for _, q, _ in queries()))
        for metric, _ in asked_by(expression).selectors
    }
    assert recorded().keys() <= used
