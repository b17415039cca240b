"""How many sockets a limit of file descriptors has room for, and how far it is raised."""

import resource
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.descriptors import RESERVE, fit_connections, room_of
from tidewire_gateway.settings import GatewaySettings, LimitSettings

UNLIMITED = resource.RLIM_INFINITY


class System:
    """Limits as the kernel has them; ``most`` is what the process may raise the hard one to."""

    def __init__(self, soft: int, hard: int, most: int = 0) -> None:
        self.limits = (soft, hard)
        self._most = most

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == resource.RLIMIT_NOFILE
        return self.limits

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        assert which == resource.RLIMIT_NOFILE
        hard = self.limits[1]
        if hard != UNLIMITED and not 0 <= limits[1] <= max(hard, self._most):
            raise ValueError("not allowed to raise maximum limit")
        self.limits = limits


@pytest.mark.parametrize(
    ("system", "limits", "connections"),
    [
        (System(1024, 4096), (4096, 4096), 2000),
        (System(3000, 4096), (3000, 4096), 2000),
        (System(1024, UNLIMITED), (2512, UNLIMITED), 2000),
        (System(UNLIMITED, UNLIMITED), (UNLIMITED, UNLIMITED), 2000),
        (System(1024, 2048), (2048, 2048), 2048 - RESERVE),
        (System(1024, 2048, most=4096), (2512, 2512), 2000),
        (System(1024, 2048, most=2200), (2048, 2048), 2048 - RESERVE),
        (System(100, 100), (100, 100), 50),
    ],
)
def test_limit_is_raised_as_far_as_needed_and_allowed(
    system: System, limits: tuple[int, int], connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", system.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", system.setrlimit)
    configured = GatewaySettings(
        streams=Path("streams.yaml"), dev=True, limits=LimitSettings(max_connections=2000)
    )
    assert fit_connections(configured).limits.max_connections == connections
    assert system.limits == limits
    assert configured.limits.max_connections == 2000


@given(st.integers(2, 1 << 62))
def test_something_is_kept_for_everything_else(limit: int) -> None:
    room = room_of(limit)
    assert 0 < room.connections <= room.sockets <= limit
    assert limit // 2 <= room.connections
    if limit >= 4:
        assert room.connections < room.sockets < limit


@given(st.integers(1, 10_000_000))
def test_limit_that_is_asked_for_has_room_for_the_connections(connections: int) -> None:
    needed = connections + RESERVE
    assert room_of(needed).connections >= connections
    assert room_of(2 * RESERVE + connections).connections == RESERVE + connections


@given(st.integers(2, 1_000_000))
def test_higher_limit_never_has_less_room(limit: int) -> None:
    assert room_of(limit).connections <= room_of(limit + 1).connections
    assert room_of(limit).sockets <= room_of(limit + 1).sockets
