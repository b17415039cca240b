"""Redis processes that a test does things to: stopped, silent, with a replica, watched by a sentinel, over TLS."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from harness.certificate import Certificate
from harness.ports import LOOPBACK, free_port
from harness.waiting import wait_until
from tidewire.dev.errors import ChildFailedError
from tidewire.dev.probe import port_answers
from tidewire.dev.processes import Child, ChildSpec, start_child

__all__ = ["RedisProcess", "Watched", "redis_process", "watched_redis"]

START_TIMEOUT = 10.0
STOP_TIMEOUT = 5.0
ATTEMPTS = 3
SERVICE = "mailboxes"


@dataclass
class RedisProcess:
    """One redis-server that keeps nothing on disk, at an address that stays the same when it is off and on again."""

    folder: Path
    port: int = field(default_factory=free_port)
    options: Sequence[str] = ()
    is_sentinel: bool = False
    _child: Child | None = None

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}"

    def on(self) -> None:
        if self._child is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [shutil.which("redis-server") or "redis-server", *self.options]
        if not self.is_sentinel:
            command += ["--bind", LOOPBACK, "--dir", str(self.folder)]
            command += ["--save", "", "--appendonly", "no"]
            if "--tls-port" not in self.options:
                command += ["--port", str(self.port)]
        child = start_child(ChildSpec("redis-server", command, self.folder / "redis.log"))
        try:
            child.wait_until_ready(
                lambda: True if port_answers(LOOPBACK, self.port) else None, timeout=START_TIMEOUT
            )
        except BaseException:
            child.stop(STOP_TIMEOUT)
            raise
        self._child = child

    def off(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.stop(STOP_TIMEOUT)

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._child is not None, "it is on"
        os.kill(self._child.pid, signal.SIGKILL)
        self.off()

    @contextlib.contextmanager
    def silenced(self) -> Iterator[None]:
        """Connected, and never an answer."""
        assert self._child is not None, "it is on"
        os.kill(self._child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._child.pid, signal.SIGCONT)

    def tell(self, *words: str) -> str:
        """What `redis-cli` answers to a command."""
        command = [shutil.which("redis-cli") or "redis-cli", "-p", str(self.port), *words]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, timeout=5
        ).stdout.strip()


@contextlib.contextmanager
def redis_process(
    folder: Path, *options: str, tls: Certificate | None = None, clients: Path | None = None
) -> Iterator[RedisProcess]:
    """A redis-server that is on. Over TLS it wants certificates of clients from the authority ``clients``, if there is one."""
    process = _first_that_starts(folder, [*options, *_tls_options(tls, clients)])
    try:
        yield process
    finally:
        process.off()


def _tls_options(tls: Certificate | None, clients: Path | None) -> list[str]:
    if tls is None:
        return []
    files = ["--tls-cert-file", str(tls.certificate), "--tls-key-file", str(tls.key)]
    if clients is None:
        return [*files, "--tls-auth-clients", "no"]
    return [*files, "--tls-ca-cert-file", str(clients)]


def _first_that_starts(folder: Path, options: Sequence[str]) -> RedisProcess:
    """A free port may be taken before the server has it."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _started(folder, options)
        except ChildFailedError as error:
            if not any("in use" in line for line in error.last_lines):
                raise
    return _started(folder, options)


def _started(folder: Path, options: Sequence[str]) -> RedisProcess:
    process = RedisProcess(folder, options=options)
    if "--tls-cert-file" in options:
        process.options = [*options, "--port", "0", "--tls-port", str(process.port)]
    process.on()
    return process


@dataclass
class Watched:
    """A primary, its replica, and the sentinel that makes the second the first when that is gone."""

    primary: RedisProcess
    replica: RedisProcess
    sentinel: RedisProcess

    @property
    def url(self) -> str:
        return f"redis+sentinel://{LOOPBACK}:{self.sentinel.port}/{SERVICE}"


@contextlib.contextmanager
def watched_redis(folder: Path) -> Iterator[Watched]:
    """All three on, the replica level with the primary and known to the sentinel."""
    with ExitStack() as stack:
        primary = stack.enter_context(
            redis_process(folder / "primary", "--repl-diskless-sync-delay", "0")
        )
        replica = stack.enter_context(
            redis_process(folder / "replica", "--replicaof", f"{LOOPBACK} {primary.port}")
        )
        sentinel = RedisProcess(folder / "sentinel", is_sentinel=True)
        sentinel.folder.mkdir(parents=True)
        config = sentinel.folder / "sentinel.conf"
        config.write_text(
            f"bind {LOOPBACK}\nport {sentinel.port}\ndir {sentinel.folder}\n"
            f"sentinel monitor {SERVICE} {LOOPBACK} {primary.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 5000\n"
        )
        sentinel.options = [str(config), "--sentinel"]
        stack.callback(sentinel.off)
        sentinel.on()
        wait_until(
            lambda: "master_link_status:up" in replica.tell("INFO", "replication"),
            what="the replica",
        )
        wait_until(
            lambda: str(replica.port) in sentinel.tell("SENTINEL", "replicas", SERVICE),
            within=20.0,
            what="the sentinel, which asks the primary for its replicas every ten seconds",
        )
        yield Watched(primary, replica, sentinel)
