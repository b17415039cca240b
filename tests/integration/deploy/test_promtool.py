"""Prometheus' own tool parses everything that is shipped, and tries the alerts."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from unit.deploy.shipped import RULE_TESTS, RULES, queries
from unit.docs import pages

pytestmark = pytest.mark.timeout(90)  # a run of forty minutes takes seconds each

_VARIABLES = {"$__rate_interval": "1m", "$job": ".*tidewire.*", "$instance": ".*"}


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("promtool") or "promtool", *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def parsed(expressions: Iterable[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Each expression as a recording rule, its variables filled in."""
    rules = []
    for number, expression in enumerate(expressions):
        filled = expression
        for variable, value in _VARIABLES.items():
            filled = filled.replace(variable, value)
        rules.append({"record": f"query_{number}", "expr": filled})
    path = folder / "queries.rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    return promtool("check", "rules", "--lint=none", path)


def test_rules_are_rules() -> None:
    checked = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_are_quiet_when_they_should(path: Path) -> None:
    tried = promtool("test", "rules", path)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_every_expression_of_the_dashboard_parses(tmp_path: Path) -> None:
    expressions = [expression for _, expression, _ in queries()]
    assert len(expressions) > 60
    checked = parsed(expressions, tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_every_question_of_the_runbook_parses(tmp_path: Path) -> None:
    questions = pages.queries(pages.text("docs/runbook.md"))
    assert len(questions) > 60
    checked = parsed(questions, tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_an_expression_that_does_not_parse_is_found(tmp_path: Path) -> None:
    checked = parsed(["up", 'sum by (job (up{job=~"$job"})'], tmp_path)
    assert checked.returncode != 0
    assert "unexpected" in checked.stderr


def test_a_series_that_should_not_fire_and_does_is_found(tmp_path: Path) -> None:
    """The runs above would not pass whatever the rules say."""
    rules = RULES.read_text().replace("== 0\n        for: 3m", "== 0\n        for: 1m")
    assert rules != RULES.read_text()
    (tmp_path / RULES.name).write_text(rules)
    (tmp_path / "tests").mkdir()
    [path] = [path for path in RULE_TESTS if path.stem == "processes"]
    (tmp_path / "tests" / path.name).write_text(path.read_text())
    tried = promtool("test", "rules", tmp_path / "tests" / path.name)
    assert tried.returncode != 0
    assert "restarted" in tried.stdout + tried.stderr
