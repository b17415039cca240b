"""A crowd that stays, with a little coming and going: what the soak starts, what it does to it, where it looks."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import redis
from websockets.exceptions import InvalidStatus

from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import load_key

from .crowd import TABLE, TALK
from .greetings import WELCOMED, greet_all
from .load import Client
from .node import DrillNode
from .publisher import UserFlow
from .site import Site
from .users import Users
from .users_log import OWN
from .vitals import Vital, sockets_at, vital_of
from .workers import Worker

__all__ = ["SETTLED_WITHIN", "Check", "Crowd"]

NODES = 2
GROUPS = 40
KEPT = 120.0
"""Seconds that nodes and mailboxes keep what was published: after that they are as full as they get."""
TOKEN_TTL = 7200.0
SETTLED_WITHIN = 60.0
SETTINGS = {"LOG_WINDOW": str(KEPT), "LIMITS__CONNECTION_AGE": "86400"}
"""Nobody is moved for its age: it would be the whole crowd, towards the end."""


class Check(NamedTuple):
    """A point at which nobody came or went: rows of the registry, sockets by node, connections that nodes count.

    ``others`` are descriptors that are no client's, by process; ``members`` those of the router's group, ``keys`` Redis's.
    """

    at: float
    rows: frozenset[str]
    sockets: Mapping[str, int]
    connections: int
    others: Mapping[str, int]
    members: int
    keys: int

    def is_level(self, count: int) -> bool:
        """Whether there are so many connections, whoever is asked."""
        return len(self.rows) == sum(self.sockets.values()) == self.connections == count


class Crowd:
    """What is started, and what is done to it."""

    def __init__(self, site: Site) -> None:
        scale = site.scale
        self.site = site
        self.count = scale.pick(long=2000, short=60)
        self.welcomed = 0
        self.users = Users(
            site,
            count=self.count,
            lease=10.0,
            lookup_ttl=scale.pick(long=5.0, short=0.5),
            sabotage="hoarding" if scale.is_sabotaged else None,
            mailbox_ttl=KEPT,
        )
        self.nodes = self.users.start_nodes(NODES, SETTINGS)
        self.router = self.users.start_router()
        self.redis = redis.Redis.from_url(self.users.redis_url)
        site.at_end.callback(self.redis.close)
        self._key_file = site.folder / "token.key"
        self.pids = {
            **{node.spec.name: node.pid for node in self.nodes},
            "registry": int(self.users.registry.said["pid"]),
            "router": int(self.router.said["pid"]),
        }

    def processes(self) -> dict[str, Callable[[], Vital]]:
        read = {name: partial(vital_of, pid) for name, pid in self.pids.items()}
        return {**read, "redis": self._redis_vital}

    def connect(self) -> list[Worker]:
        processes = self.site.scale.pick(long=4, short=2)
        crowd = list(self._clients())
        groups = [crowd[number::processes] for number in range(processes)]
        return self.site.connect_all("crowd", groups, within=300.0)

    def publish(self) -> Worker:
        pick, topic = self.site.scale.pick, self.users.topic
        return self.site.publish(
            self.site.flow(TABLE, pick(long=200, short=100), groups=GROUPS, removals=0.05),
            self.site.flow(TALK, pick(long=20, short=20), seed=2),
            UserFlow(topic.topic, topic.partitions, pick(long=50, short=40), self.count),
        )

    def unrest(self, loads: Sequence[Worker], until: float) -> int:
        """Whims, and visitors who say hello and go; how many of each."""
        pause = self.site.scale.pick(long=60 / (0.02 * self.count), short=0.1)
        acts = 0
        while time.monotonic() < until:
            self.site.look_after()
            loads[acts % len(loads)].signal(signal.SIGUSR2)
            self._visit(self.nodes[acts % NODES])
            acts += 1
            time.sleep(pause)
        return acts

    def _visit(self, node: DrillNode) -> None:
        """A busy machine may have no time for somebody."""
        with contextlib.suppress(InvalidStatus, TimeoutError):
            (greeted,) = greet_all([node.ws], [self._token("visitor")])
            self.welcomed += greeted.code == WELCOMED

    def check(self) -> Check:
        """Once everybody is where it is counted, or long enough after it should be."""
        looks: list[Check] = []

        def is_level() -> bool:
            with contextlib.suppress(httpx.HTTPError):
                looks.append(self._look())
            return bool(looks) and looks[-1].is_level(self.count)

        self.site.reaches(is_level, within=SETTLED_WITHIN)
        assert looks, "the registry never answered"
        return looks[-1]

    def _look(self) -> Check:
        sockets = self._sockets()
        descriptors = {name: vital_of(pid).descriptors for name, pid in self.pids.items()}
        return Check(
            time.monotonic(),
            frozenset(self.users.view.sessions()),
            sockets,
            int(self.site.total("connections")),
            {name: count - sockets.get(name, 0) for name, count in descriptors.items()},
            self.site.topics.members(self.users.group),
            int(self.redis.dbsize()),
        )

    def _sockets(self) -> dict[str, int]:
        return {node.spec.name: sockets_at(urlsplit(node.ws).port or 0) for node in self.nodes}

    def _clients(self) -> Iterator[Client]:
        slow = self.site.scale.pick(long=[5000, 2000], short=[500, 250])
        urls = [node.ws for node in self.nodes]
        for n, user in enumerate(self.users.names):
            wanted = {"channel": f"{TABLE}/g{n % GROUPS}", "interval_ms": slow[0]}
            if n % 50 == 0:
                wanted = {"channel": TALK, "mode": "every", "interval_ms": 250}
            yield Client(
                user,
                [urls[n % NODES], urls[(n + 1) % NODES]],
                [{"channel": OWN, "mode": "every"}, wanted],
                user=user,
                token=self._token(user),
                key_file=str(self._key_file),
                intervals=slow,
            )

    def _token(self, user: str) -> str:
        return issue_token(load_key(self._key_file), user, {}, ttl=TOKEN_TTL)

    def _redis_vital(self) -> Vital:
        said = self.redis.info("memory")
        return Vital(time.monotonic(), int(said["used_memory"]), int(said["used_memory_rss"]))
