"""One node's process: started, heard until it is ready, started again when it ends by itself."""

import asyncio
import contextlib
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tidewire.restarts import STEADY_AFTER, longest_pause
from tidewire.telemetry.logging import get_logger

from .errors import UnusableNodeError
from .plan import NodePlan, environment_of

__all__ = ["NodeProcess", "node_command"]

START_TIMEOUT: Final = 60.0
UNUSABLE: Final = 2
_CHUNK: Final = 65_536

_log = get_logger(__name__)


def node_command() -> list[str]:
    """Starts a node that shares its public port and ends with us."""
    return [sys.executable, "-m", "tidewire_gateway", "--child-of", str(os.getpid())]


class NodeProcess:
    """`run` keeps it running until `end` was called.

    ``ready`` is what its ready line says, with its name, while it serves. A ready node gets the signals of
    `end`; one that is not serves nobody and is killed. Its internal port is the same after each start.
    """

    def __init__(
        self, plan: NodePlan, command: Sequence[str], on_ready: Callable[[], None]
    ) -> None:
        self.ready: dict[str, Any] | None = None
        self._plan = plan
        self._internal_port = plan.internal_port
        self._command = command
        self._on_ready = on_ready
        self._was_ready = False
        self._ends = 0
        self._ending = asyncio.Event()
        self._process: Process | None = None

    @property
    def name(self) -> str:
        return self._plan.name

    def end(self, number: signal.Signals) -> None:
        """Let it end by this signal, for good. May be called again with a harder one."""
        self._ending.set()
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            self._process.send_signal(number if self.ready is not None else signal.SIGKILL)

    async def run(self) -> None:
        """Return once it has ended for good.

        Raises `UnusableNodeError` where its first start fails because of its configuration. A later start that
        fails for the same reason is tried again: others may serve meanwhile.
        """
        while not self._ending.is_set():
            how = await self._serve()
            if self._ending.is_set():
                break
            pause = random.uniform(0, longest_pause(self._ends))  # noqa: S311 - no secret
            _log.warning(
                "node ended by itself", node=self.name, how=how, starts_again_in=round(pause, 3)
            )
            try:
                await asyncio.wait_for(self._ending.wait(), pause)
            except TimeoutError:
                continue

    async def _serve(self) -> str:
        """Start it and wait for its end; how it ended."""
        began_at = asyncio.get_running_loop().time()
        try:
            process = await self._start()
        except OSError as error:  # no memory, processes or descriptors left
            self._ends += 1
            return f"not started: {error.strerror}"
        self._process = process
        try:
            code = await self._attend(process)
        finally:
            self.ready = None
            if process.returncode is None:  # we are being cancelled
                process.kill()
                await process.wait()
        if code == UNUSABLE and not (self._was_ready or self._ending.is_set()):
            raise UnusableNodeError(self.name)
        is_steady = asyncio.get_running_loop().time() - began_at >= STEADY_AFTER
        self._ends = 1 if is_steady else self._ends + 1
        return f"exit code {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"

    async def _start(self) -> Process:
        plan = replace(self._plan, internal_port=self._internal_port)
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=PIPE,
            env=environment_of(plan, os.environ),
            start_new_session=True,  # a terminal's Ctrl-C reaches only us
        )

    async def _attend(self, process: Process) -> int:
        """Its exit code."""
        if self._ending.is_set():  # told while it was being started
            process.kill()
        assert process.stdout is not None
        try:
            async with asyncio.timeout(START_TIMEOUT):
                ready = await _ready_line(process.stdout)
        except TimeoutError:
            _log.warning("node was not ready in time", node=self.name, timeout=START_TIMEOUT)
            process.kill()
            ready = None
        if ready is None:
            self._internal_port = self._plan.internal_port  # a free one may be taken by now
        elif not self._ending.is_set():
            self._is_ready(ready)
        while await process.stdout.read(_CHUNK):
            pass
        return await process.wait()

    def _is_ready(self, ready: dict[str, Any]) -> None:
        self.ready = {"node": self.name} | {k: v for k, v in ready.items() if k != "event"}
        self._was_ready = True
        self._internal_port = urlsplit(ready["internal"]).port or 0
        _log.info("node is ready", node=self.name, pid=ready["pid"], internal=ready["internal"])
        self._on_ready()


async def _ready_line(output: asyncio.StreamReader) -> dict[str, Any] | None:
    """The first line that says so; None where the output ends without one."""
    while line := await output.readline():
        if line.startswith(b"{"):
            message = orjson.loads(line)
            if message.get("event") == "ready":
                return dict(message)
    return None
