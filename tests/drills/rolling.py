"""The parts of a drill of which two versions run at once: each is replaced, in order, by one of another code."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from harness.ports import LOOPBACK, free_port
from tidewire.identity.issuing import issue_token

from .code import Code, running
from .node import DrillNode
from .part import Part, service
from .site import Site
from .users import TOKEN_TTL, Users

__all__ = ["Departed", "RollingUsers"]

GRACE = 10.0
REBALANCED_WITHIN = 60.0
_PUBLISHER = "TIDEWIRE_PUBLISHER__"


@dataclass(frozen=True, slots=True)
class Departed:
    """A node that was drained: when that began, and how it ended; ``code`` is what has its place since."""

    node: str
    asked_at: float
    exit_code: int
    code: Code


class RollingUsers(Users):
    """What is started has ``code``; ``drain`` is a node's delay and window, in seconds."""

    def __init__(self, site: Site, *, code: Code, drain: tuple[float, float], **options: Any):
        self.code = code
        self.departed: list[Departed] = []
        self._drain = drain
        self._place = site
        super().__init__(site, **options)
        self._publisher_port = free_port()
        self.publisher = self._start_publisher()

    @property
    def publisher_url(self) -> str:
        return f"http://{LOOPBACK}:{self._publisher_port}"

    def token(self, user: str) -> str:
        return issue_token(self._key, user, {}, ttl=TOKEN_TTL)

    def start_nodes(
        self, count: int, more: Mapping[str, str] | None = None, **options: Any
    ) -> list[DrillNode]:
        delay, window = self._drain
        settings = {"DRAIN_DELAY": str(delay), "DRAIN_WINDOW": str(window), **(more or {})}
        return super().start_nodes(count, settings, code=self.code, **options)

    # Replaced by one that has `code`

    def replace_node(self, node: DrillNode) -> None:
        """Drained as Kubernetes does it; the next one has its name and its address."""
        self._place.say(f"SIGTERM {node.spec.name}")
        self.note_letters([node])
        asked_at = time.monotonic()
        node.signal(signal.SIGTERM)
        exit_code = node.wait_for_end(sum(self._drain) + GRACE)
        node.spec = replace(node.spec, code=self.code)
        node.start()
        self._place.wait_for(lambda: self.view.lease_of(node.spec.name), "it has its inbox")
        self.departed.append(Departed(node.spec.name, asked_at, exit_code, self.code))

    def replace_registry(self) -> None:
        self._place.say("the registry is replaced")
        self.registry.leave()
        self.registry = self._make_registry()
        self._place.at_end.callback(self.registry.stop)
        self.registry.start()

    def replace_router(self) -> None:
        """The next one joins before this one leaves."""
        self._place.say("the router is replaced")
        leaving = self.routers[-1]
        added = self.start_router()
        self._wait_until_shared(leaving, added)
        leaving.leave()
        self._wait_until_shared(added)

    def replace_publisher(self) -> None:
        self._place.say("the publisher is replaced")
        self.publisher.leave()
        self.publisher = self._start_publisher()

    # Steps

    def _wait_until_shared(self, *routers: Part) -> None:
        def are_sharing() -> bool:
            held = [int(router.metrics().total("router_partitions")) for router in routers]
            return sum(held) == self.topic.partitions and all(held)

        what = f"{len(routers)} routers have all partitions"
        self._place.wait_for(are_sharing, what, within=REBALANCED_WITHIN)

    def _make_registry(self) -> Part:
        return self._with_code(super()._make_registry())

    def _make_router(self, number: int) -> Part:
        return self._with_code(super()._make_router(number))

    def _start_publisher(self) -> Part:
        site = self._place
        settings = {
            "PORT": str(self._publisher_port),
            "STREAMS": str(site.folder / "streams.yaml"),
            "KAFKA__BOOTSTRAP": site.bootstrap,
            "TARGETED_TOPIC": self.topic.topic,
            "REGISTRY_URL": self.registry_url,
            "DEV": "true",
            "READY_JSON": "1",
        }
        named = {_PUBLISHER + name: text for name, text in settings.items()}
        part = self._with_code(service(site.folder, "publisher", ["tidewire_publisher"], named))
        site.at_end.callback(part.stop)
        part.start()
        return part

    def _with_code(self, part: Part) -> Part:
        return Part(replace(part.spec, child=running(part.spec.child, self.code)))
