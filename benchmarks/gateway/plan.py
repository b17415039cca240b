"""How much is measured: a whole run, or a quick one that shows the same with less certainty."""

from dataclasses import dataclass

__all__ = ["QUICK", "WHOLE", "Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """``runs`` of every load, contenders in turn in each; ``seconds`` of a paced load."""

    name: str
    runs: int
    seconds: float
    connections: int
    sizes: tuple[int, ...]
    """Connections of what is looked at as they grow; the last is also how many are held idle."""
    most: int
    """Connections that one node is shown to hold; 0: not shown."""
    backlog: int
    """Records of what is about reading."""
    behind: float
    """Seconds that clients are behind when they resume."""
    is_whole: bool
    """Also what takes long for what it tells."""


WHOLE = Plan(
    "whole",
    runs=5,
    seconds=2.0,
    connections=1000,
    sizes=(100, 1000, 10_000),
    most=50_000,
    backlog=300_000,
    behind=10.0,
    is_whole=True,
)
QUICK = Plan(
    "quick",
    runs=2,
    seconds=0.6,
    connections=500,
    sizes=(3000,),
    most=0,
    backlog=60_000,
    behind=3.0,
    is_whole=False,
)
