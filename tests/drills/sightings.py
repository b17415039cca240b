"""What recording clients saw, for a drill's figures; whether it was right is the checker's business."""

import mmap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from histories.entries import Asked, Begun, ClientEntry, Closed, Got, Opened, Refused
from histories.reading import read_client
from histories.wire import HeadingPayload, Message, messages

__all__ = ["Answer", "Arrival", "Sighting", "Welcomed", "quantile", "see", "typical"]

SLICE = 2.0


class Arrival(NamedTuple):
    """An `updates` frame: instant, channel, seconds since its oldest and its newest event was published."""

    at: float
    channel: str
    oldest: float
    newest: float
    events: int
    coalesced: int


class Welcomed(NamedTuple):
    """A `welcome`: our number of the connection, the node's name for it, and the node."""

    number: int
    connection: str
    node: str


class Answer(NamedTuple):
    """A `subscribed`: when it was asked for and came, what was recovered and why not more."""

    asked_at: float
    at: float
    channel: str
    mode: str
    recovered: str
    reason: str
    has_since: bool


@dataclass
class Sighting:
    """One client, from its beginning to its end; instants are monotonic seconds.

    ``epochs`` are those its positions had, in order, by channel; ``said`` counts messages by type.
    """

    name: str
    opened: list[Opened] = field(default_factory=list)
    welcomes: list[Welcomed] = field(default_factory=list)
    closed: list[Closed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    statuses: list[tuple[float, str]] = field(default_factory=list)
    goaways: list[tuple[float, int]] = field(default_factory=list)
    gaps: list[tuple[float, str]] = field(default_factory=list)
    errors: list[tuple[float, str]] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    epochs: dict[str, list[str]] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)

    @property
    def lost(self) -> list[Closed]:
        """The ends of connections that the client did not choose."""
        return [closed for closed in self.closed if not closed.is_own]

    def returns(self) -> Iterator[float]:
        """Seconds from each lost connection to the first answer to a resume after it."""
        for end in self.lost:
            after = [a.at for a in self.answers if a.at > end.at]
            if after:
                yield min(after) - end.at

    @property
    def last_connection(self) -> str | None:
        """The node's name for the connection that this client ended by itself when it stopped."""
        own = {closed.connection for closed in self.closed if closed.is_own}
        return next((w.connection for w in reversed(self.welcomes) if w.number in own), None)

    def connection_at(self, at: float) -> str | None:
        """The node's name for the connection that stood at an instant."""
        closed_at = {closed.connection: closed.at for closed in self.closed}
        opened_at = {opened.connection: opened.at for opened in self.opened}
        return next(
            (
                w.connection
                for w in reversed(self.welcomes)
                if opened_at[w.number] <= at < closed_at.get(w.number, float("inf"))
            ),
            None,
        )

    def states(self, after: float = 0.0) -> list[str]:
        return [state for at, state in self.statuses if at >= after]


def see(histories: Path) -> list[Sighting]:
    """Every client of every part, by name."""
    return [
        sighting
        for part in sorted(histories.iterdir())
        if part.is_dir()
        for sighting in _part(part)
    ]


def recovered(sightings: Iterable[Sighting]) -> Counter[str]:
    """How many resumes had which outcome."""
    return Counter(a.recovered for s in sightings for a in s.answers if a.has_since)


def quantile(values: Iterable[float], share: float) -> float:
    """The value that ``share`` of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def typical(arrivals: Sequence[Arrival], begin: float, end: float, share: float) -> float:
    """The median, over slices of the time between two instants, of the ages' ``share`` quantile.

    A median of slices, since one stall of the machine would decide a quantile of the whole.
    """
    slices: dict[int, list[float]] = {}
    for arrival in arrivals:
        if begin <= arrival.at < end:
            slices.setdefault(int((arrival.at - begin) / SLICE), []).append(arrival.oldest)
    return quantile((quantile(ages, share) for ages in slices.values()), 0.5)


def _part(folder: Path) -> Iterator[Sighting]:
    path = folder / "frames"
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as frames:
        for client in sorted(folder.glob("*.jsonl")):
            yield _Reader(frames).read(client)


class _Reader:
    """Reads one client's file."""

    def __init__(self, frames: mmap.mmap) -> None:
        self._frames = frames
        self._wall = 0.0  # Unix seconds less monotonic ones
        self._sighting = Sighting("")
        self._asked: dict[tuple[int, int], Asked] = {}
        self._channels: dict[tuple[int, int], str] = {}

    def read(self, path: Path) -> Sighting:
        for entry in read_client(path):
            self._take(entry)
        return self._sighting

    def _take(self, entry: ClientEntry) -> None:
        match entry:
            case Begun():
                self._sighting.name = entry.name
                self._wall = entry.wall_ms / 1000 - entry.at
            case Opened():
                self._sighting.opened.append(entry)
            case Closed():
                self._sighting.closed.append(entry)
            case Refused():
                self._sighting.refused.append(entry)
            case Asked():
                self._sighting.asked.append(entry)
                self._asked[entry.connection, entry.id] = entry
            case Got():
                self._frame(entry)
            case _:
                return

    def _frame(self, got: Got) -> None:
        for message in messages(self._frames[got.start : got.start + got.length]):
            self._message(got, message)

    def _message(self, got: Got, message: Message) -> None:
        payload = message.payload
        self._sighting.said[message.type] += 1
        match message.type:
            case "subscribed":
                self._answered(got, message)
            case "updates":
                self._updates(got, message)
            case "welcome":
                self._sighting.welcomes.append(
                    Welcomed(got.connection, payload.connection, payload.node)
                )
            case "status":
                self._sighting.statuses.append((got.at, payload.state))
            case "gap":
                self._sighting.gaps.append((got.at, payload.reason))
            case "goaway":
                self._sighting.goaways.append((got.at, payload.after_ms))
            case "error":
                self._sighting.errors.append((got.at, payload.code))
            case _:
                return

    def _answered(self, got: Got, message: Message) -> None:
        payload = message.payload
        asked = None if message.id is None else self._asked.get((got.connection, message.id))
        if asked is None or payload.sub is None:
            return
        self._channels[got.connection, payload.sub] = payload.channel
        self._note_epoch(payload.channel, payload)
        self._sighting.answers.append(
            Answer(
                asked.at,
                got.at,
                payload.channel,
                payload.mode,
                payload.recovered,
                payload.reason,
                asked.since is not None,
            )
        )

    def _updates(self, got: Got, message: Message) -> None:
        payload = message.payload
        if not payload.events or payload.sub is None:
            return
        channel = self._channels.get((got.connection, payload.sub), "")
        self._note_epoch(channel, payload)
        now = self._wall + got.at
        stamps = [event.ts / 1000 for event in payload.events]
        self._sighting.arrivals.append(
            Arrival(
                got.at,
                channel,
                now - min(stamps),
                now - max(stamps),
                len(stamps),
                payload.coalesced,
            )
        )

    def _note_epoch(self, channel: str, payload: HeadingPayload) -> None:
        epochs = self._sighting.epochs.setdefault(channel, [])
        if payload.position is not None and payload.position.epoch not in epochs:
            epochs.append(payload.position.epoch)
