"""A recording client that is moved by hand: it leaves for a moment, shows a later token, asks for another rate."""

from .recorder import RecordingClient

__all__ = ["RestlessClient"]


class RestlessClient(RecordingClient):
    """Each act needs a connection that stands; without one it does nothing."""

    def leave(self) -> None:
        """Close the connection in order; the client comes back by itself."""
        self._part_from(self._current, "left for a moment")

    def refresh(self, token: str) -> None:
        """Show a later token of the same user, now and on later connections."""
        self._token = token
        if self._current is not None:
            self._current.send([("refresh", {"token": token})])

    def change_rate(self, number: int, interval_ms: int) -> None:
        """Ask for another interval of one subscription, for as long as this connection lasts."""
        connection = self._current
        if connection is None:
            return
        subs = [sub for sub, n in connection.subscriptions.items() if n == number]
        self._note_asked(connection, connection.last_id + 1, number, interval_ms=interval_ms)
        request = {"sub": subs[-1], "interval_ms": interval_ms}
        connection.send([("update_subscription", request)])
