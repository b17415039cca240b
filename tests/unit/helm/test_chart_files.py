"""The chart's files agree with one another, and with what they were taken from."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from deploy.charts.values_table import README, VALUES, readme_with, unexplained, values_of

from tidewire import __version__
from tidewire.config.streams_file import streams_schema

ROOT = Path(__file__).parents[3]
CHART = ROOT / "helm" / "tidewire"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


@pytest.mark.parametrize(
    ("copy", "original"),
    [
        ("tidewire.rules.yaml", ROOT / "deploy" / "prometheus" / "tidewire.rules.yaml"),
        ("tidewire.json", ROOT / "deploy" / "grafana" / "tidewire.json"),
    ],
)
def test_copies_are_what_they_were_copied_from(copy: str, original: Path) -> None:
    path = CHART / "files" / copy
    assert path.read_bytes() == original.read_bytes(), f"run `cp {original} {path}`"


def test_versions_are_the_projects() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_readme_has_the_table_of_the_values() -> None:
    expected = readme_with(README.read_text(), VALUES.read_text())
    assert README.read_text() == expected, "run `python -m deploy.charts.values_table`"


def test_every_value_is_explained() -> None:
    assert unexplained(VALUES.read_text()) == []
    assert len(values_of(VALUES.read_text())) > 150


def test_a_value_without_explanation_is_found() -> None:
    assert unexplained("a:\n  # -- told\n  b: 1\n  c: 2\n# -- all of it\nd:\n  e: 1\n") == ["a.c"]


def schema_at(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    return schema


def differences(values: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Keys that one of both has and the other has not; lists and free mappings end the comparison."""
    schema = schema_at(schema)
    if not isinstance(values, dict) or "properties" not in schema:
        return []
    found = [f"{path}{key}" for key in values.keys() ^ schema["properties"].keys()]
    for key in values.keys() & schema["properties"].keys():
        found += differences(values[key], schema["properties"][key], f"{path}{key}.")
    return found


def test_the_schema_knows_each_value_and_no_other() -> None:
    found = differences(yaml.safe_load(VALUES.read_text()), SCHEMA)
    optional = re.compile(r"global|.*\.resources\.\w+|.*\.probes\.\w+\.(initialDelay|successT)\w+")
    assert [one for one in found if not optional.fullmatch(one)] == []


def closed(schema: Any) -> bool:
    """Whether a mapping with named keys takes no others."""
    if isinstance(schema, list):
        return all(map(closed, schema))
    if not isinstance(schema, dict):
        return True
    if isinstance(schema.get("properties"), dict) and schema["additionalProperties"] is not False:
        return False
    return all(map(closed, schema.values()))


def test_a_misspelt_value_is_an_error_at_every_depth() -> None:
    assert closed(SCHEMA)


def test_streams_are_judged_as_the_services_judge_them() -> None:
    theirs = json.loads(json.dumps(streams_schema()).replace("#/$defs/", "#/definitions/"))
    assert SCHEMA["definitions"]["Stream"] == theirs["$defs"]["Stream"]
    assert SCHEMA["definitions"]["Mode"] == theirs["$defs"]["Mode"]
    allowed = theirs["properties"]["streams"]["patternProperties"]
    assert SCHEMA["properties"]["streams"]["patternProperties"] == allowed


def test_the_image_and_the_pods_agree_on_who_runs() -> None:
    (user,) = re.findall(
        r"^USER (\d+):(\d+)$", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE
    )
    context = yaml.safe_load(VALUES.read_text())["podSecurityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (int(user[0]), int(user[1]))


def test_nothing_has_a_license_that_is_not_named() -> None:
    vectors = ROOT / "tests" / "vectors" / "kubernetes"
    told = (vectors / "README.md").read_text()
    for schema in sorted((vectors / "crds").glob("*.json")):
        assert schema.stem in told


def test_the_tools_are_pinned_with_their_hashes() -> None:
    charts = ROOT / "deploy" / "charts"
    (helm,) = (charts / "requirements.txt").read_text().replace("\\\n", " ").splitlines()
    assert re.fullmatch(r"helm-binary==[\d.]+post\d+ +--hash=sha256:[0-9a-f]{64}", helm)
    sums = (charts / "go.sum").read_text()
    assert re.search(r"^github.com/yannh/kubeconform v\S+ h1:", sums, re.MULTILINE)
