"""What clients do of their own accord, one act at a time: drop, leave, refresh a token, change a rate."""

import random
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from histories.restless import RestlessClient
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import load_key

if TYPE_CHECKING:
    from .load import Client

__all__ = ["Whims"]

TOKEN_TTL = 7200.0


class Whims:
    """Acts in turn, each by a client that chance picks among those that stand; without a key or intervals it does nothing."""

    def __init__(self, clients: Mapping[RestlessClient, "Client"], seed: int = 1) -> None:
        self._clients = dict(clients)
        self._chance = random.Random(seed)
        self._acts = cycle((self._drop, self._leave, self._refresh, self._change_rate))

    def act(self) -> None:
        """The next act; none where nobody is ready."""
        ready = [client for client in self._clients if client.is_ready]
        if ready:
            next(self._acts)(self._chance.choice(ready))

    def _drop(self, client: RestlessClient) -> None:
        client.drop()

    def _leave(self, client: RestlessClient) -> None:
        client.leave()

    def _refresh(self, client: RestlessClient) -> None:
        spec = self._clients[client]
        if spec.user is not None and spec.key_file is not None:
            key = load_key(Path(spec.key_file))
            client.refresh(issue_token(key, spec.user, {}, ttl=TOKEN_TTL))

    def _change_rate(self, client: RestlessClient) -> None:
        spec = self._clients[client]
        if spec.intervals:
            number = len(spec.subscriptions) - 1
            client.change_rate(number, self._chance.choice(spec.intervals))
