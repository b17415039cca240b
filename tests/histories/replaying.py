"""What the application saw of one subscription, from the messages that came and the client's own rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from .accounts import EveryAccount, LatestAccount, Moment
from .entries import Asked, Position, Published
from .published import Log, channel_parts
from .violations import Finding, Rule
from .wire import HeadingPayload

__all__ = ["Judged", "Replay"]


Place = tuple[str | None, int]
"""Key and partition in `latest`, partition alone in `every`."""


class Judged(NamedTuple):
    """A message, its events as the records they are, and what is wrong with these whoever gets them."""

    type: str
    id: int | None
    payload: HeadingPayload
    records: Sequence[Published] = ()
    findings: Sequence[Finding] = ()


class Replay:
    """One subscription of one client, through all its connections; ``report`` hears what is broken."""

    def __init__(self, asked: Asked, log: Log, report: Callable[[Finding, float], None]) -> None:
        self.channel = asked.channel
        self.mode = asked.mode
        self.accepted: Sequence[Published] = ()
        self._is_begun = False
        self._is_ended = False
        self._asked = asked
        self._log = log
        self._report = report
        self._epoch: str | None = None
        self._accounts: dict[str, LatestAccount | EveryAccount] = {}
        self._account: LatestAccount | EveryAccount = self._account_of("")
        self._next_begin: Mapping[int, int] | None = None  # of the epoch to come, once announced
        self._remembered: dict[Place, int] = {}  # the client's: last offset by key and partition
        self._wire: dict[Place, int] = {}  # likewise, but of this connection alone
        self._parts: list[Published] = []
        self._is_collecting = False
        self._awaits_snapshot = False

    def asked(self, asked: Asked) -> None:
        """The client subscribes, or resumes on another connection."""
        self._asked = asked

    def lost(self) -> None:
        """The connection is over."""
        self._is_begun = False
        self._drop_parts()

    def take(self, message: Judged, moment: Moment) -> None:
        """One message of this subscription, in order; ``accepted`` is then what the application saw."""
        self.accepted = ()
        for finding in message.findings:
            self._report(finding, moment.at)
        match message.type:
            case "subscribed":
                self._subscribed(message.payload, moment)
            case "snapshot":
                self._snapshot(message, moment)
            case "updates":
                self._updates(message, moment)
            case "gap":
                self._gap(message.payload, moment)
            case "unsubscribed":
                self._is_ended = True

    def finish(self, at: float, *, must_be_level: bool) -> None:
        """The recording is over; ``must_be_level``: it had the time to get everything."""
        self._say(self._account.left(), at)
        if not must_be_level or self._is_ended:
            return
        if not self._is_begun or self._is_collecting or self._awaits_snapshot:
            self._say(
                [Finding(Rule.END, "it stands on no connection, or waits for a snapshot")], at
            )
            return
        if self._epoch != self._log.last_epoch(channel_parts(self.channel)[0]):
            self._say([Finding(Rule.END, f"it stands in epoch {self._epoch}")], at)
        text = "missing, or another value in its place"
        self._say((Finding(Rule.END, text, record) for record in self._account.lacks()), at)

    # Messages

    def _subscribed(self, payload: HeadingPayload, moment: Moment) -> None:
        position = _position(payload)
        self._is_begun = True
        self.mode = payload.mode
        self._drop_parts()
        wants_table = payload.mode == "latest" and self._asked.snapshot
        is_fresh = payload.recovered == "none"
        self._awaits_snapshot = payload.recovered == "snapshot" or (is_fresh and wants_table)
        self._begin(payload, moment, is_table=self._awaits_snapshot)
        self._wire.clear()
        if not self._awaits_snapshot:
            self._move(position, moment)

    def _begin(self, payload: HeadingPayload, moment: Moment, *, is_table: bool) -> None:
        """Stand in the epoch of a reply, with what it says is missing."""
        position, since = _position(payload), self._asked.since
        is_first = self._epoch is None
        gap = payload.gap or {}
        is_foreign = since is not None and since.epoch != position.epoch
        self._enter(position.epoch, moment, is_announced=is_table or bool(gap))
        if payload.recovered == "none":
            begin = dict.fromkeys(position.offsets, 0) if is_table else position.offsets
            self._account.begin(begin)
        elif is_foreign:
            for partition, (_, after) in gap.items():
                self._account.excuse(partition, 0, after)
        else:
            if is_first and since is not None:
                self._account.begin(since.offsets)
            self._missing(gap)

    def _snapshot(self, message: Judged, moment: Moment) -> None:
        self._is_collecting = message.payload.more
        self._parts.extend(message.records)
        if self._is_collecting:
            return
        position = _position(message.payload)
        events = tuple(self._parts)
        self._drop_parts()
        self._awaits_snapshot = False
        self._enter(position.epoch, moment, is_announced=True)
        account = self._account
        if not isinstance(account, LatestAccount):
            self._say([Finding(Rule.PROTOCOL, "a snapshot in mode every")], moment.at)
            return
        is_partial = message.payload.partial
        self._say(
            account.replace(events, position.offsets, moment, is_partial=is_partial), moment.at
        )
        self._wire.clear()
        self._remembered = {(r.key, r.partition): r.offset for r in events}

    def _updates(self, message: Judged, moment: Moment) -> None:
        if self._is_collecting:
            self._say([Finding(Rule.PROTOCOL, "updates amid the parts of a snapshot")], moment.at)
            return
        position = _position(message.payload)
        self._awaits_snapshot = False
        self._enter(position.epoch, moment, is_announced=self._next_begin is not None)
        accepted = []
        for record in message.records:
            place: Place = (record.key if self.mode == "latest" else None, record.partition)
            self._check_order(record, place, moment.at)
            if record.offset > self._remembered.get(place, -1):
                self._remembered[place] = record.offset
                accepted.append(record)
                for finding in self._account.deliver(record):
                    self._report(finding, moment.at)
        self.accepted = accepted
        self._move(position, moment)

    def _gap(self, payload: HeadingPayload, moment: Moment) -> None:
        assert payload.gap is not None
        if payload.reason == "recreated":
            self._next_begin = {partition: after for partition, (_, after) in payload.gap.items()}
            return
        self._missing(payload.gap)
        if not self._is_collecting and not self._awaits_snapshot:
            for partition, (_, after) in payload.gap.items():
                self._account.move(partition, after, moment)

    # Steps

    def _check_order(self, record: Published, place: Place, at: float) -> None:
        """Within a connection offsets grow, per key and, in `every`, per partition."""
        last = self._wire.get(place, -1)
        if record.offset > last:
            self._wire[place] = record.offset
        elif record.offset == last:
            self._report(Finding(Rule.DUPLICATE, "twice on one connection", record), at)
        else:
            self._report(Finding(Rule.ORDER, f"after {record.partition}:{last}", record), at)

    def _enter(self, epoch: str, moment: Moment, *, is_announced: bool) -> None:
        """Go on in the life of the topic that a position names; it may be another one than so far."""
        begin, self._next_begin = self._next_begin or {}, None
        if epoch == self._epoch:
            return
        self._say(self._account.left(), moment.at)
        if not is_announced:
            text = "its topic went without a word"
            lost = (Finding(Rule.LOST, text, record) for record in self._account.lacks())
            self._say(lost, moment.at)
        self._epoch = epoch
        self._account = self._accounts.setdefault(epoch, self._account_of(epoch))
        for partition, offset in begin.items():
            self._account.excuse(partition, 0, offset)
        self._remembered.clear()
        self._wire.clear()

    def _account_of(self, epoch: str) -> LatestAccount | EveryAccount:
        log = self._log.channel(self.channel, epoch)
        return EveryAccount(log) if self.mode == "every" else LatestAccount(log)

    def _move(self, position: Position, moment: Moment) -> None:
        for partition, offset in position.offsets.items():
            self._account.move(partition, offset, moment)

    def _missing(self, gap: Mapping[int, tuple[int, int]]) -> None:
        """Offsets that will not be delivered; where the second is the lower one, the tail is another now."""
        for partition, (first, after) in gap.items():
            if after < first:
                self._account.truncated(partition, after)
            else:
                self._account.excuse(partition, first, after)
            for last in (self._remembered, self._wire):
                _restart(last, partition, after, is_every=self.mode == "every")

    def _drop_parts(self) -> None:
        self._parts.clear()
        self._is_collecting = False

    def _say(self, findings: Iterable[Finding], at: float) -> None:
        for finding in findings:
            self._report(finding, at)


def _position(payload: HeadingPayload) -> Position:
    assert payload.position is not None
    return payload.position


def _restart(last: dict[Place, int], partition: int, after: int, *, is_every: bool) -> None:
    """The client's rule after a gap: offsets from ``after`` on are new to it."""
    if is_every:
        last[None, partition] = after - 1
        return
    for place, offset in list(last.items()):
        if place[1] == partition and offset >= after:
            del last[place]
