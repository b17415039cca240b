"""What a drill asks the registry: who is where, and until when each node holds its inbox."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from histories.entries import Tenure

from .background import Background

__all__ = ["LeaseWatch", "RegistryView"]

TIMEOUT = 3.0
INTERVAL = 0.1
MOST_USERS = 1000


class RegistryView:
    """Raises ``httpx.HTTPError`` where it does not answer."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=TIMEOUT, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def nodes(self) -> Sequence[Mapping[str, Any]]:
        """Those that hold a lease, or did a moment ago."""
        found: Sequence[Mapping[str, Any]] = self._got(self._http.get("/v1/nodes"))["nodes"]
        return found

    def lease_of(self, node: str) -> Mapping[str, Any] | None:
        """Its live lease."""
        return next((n for n in self.nodes() if n["node"] == node and n["is_live"]), None)

    def knows(self, node: str) -> bool:
        """Whether it holds a lease, or did so lately that its slot is kept for it while there are others."""
        return any(n["node"] == node for n in self.nodes())

    def sessions(self) -> set[str]:
        """The connections of all live nodes."""
        return {c for n in self.nodes() if n["is_live"] for c in self._sessions_of(n["node"])}

    def epochs_of(self, users: Sequence[str]) -> set[str]:
        """The node epochs under which users are found."""
        found: set[str] = set()
        for start in range(0, len(users), MOST_USERS):
            body = {"users": list(users[start : start + MOST_USERS])}
            places = self._got(self._http.post("/v1/lookup", json=body))["places"]
            found |= {place["epoch"] for some in places.values() for place in some}
        return found

    def _sessions_of(self, node: str) -> set[str]:
        found: set[str] = set()
        cursor: str | None = None
        while True:
            params = {} if cursor is None else {"cursor": cursor}
            answer = self._http.get(f"/v1/nodes/{node}/sessions", params=params)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return found
            page = self._got(answer)
            found |= {session["connection"] for session in page["sessions"]}
            cursor = page["next"]
            if cursor is None:
                return found

    def _got(self, answer: httpx.Response) -> Mapping[str, Any]:
        found: Mapping[str, Any] = answer.raise_for_status().json()
        return found


class LeaseWatch(Background):
    """Asks from a thread of its own, until the block is left, until when each lease runs."""

    def __init__(self, url: str) -> None:
        super().__init__("leases")
        self._view = RegistryView(url)
        self._tenures: dict[str, Tenure] = {}

    def stop(self) -> None:
        super().stop()
        self._view.close()

    @property
    def tenures(self) -> Sequence[Tenure]:
        """Each with the latest end that it was ever seen to have."""
        return list(self._tenures.values())

    def _run(self) -> None:
        while not self._stopped.wait(INTERVAL):
            try:
                nodes = self._view.nodes()
            except httpx.HTTPError:
                continue
            now = time.monotonic()
            for node in nodes:
                if node["is_live"]:
                    self._see(node, now + node["lease_ms_left"] / 1000 + INTERVAL)

    def _see(self, node: Mapping[str, Any], over_at: float) -> None:
        before = self._tenures.get(node["epoch"])
        self._tenures[node["epoch"]] = Tenure(
            node=node["node"],
            node_epoch=node["epoch"],
            slot=node["slot"],
            over_at=over_at if before is None else max(over_at, before.over_at),
        )
