"""Redis on this machine: the machine's own redis-server."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from .broker_start import RunningRedis, folder, running, wait_until_up
from .kafka_jars import program
from .ports import LOOPBACK, free_port
from .probe import port_answers
from .processes import ChildSpec, never, start_child

__all__ = ["redis_server"]

CURE: Final = "install Redis, or name one that runs (--redis redis://HOST:PORT)"


@contextmanager
def redis_server(data_dir: Path, *, stopped: Callable[[], bool] = never) -> Iterator[RunningRedis]:
    """redis-server with its data below ``data_dir``; returns once it answers."""
    program_path = program("redis-server", CURE)
    home = folder(data_dir / "redis")

    def start() -> RunningRedis:
        port = free_port()
        command = [program_path, "--bind", LOOPBACK, "--port", str(port), "--dir", str(home)]
        command += ["--appendonly", "yes", "--daemonize", "no"]
        log = data_dir / "logs" / "redis.log"
        cure = f"if its data is broken, remove {home} to start afresh"
        spec = ChildSpec("redis-server", command, log, cure=cure, dies_by=signal.SIGTERM)
        child = start_child(spec)
        wait_until_up(child, lambda: port_answers(LOOPBACK, port), stopped)
        return RunningRedis(f"redis://{LOOPBACK}:{port}", child)

    with running(start) as redis:
        yield redis
