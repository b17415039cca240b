"""Histories without a server: a log and a client whose every line somebody chose."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from .checking import check_samples
from .entries import (
    Asked,
    Begun,
    ClientEntry,
    Closed,
    Got,
    LogEntry,
    Opened,
    Position,
    Published,
    Run,
    Sample,
    Stopped,
    Topic,
    digest,
)
from .figures import Figures
from .frames import Frames
from .published import build_log
from .violations import Findings
from .walking import walk

__all__ = ["Scripted", "ScriptedClient", "ScriptedLog", "judge", "place", "value_of"]

STREAM = "s"
FIRST_EPOCH = "e1"


def place(epoch: str = FIRST_EPOCH, **offsets: int) -> Position:
    """A position: ``place(p0=3)`` stands at offset 3 of partition 0."""
    return Position(epoch, {int(name[1:]): offset for name, offset in offsets.items()})


def value_of(record: Published) -> bytes:
    """The JSON that was published; it differs from place to place."""
    return b'{"n":"%s/%d:%d"}' % (record.epoch.encode(), record.partition, record.offset)


class ScriptedLog:
    """The log of one stream, ``s``; a record's time is that of the script's clock in ms."""

    def __init__(self, *, partitions: int = 1, group: str = "key-prefix") -> None:
        self.entries: list[LogEntry] = []
        self.now = 0.0
        self._group = group
        self._ends: dict[int, int] = {}
        self.begin_life(FIRST_EPOCH, partitions)

    def begin_life(self, epoch: str, partitions: int) -> None:
        """The topic is made, or made anew."""
        self.epoch = epoch
        self._ends = dict.fromkeys(range(partitions), 0)
        self.entries.append(Topic(STREAM, epoch, partitions, self._group))

    def grow(self, partitions: int) -> None:
        """The topic gets more partitions."""
        self._ends |= {p: 0 for p in range(partitions) if p not in self._ends}
        self.entries.append(Topic(STREAM, self.epoch, partitions, self._group))

    def publish(self, key: str, *, partition: int = 0, removed: bool = False) -> Published:
        record = Published(
            stream=STREAM,
            epoch=self.epoch,
            partition=partition,
            offset=self._ends[partition],
            key=key,
            ts=int(self.now * 1000),
            digest=None,
        )
        if not removed:
            record = msgspec.structs.replace(record, digest=digest(value_of(record)))
        self._ends[partition] += 1
        self.entries.append(record)
        return record

    def end(self) -> Position:
        return Position(self.epoch, dict(self._ends))


class ScriptedClient:
    """One client with one subscription; every line comes a second after the one before it."""

    def __init__(
        self,
        name: str = "c",
        *,
        channel: str = STREAM,
        mode: str = "latest",
        snapshot: bool = True,
        user: str | None = None,
    ) -> None:
        self.entries: list[ClientEntry] = []
        self.frames = bytearray()
        self.now = 10.0
        self._channel = channel
        self._mode = mode
        self._snapshot = snapshot
        self._connection = 0
        self._note(Begun(at=self.now, name=name, wall_ms=self.now * 1000, user=user))

    def connect(self, since: Position | None = None) -> None:
        """A new connection, and the request on it."""
        self._connection += 1
        self._note(Opened(at=self.now, connection=self._connection, url="ws://node/v1/ws"))
        self._note(
            Asked(
                at=self.now,
                connection=self._connection,
                id=1,
                subscription=0,
                channel=self._channel,
                mode=self._mode,
                snapshot=self._snapshot,
                since=since,
            )
        )

    def lose(self, code: int = 1006) -> None:
        self._note(Closed(at=self.now, connection=self._connection, code=code))

    def stop(self) -> None:
        self._note(Stopped(at=self.now))
        self._note(Closed(at=self.now, connection=self._connection, code=1000, is_own=True))

    def welcome(self, node: str) -> None:
        self._message("welcome", {"node": node, "connection": str(self._connection)})

    def subscribed(
        self,
        position: Position,
        recovered: str = "none",
        *,
        gap: Mapping[int, tuple[int, int]] | None = None,
        reason: str | None = None,
    ) -> None:
        payload: dict[str, Any] = {
            "sub": 1,
            "channel": self._channel,
            "mode": self._mode,
            "interval_ms": 0,
            "position": position,
            "recovered": recovered,
        }
        if gap is not None:
            payload["gap"] = gap
        if reason is not None:
            payload["reason"] = reason
        self._message("subscribed", payload, request=1)

    def snapshot(self, position: Position, *events: Published, **fields: Any) -> None:
        told = [self._event(event) for event in events]
        self._message("snapshot", {"sub": 1, "position": position, "events": told, **fields})

    def updates(self, position: Position, *events: Published) -> None:
        told = [self._event(event) for event in events]
        self._message("updates", {"sub": 1, "position": position, "events": told, "coalesced": 0})

    def gap(self, gap: Mapping[int, tuple[int, int]], reason: str) -> None:
        self._message("gap", {"sub": 1, "gap": gap, "reason": reason})

    def status(self, state: str) -> None:
        self._message("status", {"sub": 1, "state": state, "age_ms": 0})

    def unsubscribed(self, code: str) -> None:
        self._message("unsubscribed", {"sub": 1, "code": code, "reason": ""})

    def frame(self, frame: bytes) -> None:
        """Any frame at all."""
        got = Got(
            at=self.now, connection=self._connection, start=len(self.frames), length=len(frame)
        )
        self.frames += frame
        self._note(got)

    def _message(self, type_: str, payload: dict[str, Any], request: int | None = None) -> None:
        envelope: dict[str, Any] = {"v": 1, "type": type_, "payload": payload}
        if request is not None:
            envelope["id"] = request
        self.frame(msgspec.json.encode(envelope))

    def _event(self, record: Published) -> dict[str, Any]:
        event: dict[str, Any] = {
            "key": record.key,
            "ts": record.ts,
            "offset": (record.partition, record.offset),
        }
        if record.digest is None:
            event["deleted"] = True
        else:
            event["data"] = msgspec.Raw(value_of(record))
        return event

    def _note(self, entry: ClientEntry) -> None:
        self.entries.append(entry)
        self.now += 1.0


class Scripted(Protocol):
    """A log that somebody wrote line by line."""

    @property
    def entries(self) -> Sequence[LogEntry]: ...


def judge(
    log: Scripted,
    *clients: ScriptedClient,
    quiet_at: float | None = 0.0,
    run: Run | None = None,
    samples: tuple[Sample, ...] = (),
) -> tuple[Findings, list[Figures]]:
    """What the checker says. ``quiet_at``: since when everybody has had the time to come level."""
    findings = Findings()
    held = build_log(log.entries)
    figures = []
    for client in clients:
        frames = Frames(memoryview(bytes(client.frames)), held)
        figures.append(walk(client.entries, frames, held, findings=findings, quiet_at=quiet_at))
    check_samples(samples, None if run is None else run.most_bytes, findings)
    return findings, figures
