"""Who stands beside the gateway: how each is started, subscribed to and recognised."""

import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from .build import compile_send_loop, install_node_ws
from .errors import PeerError

__all__ = ["BUILT_IN", "Feed", "Peer", "left_out"]

Feed = Literal["commands", "kafka"]

_ROOT = Path(__file__).parents[2]
_NODE_WS = Path(__file__).with_name("node_ws")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server as the harness and its load client see it.

    ``{kafka}``, ``{topic}`` and ``{port}`` in ``command``, ``environment`` and ``address`` are filled in
    when it is started. Fed by "commands" it makes its own frames on command; fed by "kafka" it sends
    what is written to the topic. ``script`` is what a client sends after the upgrade, a text frame
    each; it is subscribed once it has seen ``ready`` (empty: at once), and each ``event`` that it sees
    is an event. With ``address`` (HOST:PORT) the peer is up when connections are accepted there, without
    it when it has printed its ready line. ``install`` tells how to get a program that is missing.
    """

    name: str
    command: tuple[str, ...]
    feed: Feed
    script: tuple[str, ...] = ()
    ready: str = ""
    event: str = '"at":'
    path: str = "/ws"
    address: str | None = None
    folder: Path = _ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    install: str = ""

    @property
    def program(self) -> str | None:
        """The path of what ``command`` starts with; None where it is not on this machine."""
        name = self.command[0]
        return shutil.which(str(self.folder / name) if "/" in name else name)

    @property
    def answers(self) -> bool:
        """Whether it speaks the control protocol on its stdout."""
        return self.feed == "commands" or self.address is None

    def filled(self, given: Mapping[str, str | None]) -> "Peer":
        """With the placeholders filled in; raises `PeerError` where one is used that is None."""

        def fill(text: str) -> str:
            for name, content in given.items():
                if (place := f"{{{name}}}") not in text:
                    continue
                if content is None:
                    raise PeerError(f"{self.name} cannot be started: nobody told its {place}")
                text = text.replace(place, content)
            return text

        return replace(
            self,
            command=tuple(map(fill, self.command)),
            environment={name: fill(text) for name, text in self.environment.items()},
            address=None if self.address is None else fill(self.address),
        )


def left_out(peer: Peer) -> str | None:
    """Why a peer is left out, and what helps; None for one that can run."""
    if peer.program is not None:
        return None
    cure = f"; to get it: {peer.install}" if peer.install else ""
    return f"{peer.name} is left out: `{peer.command[0]}` is not on this machine{cure}"


def _send_loop() -> Peer:
    return Peer("send-loop", (str(compile_send_loop()), "--port", "0"), "commands")


def _node_ws() -> Peer:
    install_node_ws(_NODE_WS)
    return Peer("node-ws", ("node", "server.mjs", "--port", "0"), "commands", folder=_NODE_WS)


def _python(name: str) -> Peer:
    module = f"benchmarks.peers.{name.replace('-', '_')}"
    return Peer(name, (sys.executable, "-m", module, "--port", "0"), "commands")


def _baseline(writer: str) -> Peer:
    command = (sys.executable, "-m", "benchmarks.baseline", "--port", "0")
    source = ("--kafka", "{kafka}", "--topic", "{topic}", "--writer", writer)
    return Peer(f"fastapi-{writer}", command + source, "kafka")


BUILT_IN: Mapping[str, Callable[[], Peer]] = {
    "send-loop": _send_loop,
    "uvloop-write": lambda: _python("uvloop-write"),
    "node-ws": _node_ws,
    "websockets-broadcast": lambda: _python("websockets-broadcast"),
    "fastapi-queue": lambda: _baseline("queue"),
    "fastapi-await": lambda: _baseline("await"),
}
"""By name; making one compiles or installs what it needs, once. The first is the limit, the second Python's."""
