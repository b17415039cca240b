"""An autoscaler is turned on, or off, while a release runs: how many nodes Helm asks for."""

from collections.abc import Mapping
from typing import Any

import pytest

from integration.helm.chart import rendered, rendered_against
from integration.helm.cluster import cluster_with

pytestmark = pytest.mark.timeout(600)  # the first one may have to get the tools

_AUTOSCALER = {"gateway": {"keda": {"enabled": False}, "autoscaling": {"enabled": True}}}
_NEITHER = {"gateway": {"keda": {"enabled": False}, "replicas": 5}}
_MARK = {"tidewire/replicas": "autoscaler"}


def live(replicas: int, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": "gateway", "annotations": dict(annotations or {"a": "b"})}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {"replicas": replicas},
    }


def asked_for(there: dict[str, Any] | None, values: Mapping[str, Any]) -> tuple[int | None, bool]:
    """How many nodes, and whether the Deployment is marked as one that never had a number."""
    with cluster_with(there) as url:
        made = rendered_against(url, values).one("Deployment", "gateway")
    marked = made["metadata"].get("annotations", {}) == _MARK
    return made["spec"].get("replicas"), marked


@pytest.mark.parametrize("values", [{}, _AUTOSCALER])
@pytest.mark.parametrize("replicas", [7, 0])
def test_an_autoscaler_that_is_turned_on_finds_the_nodes_that_there_were(
    values: dict[str, Any], replicas: int
) -> None:
    assert asked_for(live(replicas), values) == (replicas, False)


@pytest.mark.parametrize("there", [None, live(7, _MARK)])
def test_a_release_that_began_with_an_autoscaler_never_asks_for_a_number(
    there: dict[str, Any] | None,
) -> None:
    assert asked_for(there, {}) == (None, True)


def test_without_an_autoscaler_the_values_decide() -> None:
    assert asked_for(live(7, _MARK), _NEITHER) == (5, False)


def test_who_cannot_look_asks_for_no_number() -> None:
    made = rendered().one("Deployment", "gateway")
    assert "replicas" not in made["spec"]
    assert made["metadata"]["annotations"] == _MARK
