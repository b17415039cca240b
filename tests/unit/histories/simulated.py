"""Random histories that are right: a server of one partition's log that reads everything at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Literal

from histories.entries import Position, Published
from histories.scripted import ScriptedClient, ScriptedLog

__all__ = ["Simulation", "Step"]

KEYS = tuple(f"{group}/{n}" for group in "AB" for n in range(3))
PARTITION_OF = {"A": 0, "B": 1}


@dataclass(frozen=True)
class Step:
    """One line of the client: a frame, or the end or beginning of a connection."""

    at: float
    kind: Literal["updates", "snapshot", "resume", "lose"]
    position: Position
    events: tuple[Published, ...] = ()
    more: bool = False
    recovered: str = ""
    gap: Mapping[int, tuple[int, int]] | None = None
    since: Position | None = None


@dataclass
class Simulation:
    """``steps`` is what the client gets; ``log`` what was published meanwhile."""

    mode: str
    random: Random
    log: ScriptedLog = field(default_factory=lambda: ScriptedLog(partitions=2))
    steps: list[Step] = field(default_factory=list)
    held: dict[str, Published] = field(default_factory=dict)
    newest: dict[str, Published] = field(default_factory=dict)
    pending: list[Published] = field(default_factory=list)
    handed_out: list[Position] = field(default_factory=list)
    now: float = 100.0

    def run(self, length: int) -> None:
        self._publish()
        self._connect(None, "none")
        if self.mode == "latest":
            self._snapshot()
        else:
            self.pending.clear()
        for _ in range(length):
            self.random.choice((self._publish, self._publish, self._flush, self._return))()
        self._flush()

    def client(self) -> ScriptedClient:
        """The steps as a client wrote them down."""
        client = ScriptedClient(mode=self.mode)
        for step in self.steps:
            client.now = step.at
            match step.kind:
                case "updates":
                    client.updates(step.position, *step.events)
                case "snapshot":
                    client.snapshot(step.position, *step.events, more=step.more)
                case "lose":
                    client.lose()
                case "resume":
                    client.connect(step.since)
                    client.subscribed(step.position, step.recovered, gap=step.gap)
        client.now = self.now
        client.stop()
        return client

    def needs(self, index: int, event: Published) -> bool:
        """Whether a client is wrong without an event.

        It is not where that was announced as missing, or removes what the client has not.
        """
        gaps = [step.gap or {} for step in self.steps[:index]]
        if any(first <= event.offset < after for gap in gaps for first, after in _of(gap, event)):
            return False
        if self.mode == "every" or event.digest is not None:
            return True
        held = False
        parts: list[Published] = []
        for step in self.steps[:index]:
            events = step.events
            if step.kind == "snapshot":
                parts += events
                if step.more:
                    continue
                events, parts, held = tuple(parts), [], False
            for told in events:
                held = told.digest is not None if told.key == event.key else held
        return held

    def _publish(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            self.log.now = self.now
            key = self.random.choice(KEYS)
            removed = self.mode == "latest" and self.random.random() < 0.3
            record = self.log.publish(key, partition=PARTITION_OF[key[0]], removed=removed)
            self.newest[key] = record
            self.pending.append(record)
        self.now += 1.0

    def _flush(self) -> None:
        self._deliver(self.pending)
        self.pending = []

    def _return(self) -> None:
        """The connection is lost, and the client resumes: from its last position or an older one."""
        self._step("lose", self.log.end())
        since = self.random.choice(self.handed_out[-3:])
        missed = [r for r in self._records() if r.offset >= since.offsets[r.partition]]
        self.pending = []
        if self.random.random() < 0.7:
            self._connect(since, "exact" if self.mode == "every" else "changes")
            self._deliver(missed)
        elif self.mode == "latest":
            self._connect(since, "snapshot")
            self._snapshot()
        else:
            lost = {p: (since.offsets[p], end) for p, end in self.log.end().offsets.items()}
            self._connect(since, "gap", lost)

    def _connect(
        self,
        since: Position | None,
        recovered: str,
        gap: Mapping[int, tuple[int, int]] | None = None,
    ) -> None:
        end = self.log.end()
        begin = Position(end.epoch, {0: 0, 1: 0})
        position = since if recovered in {"exact", "changes"} else begin
        if recovered == "gap" or (recovered == "none" and self.mode == "every"):
            position = end
        assert position is not None
        self._step("resume", position, recovered=recovered, since=since, gap=gap)
        if position == end:
            self.handed_out.append(end)

    def _snapshot(self) -> None:
        events = [record for record in self.newest.values() if record.digest is not None]
        cut = self.random.randint(0, len(events))
        if self.random.random() < 0.5:
            self._step("snapshot", Position(self.log.epoch, {}), tuple(events[:cut]), more=True)
            events = events[cut:]
        self._step("snapshot", self.log.end(), tuple(events))
        self.pending = []
        self.handed_out.append(self.log.end())

    def _deliver(self, records: list[Published]) -> None:
        """One flush, perhaps in two frames: the position goes with the last."""
        events = records
        if self.mode == "latest":
            events = list({r.key: r for r in sorted(records, key=lambda r: r.offset)}.values())
        cut = self.random.randint(0, len(events))
        if 0 < cut < len(events):
            self._step("updates", Position(self.log.epoch, {}), tuple(events[:cut]))
            events = events[cut:]
        self._step("updates", self.log.end(), tuple(events))
        self.handed_out.append(self.log.end())

    def _step(
        self,
        kind: Literal["updates", "snapshot", "resume", "lose"],
        position: Position,
        events: tuple[Published, ...] = (),
        *,
        more: bool = False,
        recovered: str = "",
        gap: Mapping[int, tuple[int, int]] | None = None,
        since: Position | None = None,
    ) -> None:
        step = Step(self.now, kind, position, events, more)
        self.steps.append(replace(step, recovered=recovered, gap=gap, since=since))
        self.now += 1.0

    def _records(self) -> list[Published]:
        return [entry for entry in self.log.entries if isinstance(entry, Published)]


def _of(gap: Mapping[int, tuple[int, int]], event: Published) -> list[tuple[int, int]]:
    return [bounds for partition, bounds in gap.items() if partition == event.partition]
