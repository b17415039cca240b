"""The frames of a part, each read once: what they say, and the records that they carry."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from .entries import Published, digest
from .published import Life, Log, channel_parts
from .replaying import Judged
from .violations import Finding, Rule
from .wire import Heading, WireEvent, headings, messages

__all__ = ["Frame", "Frames"]

_MEMO = 200_000


class Frame(NamedTuple):
    """One frame; ``judged`` has its messages by channel and number, once somebody has asked."""

    data: bytes | memoryview
    headings: Sequence[Heading]
    judged: dict[tuple[str, int], Judged]


class Frames:
    """Frames of one process, compared with the log when they are first seen in a channel."""

    def __init__(self, data: memoryview, log: Log) -> None:
        self._data = data
        self._log = log
        self._frames: dict[int, Frame] = {}

    def at(self, start: int, length: int) -> Frame:
        """Raises ``ValueError`` for what is not the protocol."""
        frame = self._frames.get(start)
        if frame is None:
            if len(self._frames) >= _MEMO:
                self._frames.clear()
            data = self._data[start : start + length]
            frame = Frame(data, _headings(data), {})
            self._frames[start] = frame
        return frame

    def judge(self, frame: Frame, number: int, channel: str) -> Judged:
        """A message of a frame as one of a channel. Raises ``ValueError`` for what is not the protocol."""
        judged = frame.judged.get((channel, number))
        if judged is None:
            judged = self._judge(frame, number, channel)
            frame.judged[channel, number] = judged
        return judged

    def _judge(self, frame: Frame, number: int, channel: str) -> Judged:
        heading = frame.headings[number]
        payload = heading.payload
        _check(heading)
        if heading.type not in {"snapshot", "updates"}:
            return Judged(heading.type, heading.id, payload)
        assert payload.position is not None
        stream = channel_parts(channel)[0]
        life = self._log.life(stream, payload.position.epoch)
        records: list[Published] = []
        findings: list[Finding] = []
        for event in messages(frame.data)[number].payload.events:
            record = _record(life, stream, payload.position.epoch, event)
            finding = _fault(life, channel, event, record)
            if finding is not None:
                findings.append(finding)
            records.append(record if finding is None else _as_told(record, event))
        return Judged(heading.type, heading.id, payload, records, findings)


def _headings(data: memoryview) -> Sequence[Heading]:
    try:
        return headings(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"a frame that is not the protocol: {error}") from error


def _check(heading: Heading) -> None:
    """What a message of a subscription must have."""
    payload = heading.payload
    has_position = payload.position is not None
    if heading.type in {"subscribed", "snapshot", "updates"} and not has_position:
        raise ValueError(f"{heading.type} without a position")
    if heading.type == "gap" and payload.gap is None:
        raise ValueError("gap that names none")


def _record(life: Life | None, stream: str, epoch: str, event: WireEvent) -> Published:
    """What was published where an event says that it stands; the event itself where nothing was."""
    partition, offset = event.offset
    held = None if life is None else life.records.get(partition, {}).get(offset)
    return held or Published(
        stream=stream,
        epoch=epoch,
        partition=partition,
        offset=offset,
        key=event.key,
        ts=event.ts,
        digest=_digest(event),
    )


def _fault(life: Life | None, channel: str, event: WireEvent, record: Published) -> Finding | None:
    partition, offset = event.offset
    if life is None or offset not in life.records.get(partition, {}):
        return Finding(Rule.FOREIGN, "nothing was published there", record)
    if not life.has(channel, record):
        return Finding(Rule.FOREIGN, "published, but not in this channel", record)
    told = (event.key, event.ts, _digest(event))
    if told != (record.key, record.ts, record.digest):
        return Finding(Rule.PAYLOAD, f"published {record}, told {told}", record)
    return None


def _as_told(record: Published, event: WireEvent) -> Published:
    """A record of the channel is taken for delivered, whatever its payload became on the way."""
    return record if record.key == event.key else msgspec.structs.replace(record, key=event.key)


def _digest(event: WireEvent) -> str | None:
    return None if event.deleted else digest(bytes(event.data))
