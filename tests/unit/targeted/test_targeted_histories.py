"""Histories that the machine over all parts has found, each once more."""

from collections.abc import Iterator

import pytest

from harness.virtual_processes import Flow
from unit.targeted.test_targeted_machine import TargetedMachine


@pytest.fixture
def machine() -> Iterator[TargetedMachine]:
    machine = TargetedMachine()
    machine.begin(begins=[0, 0, 0])
    yield machine
    machine.teardown()


def test_what_a_router_sent_by_old_knowledge_outlives_it(machine: TargetedMachine) -> None:
    """A user counted as nowhere while the registry was empty, then could not be looked up, and the router died."""
    machine.crash_router(amid=[("publish", "ann", "kept")])
    machine.calm_down()
    machine.start_node(amid=[("empty_registry",)], is_namesake=False, is_slow=False, seconds=0.1)
    machine.calm_down()
    machine.hold(
        amid=[("publish", "ann", "kept")],
        block=Flow.HELD,
        index=0,
        is_over=False,
        is_router=True,
        way=0,
    )
    machine.step(amid=[("publish", "cid", "kept"), ("publish", "bob", "kept")], way=0)
    machine.crash_router(
        amid=[("publish", "ann", "kept"), ("wait", 12.0), ("publish", "ann", "kept")]
    )
    machine.calm_down()
