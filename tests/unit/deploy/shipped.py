"""The files in `deploy/` that Prometheus and Grafana load."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from unit.deploy.expressions import TARGET, Series, asked_by

__all__ = [
    "DASHBOARD",
    "RULES",
    "RULE_TESTS",
    "alerts",
    "queries",
    "recorded",
    "rule_tests",
    "rules",
]

_DEPLOY = Path(__file__).parents[3] / "deploy"
DASHBOARD = _DEPLOY / "grafana" / "tidewire.json"
RULES = _DEPLOY / "prometheus" / "tidewire.rules.yaml"
RULE_TESTS = sorted((_DEPLOY / "prometheus" / "tests").glob("*.yaml"))


@cache
def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


@cache
def rule_tests() -> list[dict[str, Any]]:
    """The groups of promtool's tests."""
    return [group for path in RULE_TESTS for group in yaml.safe_load(path.read_text())["tests"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> Series:
    """The series of recording rules, with the labels that their expressions leave them."""
    made: Series = {}
    for rule in rules():
        if "record" in rule:
            labels = asked_by(rule["expr"]).groupings - {"le"}
            made[rule["record"]] = {label: TARGET[label] for label in labels}
    return made


def queries() -> Iterator[tuple[str, str, str]]:
    """Panel, expression and legend of everything that the dashboard asks."""
    document = json.loads(DASHBOARD.read_text())
    for annotation in document["annotations"]["list"]:
        yield annotation["name"], annotation["expr"], annotation["titleFormat"]
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]
