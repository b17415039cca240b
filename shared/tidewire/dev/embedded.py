"""The embedded broker: noida-db, Kafka and Redis in one small process."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Final

from .broker_start import RunningBroker, RunningRedis, folder, running, wait_until_up
from .errors import MissingProgramError
from .ports import LOOPBACK, free_port
from .probe import broker_answers, port_answers
from .processes import Child, ChildSpec, never, start_child

__all__ = ["embedded_broker", "embedded_redis"]

CURE: Final = "use real Apache Kafka (make: BROKER=kafka, command line: --broker kafka)"


@contextmanager
def embedded_broker(
    data_dir: Path,
    *,
    kafka_port: int | None = None,
    redis: bool = False,
    stopped: Callable[[], bool] = never,
) -> Iterator[RunningBroker]:
    """Kafka, and Redis if asked for, with their data below ``data_dir``; returns once they answer."""
    binary = _binary()

    def start() -> RunningBroker:
        port = kafka_port or free_port()
        redis_port = free_port() if redis else None
        child = _start(binary, data_dir, {"kafka": port, "redis": redis_port})
        wait_until_up(child, lambda: broker_answers(LOOPBACK, port), stopped)
        if redis_port is None:
            return RunningBroker(f"{LOOPBACK}:{port}", None, child.pid, child)
        wait_until_up(child, lambda: port_answers(LOOPBACK, redis_port), stopped)
        url = f"redis://{LOOPBACK}:{redis_port}"
        return RunningBroker(f"{LOOPBACK}:{port}", url, child.pid, child)

    with running(start, fixed_port=bool(kafka_port)) as broker:
        yield broker


@contextmanager
def embedded_redis(
    data_dir: Path, *, stopped: Callable[[], bool] = never
) -> Iterator[RunningRedis]:
    """Redis alone, for a run whose Kafka is somebody else's."""
    binary = _binary()

    def start() -> RunningRedis:
        port = free_port()
        child = _start(binary, data_dir, {"redis": port})
        wait_until_up(child, lambda: port_answers(LOOPBACK, port), stopped)
        return RunningRedis(f"redis://{LOOPBACK}:{port}", child)

    with running(start) as redis:
        yield redis


def _start(binary: Path, data_dir: Path, ports: dict[str, int | None]) -> Child:
    data = folder(data_dir / "embedded" / "data")
    used = {service: port for service, port in ports.items() if port is not None}
    command = [str(binary), "start", "--data-dir", str(data), "--only", ",".join(used)]
    for service, port in used.items():
        command += [f"--{service}-port", str(port)]
    cure = f"if its data is broken, remove {data.parent} to start afresh"
    log = data_dir / "logs" / "embedded.log"
    name = "the embedded broker"
    # SIGTERM when we die: it writes its records down first, and ends within a second.
    return start_child(ChildSpec(name, command, log, cure=cure, dies_by=signal.SIGTERM))


def _binary() -> Path:
    try:
        binary = Path(str(files("noida_db").joinpath("noida-db")))
    except ModuleNotFoundError as error:
        raise MissingProgramError(
            "the embedded broker is not installed: pip install 'tidewire[embedded]', "
            f"or where that has no wheel for this platform {CURE}"
        ) from error
    if not binary.is_file():
        raise MissingProgramError(f"the embedded broker has no program for this platform: {CURE}")
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return binary
