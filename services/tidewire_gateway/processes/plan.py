"""What each of several nodes is told beyond what all of them are (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidewire.config.errors import ConfigError

from ..settings import PREFIX, GatewaySettings

__all__ = ["MOST_PROCESSES", "NodePlan", "environment_of", "plan_nodes"]

MOST_PROCESSES: Final = 64
LARGEST_PORT: Final = 65_535
LONGEST_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class NodePlan:
    """``public_port`` is the same for all; ``internal_port`` 0 is a free one."""

    name: str
    public_port: int
    internal_port: int


def plan_nodes(settings: GatewaySettings, public_port: int, count: int) -> tuple[NodePlan, ...]:
    """Nodes ``<name>-1`` to ``<name>-<count>``, on internal ports from the configured one on.

    Raises ``ConfigError`` for names and ports that cannot be.
    """
    longest = f"{settings.node}-{count}"
    if len(longest) > LONGEST_NAME:
        raise ConfigError(
            f"{PREFIX}NODE: {longest!r} would be a node's name and is longer than {LONGEST_NAME} characters: "
            "choose a shorter one"
        )
    first = settings.internal_port
    ports = range(first, first + count) if first else [0] * count
    if first and ports[-1] > LARGEST_PORT:
        raise ConfigError(
            f"{PREFIX}INTERNAL_PORT: {count} nodes need the ports {first} to {ports[-1]}, which do not exist: "
            f"choose {LARGEST_PORT - count + 1} or less"
        )
    if first and public_port in ports:
        raise ConfigError(
            f"{PREFIX}INTERNAL_PORT: {count} nodes need the ports {first} to {ports[-1]}, and {public_port} is "
            "the public one: choose others"
        )
    return tuple(
        NodePlan(f"{settings.node}-{number}", public_port, port)
        for number, port in enumerate(ports, 1)
    )


def environment_of(plan: NodePlan, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a node's process. Names of settings are the same in any case."""
    own = {
        f"{PREFIX}NODE": plan.name,
        f"{PREFIX}PORT": str(plan.public_port),
        f"{PREFIX}INTERNAL_PORT": str(plan.internal_port),
        f"{PREFIX}READY_JSON": "true",
    }
    return {name: text for name, text in inherited.items() if name.upper() not in own} | own
