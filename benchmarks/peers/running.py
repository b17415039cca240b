"""Start a peer in a process of its own, pinned to a core; give it commands; end it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidewire.bench.lines import LineReader
from tidewire.dev.ports import free_port
from tidewire.dev.probe import port_answers
from tidewire.dev.processes import LAUNCHER, Child, ChildSpec

from .errors import PeerError
from .peers import Peer, left_out

__all__ = ["LOGS", "RunningPeer", "running_peer"]

LOGS = Path(".tidewire/bench/logs")
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 3.0


class RunningPeer:
    """A peer that is up at ``url``; ``pid`` is its process."""

    def __init__(self, popen: "subprocess.Popen[bytes]", child: Child, url: str) -> None:
        self.pid = child.pid
        self.url = url
        self._popen = popen
        self._child = child
        self._lines = None if popen.stdout is None else LineReader(popen.stdout.fileno())

    def command(self, text: str, timeout: float) -> int:
        """Give a command and wait for its end; returns how many frames went to each connection.

        Raises `PeerError` where the peer refuses it, `ChildFailedError` where it ended or is not done
        after ``timeout`` seconds.
        """
        self.give(text)
        return self.done(timeout)

    def give(self, text: str) -> None:
        """Give a command without waiting; `done` waits."""
        assert self._popen.stdin is not None, "a peer that is fed by Kafka takes no commands"
        try:
            self._popen.stdin.write(text.encode() + b"\n")
            self._popen.stdin.flush()
        except BrokenPipeError:
            raise self._child.failure("ended") from None

    def done(self, timeout: float) -> int:
        return int(self.answer("done", timeout)["frames"])

    def answer(self, event: str, timeout: float) -> Mapping[str, Any]:
        """The next line that tells ``event``; lines that tell something else are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                told = json.loads(self._line(deadline))
            except ValueError:
                continue
            match told:
                case {"event": "error", "message": message}:
                    raise PeerError(f"{self._child.name} refuses: {message}")
                case {"event": name} if name == event:
                    return dict(told)

    def _line(self, deadline: float) -> bytes:
        assert self._lines is not None, "this peer says nothing"
        try:
            return self._lines.line(deadline)
        except TimeoutError:
            raise self._child.failure("did not answer in time") from None
        except EOFError:
            raise self._child.failure("ended") from None

    def wait_until_accepting(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._child.wait_until_ready(
            lambda: port_answers(host, int(port)) or None, timeout=_START_TIMEOUT
        )

    def close(self) -> None:
        """Ask it to end, kill it if it does not."""
        self._child.stop(_STOP_TIMEOUT)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def running_peer(
    peer: Peer,
    core: int | None,
    *,
    kafka: str | None = None,
    topic: str | None = None,
    logs: Path = LOGS,
) -> Iterator[RunningPeer]:
    """A peer that is up, on ``core`` only, until the block is left. Call from the main thread.

    What it prints, but for answers to commands, goes to ``logs/NAME.log``. Raises `PeerError`, and
    `tidewire.dev.errors.ChildFailedError` where it does not come up.
    """
    if (missing := left_out(peer)) is not None:
        raise PeerError(missing)
    if core is not None and core >= (os.cpu_count() or 1):
        raise PeerError(f"{peer.name} cannot run on core {core}: this machine has fewer")
    filled = peer.filled({"kafka": kafka, "topic": topic, "port": str(free_port())})
    running = _start(filled, core, logs)
    try:
        if filled.address is None:
            running.url = running.answer("ready", _START_TIMEOUT)["url"]
        else:
            running.wait_until_accepting(filled.address)
        yield running
    finally:
        running.close()


def _start(peer: Peer, core: int | None, logs: Path) -> RunningPeer:
    """The launcher becomes the peer, which thus cannot outlive us."""
    logs.mkdir(parents=True, exist_ok=True)
    log_path = logs.resolve() / f"{peer.name}.log"
    words = [str(peer.program), *peer.command[1:]]
    launcher = [sys.executable, "-S", "-E", str(LAUNCHER), str(os.getpid()), "--"]
    with log_path.open("wb") as log:
        popen = subprocess.Popen(  # noqa: S603 - our own commands, or those of the user's file
            [*launcher, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if peer.answers else log,
            stderr=log,
            cwd=peer.folder,
            env={**os.environ, **peer.environment},
            start_new_session=True,
        )
    if core is not None:
        os.sched_setaffinity(popen.pid, {core})
    url = f"ws://{peer.address}{peer.path}"
    return RunningPeer(popen, Child(ChildSpec(peer.name, words, log_path), popen, 0), url)
