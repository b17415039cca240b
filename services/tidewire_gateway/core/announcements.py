"""Which of a node's sessions the registry knows of, and what it has to be told next (pure)."""

from collections.abc import Iterable
from itertools import islice

from tidewire.targeting.registry import Batch, Session

__all__ = ["Announcements"]


class Announcements:
    """Batches of connects and disconnects, one in flight at a time.

    A connection that came and went before it was told is never told. Under a new epoch everybody is told again.
    """

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._to_connect: dict[str, None] = {}
        self._to_disconnect: dict[str, str] = {}
        self._known: set[str] = set()
        self._told: set[str] = set()
        """Of which the registry may know: they were in a batch, whatever became of it."""
        self._in_flight: Batch | None = None
        self._number = 0
        """Of the last batch; it never falls, so one that comes late is known for what it is."""

    def connected(self, session: Session) -> None:
        self._sessions[session.connection] = session
        self._to_connect[session.connection] = None

    def disconnected(self, connection: str) -> None:
        session = self._sessions.pop(connection, None)
        if session is None:
            return
        self._to_connect.pop(connection, None)
        self._known.discard(connection)
        if connection in self._told:
            self._told.discard(connection)
            self._to_disconnect[connection] = session.user

    @property
    def has_news(self) -> bool:
        return bool(self._to_connect or self._to_disconnect)

    @property
    def is_in_flight(self) -> bool:
        """Whether a batch was begun that counts; `forget` ends it."""
        return self._in_flight is not None

    @property
    def known(self) -> int:
        """How many connections the registry has acknowledged under the present epoch."""
        return len(self._known)

    def is_known(self, connection: str) -> bool:
        """Whether the registry has acknowledged it under the present epoch."""
        return connection in self._known

    def begin(self, most: int) -> Batch:
        """The next batch of at most ``most`` entries; `acknowledged` or `failed` must follow."""
        assert self._in_flight is None
        gone = list(islice(self._to_disconnect.items(), most))
        came = list(islice(self._to_connect, most - len(gone)))
        for connection, _ in gone:
            del self._to_disconnect[connection]
        for connection in came:
            del self._to_connect[connection]
        self._told.update(came)
        self._number += 1
        self._in_flight = Batch(
            [self._sessions[connection] for connection in came],
            [(user, connection) for connection, user in gone],
            self._number,
        )
        return self._in_flight

    def acknowledged(self) -> Iterable[str]:
        """The registry has the batch; returns the connections it now knows and that are still there."""
        batch, self._in_flight = self._in_flight, None
        assert batch is not None
        here = [s.connection for s in batch.connected if s.connection in self._sessions]
        self._known.update(here)
        return here

    def failed(self) -> None:
        """Nobody knows whether the batch was taken: it is told again. Disconnects and connects may be repeated."""
        batch, self._in_flight = self._in_flight, None
        assert batch is not None
        for session in batch.connected:
            if session.connection in self._sessions:
                self._to_connect[session.connection] = None
            else:
                self._to_disconnect[session.connection] = session.user
        for user, connection in batch.disconnected:
            self._to_disconnect[connection] = user

    def forget(self) -> None:
        """The epoch is another one, or the store has lost everything: all sessions are told anew, no end of old ones."""
        self._in_flight = None
        self._known.clear()
        self._told.clear()
        self._to_disconnect.clear()
        self._to_connect = dict.fromkeys(self._sessions)
