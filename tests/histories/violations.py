"""What a history may break, and what the checker says of it."""

from collections import Counter
from enum import StrEnum
from typing import NamedTuple

from .entries import Published

__all__ = ["Finding", "Findings", "Rule", "Violation"]


class Rule(StrEnum):
    """The rules that are checked."""

    LOST = "lost"  # neither delivered, nor superseded by what was, nor in an announced gap
    WENT_BACK = "went back"  # the application was shown an older value after a newer one
    DUPLICATE = "duplicate"  # the same event twice, with no resume between
    UNSAFE = "unsafe position"  # it covered what was delivered only later
    PAYLOAD = "payload"  # not what was published at that place
    ORDER = "order"  # an older event of a key, or in `every` of a partition, after a newer one
    FOREIGN = "never published"  # or not in this channel
    OLD_EPOCH = "old epoch"  # from the inbox of a node whose lease was over, or of another
    REVOKED = "revoked"  # let in, or served, with a token that had been revoked for a second
    END = "end state"  # after quiet, not what the log says
    BYTES = "bytes"  # more waits for a connection than may
    PROTOCOL = "protocol"  # frames that docs/protocol.md does not allow


class Finding(NamedTuple):
    """A rule that was broken, by which record where there is one."""

    rule: Rule
    text: str
    record: Published | None = None


class Violation(NamedTuple):
    """A finding, and whom it befell; ``at`` is its instant."""

    rule: Rule
    client: str
    channel: str
    at: float
    text: str
    record: Published | None = None

    def __str__(self) -> str:
        place = ""
        if self.record is not None:
            place = f", {self.record.key} at {self.record.partition}:{self.record.offset}"
        return f"{self.rule}: {self.client}, {self.channel}{place}: {self.text} (at {self.at:.3f})"


class Findings:
    """Counts all violations and keeps the first of each rule."""

    def __init__(self, kept: int = 20) -> None:
        self.counts: Counter[Rule] = Counter()
        self.first: list[Violation] = []
        self._kept = kept

    def add(self, violation: Violation) -> None:
        self.counts[violation.rule] += 1
        if self.counts[violation.rule] <= self._kept:
            self.first.append(violation)

    @property
    def rules(self) -> frozenset[Rule]:
        return frozenset(self.counts)
