"""Targeted delivery in a drill: its topics, Redis, registry and routers, users that are connected, and messages to them."""

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import httpx
import redis

from harness.names import unique
from harness.ports import LOOPBACK, free_port
from histories.entries import LogEntry
from tidewire.config.streams import Stream
from tidewire.identity.issuing import issue_token
from tidewire.identity.keys import ensure_key
from tidewire.topics.targeted import targeted_topics

from .load import Client
from .node import DrillNode
from .part import Part, drill_redis, service
from .publisher import UserFlow, user_name
from .registry_view import LeaseWatch, RegistryView
from .shifted_clock import shifted
from .site import Site, StreamSpec
from .users_log import OWN, addressed, published
from .workers import Worker

__all__ = ["Users"]

TOKEN_TTL = 3600.0
RATE = "DRILL_RATE"
"""Variable of the environment: messages a second of a long drill, where the machine cannot bear as many as it should."""
LONG_RATE, SHORT_RATE = 2000.0, 200.0
SETTLE_TIMEOUT = 300.0
SECOND_LOOK = 2.5
"""Seconds beyond ``lookup_ttl`` after which every node has looked once more: its margin, its tick, a busy machine."""
_GATEWAY, _ROUTER, _REGISTRY = "TIDEWIRE_GATEWAY__", "TIDEWIRE_ROUTER__", "TIDEWIRE_REGISTRY__"


class Users:
    """``lease``, ``lookup_ttl`` and ``mailbox_ttl`` in seconds; ``sabotage`` is that of the nodes, ``router_sabotage`` the routers'.

    ``registry_shift`` and ``router_shift`` are how far their clocks jump (`drills.shifted_clock`).
    """

    def __init__(
        self,
        site: Site,
        *,
        count: int,
        lease: float,
        lookup_ttl: float,
        sabotage: str | None = None,
        router_sabotage: str | None = None,
        registry_shift: float | None = None,
        router_shift: float | None = None,
        mailbox_ttl: float | None = None,
    ) -> None:
        self.names = [user_name(number) for number in range(count)]
        self.lease = lease
        self.lookup_ttl = lookup_ttl
        self.routers: list[Part] = []
        self.counted: Counter[str] = Counter()
        self._site = site
        self._sabotage = sabotage
        self._router_sabotage = router_sabotage
        self._registry_shift = registry_shift
        self._router_shift = router_shift
        self._mailbox_ttl = mailbox_ttl
        self._key = ensure_key(site.folder / "token.key")
        self._topics = self._make_topics()
        self.group = unique("router")
        self.redis, self._redis_port = drill_redis(site.folder)
        site.at_end.callback(self.redis.stop)
        self.redis.start()
        self.registry_url = f"http://{LOOPBACK}:{free_port()}"
        self.registry = self._make_registry()
        site.at_end.callback(self.registry.stop)
        self.registry.start()
        self.view = RegistryView(self.registry_url)
        site.at_end.callback(self.view.close)
        self.leases = site.at_end.enter_context(LeaseWatch(self.registry_url))

    @property
    def redis_url(self) -> str:
        return f"redis://{LOOPBACK}:{self._redis_port}"

    @property
    def topic(self) -> Stream:
        return self._topics[OWN]

    # What there is

    def start(self, nodes: int, routers: int = 1) -> list[DrillNode]:
        """Nodes and routers at once."""
        added = self._begin_routers(routers)
        started = self.start_nodes(nodes)
        for router in added:
            router.wait_until_ready()
        return started

    def start_nodes(
        self, count: int, more: Mapping[str, str] | None = None, **options: Any
    ) -> list[DrillNode]:
        """Those that were added, once the registry tells of each; ``more`` settings, ``options`` of `NodeSpec`."""
        if not (self._site.folder / "streams.yaml").exists():
            self._site.make_streams(StreamSpec("prices", table=True))
        settings = {
            "TOKEN_KEY_FILE": str(self._site.folder / "token.key"),
            "TARGETED__REGISTRY_URL": self.registry_url,
            "TARGETED__REDIS_URL": self.redis_url,
            "TARGETED__TOPIC": self.topic.topic,
            "TARGETED__INBOX_TOPIC": self._topics["@inbox"].topic,
            "TARGETED__LOOKUP_TTL": str(self.lookup_ttl),
            "DRAIN_DELAY": "0",
            "DRAIN_WINDOW": "1",
            **(more or {}),
        }
        nodes = self._site.start_nodes(count, settings, **{"sabotage": self._sabotage, **options})
        nodes = nodes[-count:]
        self._site.wait_for(
            lambda: all(self.view.lease_of(node.spec.name) for node in nodes),
            "every node has its inbox",
        )
        return nodes

    def start_router(self) -> Part:
        """One more, ready to route."""
        (added,) = self._begin_routers(1)
        added.wait_until_ready()
        return added

    def connect(
        self,
        name: str,
        nodes: Sequence[DrillNode],
        *,
        most_each: int = 2,
        seed: int = 1,
        quiet: float = 1.5,
        **options: Any,
    ) -> tuple[Worker, int]:
        """A process in which every user has 1 to ``most_each`` connections, to nodes by chance; and how many that are."""
        chance = random.Random(seed)
        clients = [
            self._client(f"{name}-{user}-{number}", user, nodes, chance, options)
            for user in self.names
            for number in range(chance.randint(1, most_each))
        ]
        return self._site.connect(name, clients, within=90.0, quiet=quiet), len(clients)

    @property
    def rate(self) -> float:
        """Messages a second."""
        long = float(os.environ.get(RATE, LONG_RATE))
        return self._site.scale.pick(long=long, short=SHORT_RATE)

    def flow(self, **options: Any) -> UserFlow:
        topic = self.topic
        return UserFlow(topic.topic, topic.partitions, self.rate, len(self.names), **options)

    def forget_registry(self) -> None:
        """Remove all that the registry keeps in Redis, and nothing else."""
        client = redis.Redis.from_url(self.redis_url)
        try:
            for pattern in ("*tidewire:registry*", "*tidewire:sessions:*"):
                keys = list(client.scan_iter(match=pattern, count=1000))
                for start in range(0, len(keys), 500):
                    client.delete(*keys[start : start + 500])
        finally:
            client.close()

    @property
    def dead_letters(self) -> str:
        """Their topic."""
        return self._topics["@dead-letters"].topic

    # What becomes of it

    def note_letters(self, nodes: Sequence[DrillNode]) -> None:
        """Add what these nodes say they did with letters to ``counted``; call it when they are about to be killed, or at the end."""
        for node in nodes:
            if node.is_running:
                self.counted.update(
                    {
                        k: int(n)
                        for k, n in node.metrics().by_label("letters_total", "outcome").items()
                    }
                )

    def are_announced(self, connections: int) -> bool:
        """Whether the registry has every connection there is, and no other."""
        try:
            told = len(self.view.sessions())
        except httpx.HTTPError:
            return False
        return told == connections

    def wait_until_announced(self, connections: int, *, within: float = 30.0) -> float:
        """The seconds until the registry has every connection, and the nodes too."""
        return self._site.wait_for(
            lambda: (
                self.are_announced(connections) and self._site.total("connections") >= connections
            ),
            "the registry has every connection",
            within=within,
        )

    def wait_until_routed(self) -> None:
        self._site.wait_for(
            lambda: self._site.topics.lag(self.topic.topic, self.group) == 0,
            "everything is routed",
            within=SETTLE_TIMEOUT,
        )

    def settle(self) -> None:
        """Wait until nothing comes, for so long that no router can be wrong about anybody any more."""
        self._site.settle(self.lookup_ttl + SECOND_LOOK)

    def log(self) -> Iterator[LogEntry]:
        """What was published to users, and which of it went to which inbox; counts what did so `TWICE`."""
        inbox = self._topics["@inbox"].topic
        yield from published(self._site.topics, self.topic.topic)
        yield from addressed(self._site.topics, inbox, self.topic.topic, self.counted)
        yield from self.leases.tenures

    # Steps

    def _begin_routers(self, count: int) -> list[Part]:
        added = [self._make_router(len(self.routers) + number) for number in range(1, count + 1)]
        for router in added:
            self._site.at_end.callback(router.stop)
            router.begin()
        self.routers += added
        return added

    def _make_topics(self) -> Mapping[str, Stream]:
        topics = {
            name: stream.model_copy(update={"topic": unique(stream.topic)})
            for name, stream in targeted_topics(slots=8).items()
        }
        for stream in topics.values():
            self._site.topics.create(stream.topic, stream.partitions)
        return topics

    def _make_registry(self) -> Part:
        settings = {
            "PORT": self.registry_url.rpartition(":")[2],
            "REDIS_URL": self.redis_url,
            "SLOTS": str(self._topics["@inbox"].partitions),
            "LEASE": str(self.lease),
            "DEV": "true",
            "READY_JSON": "1",
        }
        named = {_REGISTRY + name: text for name, text in settings.items()}
        command = shifted(self._registry_shift, ["tidewire_registry"])
        return service(self._site.folder, "registry", command, named)

    def _make_router(self, number: int) -> Part:
        settings = {
            "KAFKA__BOOTSTRAP": self._site.bootstrap,
            "REDIS_URL": self.redis_url,
            "REGISTRY_URL": self.registry_url,
            "TARGETED_TOPIC": self.topic.topic,
            "INBOX_TOPIC": self._topics["@inbox"].topic,
            "DLQ_TOPIC": self._topics["@dead-letters"].topic,
            "GROUP_ID": self.group,
            "SESSION_TIMEOUT": "6",
            "LOOKUP_TTL": str(self.lookup_ttl),
            "INTERNAL_PORT": "0",
            "DEV": "true",
            "READY_JSON": "1",
        }
        if self._mailbox_ttl is not None:
            settings["MAILBOX_TTL"] = str(self._mailbox_ttl)
        named = {_ROUTER + name: text for name, text in settings.items()}
        command = ["tidewire_router"]
        if self._router_sabotage is not None:
            command = ["drills.sabotage", self._router_sabotage]
        command = shifted(self._router_shift, command)
        return service(self._site.folder, f"router-{number}", command, named)

    def _client(
        self,
        name: str,
        user: str,
        nodes: Sequence[DrillNode],
        chance: random.Random,
        options: Mapping[str, Any],
    ) -> Client:
        urls = [node.ws for node in nodes]
        chance.shuffle(urls)
        return Client(
            name,
            urls,
            [{"channel": OWN, "mode": "every"}],
            user=user,
            token=issue_token(self._key, user, {}, ttl=TOKEN_TTL),
            seed=chance.randrange(1 << 30),
            **options,
        )
