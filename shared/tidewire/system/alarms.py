"""When a process says that something is wrong with it: rules, and alarms that do not flicker (pure)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["Alarms", "Measure", "Rule", "Severity"]

Measure = Callable[[Mapping[str, Any], Mapping[str, Any] | None], float | None]
"""Of a record without its alarms, and of the one before it. None: there is nothing to judge, which is no reason for an alarm."""


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Rule:
    """An alarm is raised once ``measure`` was above ``above`` for ``rise`` seconds, and ends once it was at most ``until`` for ``fall``.

    ``text`` says it for people, given the measure.
    """

    name: str
    severity: Severity
    measure: Measure
    text: Callable[[float], str]
    above: float = 0.0
    until: float = 0.0
    rise: float = 0.0
    fall: float = 10.0

    def __post_init__(self) -> None:
        assert self.until <= self.above


class Alarms:
    """The alarms of one process, judged record by record."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._watches = [_Watch(rule) for rule in rules]
        self._before: Mapping[str, Any] | None = None

    def look(self, record: Mapping[str, Any], now: float) -> list[dict[str, Any]]:
        """The alarms of a record, as the contract writes them; ``now`` is monotonic seconds."""
        for watch in self._watches:
            watch.look(watch.rule.measure(record, self._before), now, record["at_ms"])
        self._before = record
        return [watch.told for watch in self._watches if watch.is_raised]


class _Watch:
    """One rule's state: quiet, rising, raised, or falling."""

    __slots__ = ("_falls_since", "_rises_since", "_since_ms", "_text", "is_raised", "rule")

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.is_raised = False
        self._rises_since: float | None = None
        self._falls_since: float | None = None
        self._since_ms = 0
        self._text = ""

    @property
    def told(self) -> dict[str, Any]:
        return {
            "name": self.rule.name,
            "severity": self.rule.severity.value,
            "text": self._text,
            "since_ms": self._since_ms,
        }

    def look(self, value: float | None, now: float, at_ms: int) -> None:
        rule = self.rule
        if value is not None and value > rule.above:
            self._falls_since = None
            if self._rises_since is None:
                self._rises_since = now
                if not self.is_raised:
                    self._since_ms = at_ms
            self._text = rule.text(value)
            self.is_raised = self.is_raised or now - self._rises_since >= rule.rise
            return
        self._rises_since = None
        if not self.is_raised:
            return
        if value is not None and value > rule.until:
            self._falls_since = None
            self._text = rule.text(value)
            return
        if self._falls_since is None:
            self._falls_since = now
        if now - self._falls_since >= rule.fall:
            self.is_raised = False
            self._falls_since = None
