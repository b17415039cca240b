"""What each of several nodes is told: names, ports, environment; and how long one that ended rests."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.errors import ConfigError
from tidewire.restarts import MOST_PAUSE, longest_pause
from tidewire_gateway.processes.plan import MOST_PROCESSES, NodePlan, environment_of, plan_nodes
from tidewire_gateway.settings import GatewaySettings

COUNTS = st.integers(2, MOST_PROCESSES)


def settings(**options: Any) -> GatewaySettings:
    return GatewaySettings(streams=Path("streams.yaml"), dev=True, **options)


def test_nodes_are_numbered_and_have_internal_ports_from_the_configured_one_on() -> None:
    assert plan_nodes(settings(node="gate", internal_port=9000), 8080, 3) == (
        NodePlan("gate-1", 8080, 9000),
        NodePlan("gate-2", 8080, 9001),
        NodePlan("gate-3", 8080, 9002),
    )


@given(COUNTS)
def test_free_internal_ports_are_free_ones_for_all(count: int) -> None:
    plans = plan_nodes(settings(), 8080, count)
    assert len({plan.name for plan in plans}) == count
    assert {(plan.public_port, plan.internal_port) for plan in plans} == {(8080, 0)}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"node": "n" * 63}, "TIDEWIRE_GATEWAY__NODE: .* longer than 64"),
        ({"internal_port": 65_533}, "INTERNAL_PORT: .* 65533 to 65536, .* choose 65532 or less"),
        ({"internal_port": 8078}, "INTERNAL_PORT: .* 8078 to 8081, and 8080 is the public one"),
    ],
)
def test_names_and_ports_that_cannot_be_are_one_sentence(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_nodes(settings(**options), 8080, 4)


def test_node_is_told_its_own_and_inherits_the_rest() -> None:
    inherited = {
        "PATH": "/bin",
        "tidewire_gateway__port": "1",
        "TIDEWIRE_GATEWAY__NODE": "gate",
        "TIDEWIRE_GATEWAY__DRAIN_DELAY": "3",
    }
    assert environment_of(NodePlan("gate-2", 8080, 9001), inherited) == {
        "PATH": "/bin",
        "TIDEWIRE_GATEWAY__DRAIN_DELAY": "3",
        "TIDEWIRE_GATEWAY__NODE": "gate-2",
        "TIDEWIRE_GATEWAY__PORT": "8080",
        "TIDEWIRE_GATEWAY__INTERNAL_PORT": "9001",
        "TIDEWIRE_GATEWAY__READY_JSON": "true",
    }


@given(st.integers(1, 100_000))
def test_pauses_grow_up_to_a_bound(ends: int) -> None:
    assert 0 < longest_pause(ends) <= longest_pause(ends + 1) <= MOST_PAUSE
