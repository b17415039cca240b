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
    many: int
    """Connections of what is about many of them."""
    most: int
    """Connections that one node is shown to hold; 0: not shown."""
    backlog: int
    """Records of what is about reading."""


WHOLE = Plan("whole", 5, 2.0, connections=1000, many=10_000, most=50_000, backlog=300_000)
QUICK = Plan("quick", 2, 1.0, connections=500, many=3000, most=0, backlog=100_000)
