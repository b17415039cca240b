"""One client's entries, in order: each message goes to its subscription, and into the figures."""

from collections.abc import Iterable

import msgspec

from .accounts import Moment
from .entries import Asked, Begun, ClientEntry, Closed, Got, Opened, Refused, Stopped
from .figures import Figures
from .frames import Frame, Frames
from .published import Log
from .replaying import Replay
from .violations import Finding, Findings, Rule, Violation
from .wire import Heading, HeadingPayload

__all__ = ["OWN", "ClientWalk", "walk"]

OWN = "@me"
"""The channel of the user that a client speaks for; to the log it is the group of that name."""

_OF_SUBSCRIPTIONS = frozenset({"subscribed", "snapshot", "updates", "gap", "unsubscribed"})
_SERVICE = _OF_SUBSCRIPTIONS | {"welcome", "refreshed"}
"""What nobody gets whose token is revoked."""


class ClientWalk:
    """What became of one client; findings go to ``findings``."""

    def __init__(self, frames: Frames, log: Log, findings: Findings) -> None:
        self.figures = Figures()
        self._frames = frames
        self._log = log
        self._findings = findings
        self._replays: dict[int, Replay] = {}
        self._asked: dict[tuple[int, int], Asked] = {}
        self._subscriptions: dict[tuple[int, int], Replay] = {}  # by connection and `sub`
        self._wall_lead_ms = 0.0
        self._stopped_at: float | None = None
        self._user: str | None = None
        self._nodes: dict[int, str] = {}  # by connection
        self._now = 0.0
        self._updated_at: dict[Replay, float] = {}
        self._not_live_since: dict[Replay, float] = {}
        self._lost_at: dict[Replay, float] = {}

    def take(self, entry: ClientEntry) -> None:
        self._now = entry.at
        match entry:
            case Got():
                self._got(entry)
            case Asked():
                self._ask(entry)
            case Begun():
                self.figures.name = entry.name
                self._user = entry.user
                self._wall_lead_ms = entry.wall_ms - entry.at * 1000
            case Opened():
                self.figures.connections += 1
            case Refused():
                self.figures.refused += 1
            case Closed():
                self._closed(entry)
            case Stopped():
                self._stop(entry)

    def finish(self, quiet_at: float | None) -> None:
        """The recording is over. Who ran on into the quiet must have got everything."""
        at = self._now if self._stopped_at is None else self._stopped_at
        is_level_due = quiet_at is not None and at >= quiet_at
        for replay in self._replays.values():
            replay.finish(at, must_be_level=is_level_due)

    # Entries

    def _ask(self, entry: Asked) -> None:
        if entry.channel == OWN:
            entry = msgspec.structs.replace(entry, channel=f"{OWN}/{self._user}")
        self._asked[entry.connection, entry.id] = entry
        replay = self._replays.get(entry.subscription)
        if replay is None:
            self._replays[entry.subscription] = self._replay(entry)
        else:
            replay.asked(entry)

    def _replay(self, entry: Asked) -> Replay:
        def report(finding: Finding, at: float) -> None:
            self._report(finding, entry.channel, at)

        return Replay(entry, self._log, report)

    def _closed(self, entry: Closed) -> None:
        origin = "own" if entry.is_own else str(entry.code)
        self.figures.codes[origin] += 1
        for (connection, _), replay in list(self._subscriptions.items()):
            if connection != entry.connection:
                continue
            if replay in self._current(entry.connection) and self._stopped_at is None:
                replay.lost()
                self._lost_at[replay] = entry.at
        self._subscriptions = {
            place: replay
            for place, replay in self._subscriptions.items()
            if place[0] != entry.connection
        }

    def _current(self, connection: int) -> set[Replay]:
        """The subscriptions that stand on this connection and on no later one."""
        newer = {r for (number, _), r in self._subscriptions.items() if number > connection}
        return {r for (number, _), r in self._subscriptions.items() if number == connection} - newer

    def _stop(self, entry: Stopped) -> None:
        self._stopped_at = entry.at
        for replay in self._replays.values():
            self._heard(replay, entry.at)
            self._live_again(replay, entry.at)

    def _got(self, entry: Got) -> None:
        if self._stopped_at is not None:
            return
        self.figures.frames += 1
        self.figures.bytes += entry.length
        try:
            frame = self._frames.at(entry.start, entry.length)
            for number, heading in enumerate(frame.headings):
                self._message(entry, frame, number, heading)
        except ValueError as error:
            self._report(Finding(Rule.PROTOCOL, str(error)), "", entry.at)

    def _message(self, entry: Got, frame: Frame, number: int, heading: Heading) -> None:
        if heading.type in _SERVICE:
            fault = self._log.revoked.fault(self._user, heading.type, entry.at)
            if fault is not None:
                self._report(fault, "", entry.at)
        if heading.type in _OF_SUBSCRIPTIONS:
            self._of_subscription(entry, frame, number, heading)
        elif heading.type == "status":
            self._status(entry, heading.payload)
        elif heading.type == "welcome":
            self._nodes[entry.connection] = heading.payload.node
        elif heading.type == "error":
            self.figures.errors[heading.payload.code] += 1

    def _of_subscription(self, entry: Got, frame: Frame, number: int, heading: Heading) -> None:
        place = entry.connection, heading.payload.sub or 0
        if heading.type == "subscribed":
            asked = self._asked.pop((entry.connection, heading.id or 0), None)
            if asked is not None:
                self._subscriptions[place] = self._replays[asked.subscription]
        replay = self._subscriptions.get(place)
        if replay is None:
            text = f"{heading.type} of {place[1]}, which is no subscription of this connection"
            self._report(Finding(Rule.PROTOCOL, text), "", entry.at)
            return
        message = self._frames.judge(frame, number, replay.channel)
        for record in message.records:
            fault = self._log.tenures.fault(record, self._nodes.get(entry.connection, ""), entry.at)
            if fault is not None:
                self._report(fault, replay.channel, entry.at)
        replay.take(message, Moment(entry.at, self._wall_ms(entry.at)))
        self._count(replay, heading, len(message.records), entry.at)

    # Figures

    def _count(self, replay: Replay, heading: Heading, events: int, at: float) -> None:
        payload = heading.payload
        if heading.type == "updates":
            self._count_updates(replay, payload, events, at)
        elif heading.type == "subscribed":
            self.figures.recovered[payload.recovered] += 1
            self._live_again(replay, at)
            if payload.gap:
                self.figures.gaps[payload.reason or "unnamed"] += 1
            if replay in self._lost_at:
                self.figures.returns.append(at - self._lost_at.pop(replay))
        elif heading.type == "gap":
            self.figures.gaps[payload.reason] += 1

    def _count_updates(
        self, replay: Replay, payload: HeadingPayload, events: int, at: float
    ) -> None:
        figures = self.figures
        figures.events += len(replay.accepted)
        figures.coalesced += payload.coalesced
        figures.repeats += events - len(replay.accepted)
        self._heard(replay, at)
        wall_ms = self._wall_ms(at)
        ages = figures.ages_ms
        for record in replay.accepted:
            ages[max(0, int(wall_ms - record.ts))] += 1

    def _status(self, entry: Got, payload: HeadingPayload) -> None:
        self.figures.states[payload.state] += 1
        if payload.sub is None:
            concerned: Iterable[Replay] = self._current(entry.connection)
        else:
            replay = self._subscriptions.get((entry.connection, payload.sub))
            concerned = () if replay is None else (replay,)
        for replay in concerned:
            if payload.state == "live":
                self._live_again(replay, entry.at)
            else:
                self._not_live_since.setdefault(replay, entry.at)

    def _heard(self, replay: Replay, at: float) -> None:
        last = self._updated_at.get(replay)
        if last is not None:
            self.figures.silence = max(self.figures.silence, at - last)
        self._updated_at[replay] = at

    def _live_again(self, replay: Replay, at: float) -> None:
        since = self._not_live_since.pop(replay, None)
        if since is not None:
            self.figures.not_live += at - since

    def _wall_ms(self, at: float) -> float:
        return at * 1000 + self._wall_lead_ms

    def _report(self, finding: Finding, channel: str, at: float) -> None:
        self._findings.add(
            Violation(finding.rule, self.figures.name, channel, at, finding.text, finding.record)
        )


def walk(
    entries: Iterable[ClientEntry],
    frames: Frames,
    log: Log,
    *,
    findings: Findings,
    quiet_at: float | None,
) -> Figures:
    """Check one client's entries against the log."""
    client = ClientWalk(frames, log, findings)
    for entry in entries:
        client.take(entry)
    client.finish(quiet_at)
    return client.figures
