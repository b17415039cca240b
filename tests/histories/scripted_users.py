"""Scripted histories of messages to users: the topic `@me`, its inboxes and their holders."""

import msgspec

from .entries import Addressed, LogEntry, Position, Published, Tenure, Topic, digest
from .scripted import FIRST_EPOCH, ScriptedClient, place, value_of

__all__ = ["USER", "ScriptedInbox", "ScriptedUser"]

USER = "ann"
OWN = "@me"


class ScriptedInbox:
    """One partition of messages to users; ids are the names of the messages."""

    def __init__(self) -> None:
        self.entries: list[LogEntry] = [Topic(OWN, FIRST_EPOCH, 1, "user")]
        self._end = 0

    def publish(
        self, name: str, *, to: str = USER, is_kept: bool = True, collapse_key: str | None = None
    ) -> Published:
        record = Published(
            stream=OWN,
            epoch=FIRST_EPOCH,
            partition=0,
            offset=self._end,
            key=collapse_key or name,
            ts=0,
            digest=None,
            to=to,
            is_kept=is_kept,
            collapses=collapse_key is not None,
        )
        record = msgspec.structs.replace(record, digest=digest(value_of(record)))
        self._end += 1
        self.entries.append(record)
        return record

    def hold(self, node: str, node_epoch: str, over_at: float) -> None:
        self.entries.append(Tenure(node=node, node_epoch=node_epoch, slot=0, over_at=over_at))

    def address(self, record: Published, node_epoch: str) -> None:
        """Written to the inbox of that holder."""
        self.entries.append(
            Addressed(
                node_epoch=node_epoch,
                epoch=record.epoch,
                partition=record.partition,
                offset=record.offset,
            )
        )

    def end(self) -> Position:
        return place(p0=self._end)


class ScriptedUser(ScriptedClient):
    """A device of `USER` on its own channel, from the beginning of its mailbox on."""

    def __init__(self, name: str = "device", *, node: str = "node-1") -> None:
        super().__init__(name, channel=OWN, mode="every", user=USER)
        self._node = node

    def arrive(self, since: Position | None = None, *, node: str | None = None) -> None:
        """Connect to a node, which answers."""
        self.connect(since)
        self.welcome(node or self._node)
        self.subscribed(since or place(p0=0), "none" if since is None else "exact")
