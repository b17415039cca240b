"""A service without a Kafka client, in a thread: it hands events to a publisher over HTTP, each until it is taken."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

from .background import Background
from .publisher import user_name

__all__ = ["Ingest"]

PAUSE = 0.05
TIMEOUT = 10.0


class Ingest(Background):
    """One event after the other, to ``stream`` and to users in turn, until the block is left.

    ``taken`` counts what was acknowledged, ``refused`` by status what no repetition would help; the publisher may be away.
    """

    def __init__(self, url: str, stream: str, users: int) -> None:
        super().__init__("ingest")
        self.taken = 0
        self.refused: Counter[int] = Counter()
        self._stream = stream
        self._users = users
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=False)

    def stop(self) -> None:
        """Returns once the last event was taken, or has failed once more."""
        super().stop()
        self._http.close()

    def _run(self) -> None:
        number = 0
        while not self._stopped.wait(PAUSE):
            number += 1
            path, event = self._event(number)
            while not self._hand_in(path, event) and not self._stopped.wait(PAUSE):
                pass

    def _event(self, number: int) -> tuple[str, Mapping[str, Any]]:
        data = {"n": number}
        if number % 2:
            key = f"g{number % 8}/h{number % 25}"
            return f"/v1/events/{self._stream}", {"key": key, "data": data}
        return f"/v1/users/{user_name(number % self._users)}/events", {"data": data}

    def _hand_in(self, path: str, event: Mapping[str, Any]) -> bool:
        """Whether that is all there is to do for it."""
        try:
            status = self._http.post(path, json=event).status_code
        except httpx.HTTPError:
            return False
        if status == httpx.codes.OK:
            self.taken += 1
        elif status < 500:
            self.refused[status] += 1
        return status < 500
