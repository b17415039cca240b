"""Router and registry as processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

__all__ = ["RouterProcess", "refusal", "registry_process", "router_process"]

_READY_TIMEOUT = 30.0
_END_TIMEOUT = 12.0


@dataclass
class RouterProcess:
    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(_END_TIMEOUT)

    def terminate(self) -> int:
        """Its exit code, once it has drained."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_END_TIMEOUT)

    def metric(self, line: str) -> float:
        """The value of a line of the exposition, named with its labels and without the prefix."""
        text = httpx.get(f"{self.url}/metrics", timeout=10.0).text
        return next(
            float(found.rpartition(" ")[2])
            for found in text.splitlines()
            if found.startswith(f"tidewire_{line} ")
        )


@contextmanager
def router_process(**variables: str) -> Iterator[RouterProcess]:
    """A router that is ready; killed at the end if it still runs."""
    process = _start("tidewire_router", _router_environment(READY_JSON="1", **variables))
    try:
        ready = _ready(process)
        assert ready == {"event": "ready", "internal": ready["internal"], "pid": process.pid}
        yield RouterProcess(process, ready["internal"])
    finally:
        process.kill()
        process.communicate(timeout=_END_TIMEOUT)


@contextmanager
def registry_process(redis_url: str) -> Iterator[str]:
    """The URL of a registry that is ready, whose leases outlast a test."""
    settings = {"PORT": "0", "REDIS_URL": redis_url, "READY_JSON": "1", "LEASE": "600"}
    environment = _environment("TIDEWIRE_REGISTRY__", settings)
    process = _start("tidewire_registry", environment)
    try:
        yield _ready(process)["http"]
    finally:
        process.kill()
        process.communicate(timeout=_END_TIMEOUT)


def refusal(code: int, **variables: str) -> str:
    """What a router says that does not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "tidewire_router"],
        env=_router_environment(**variables),
        capture_output=True,
        text=True,
        timeout=_READY_TIMEOUT,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


def _router_environment(**variables: str) -> dict[str, str]:
    return _environment("TIDEWIRE_ROUTER__", {"INTERNAL_PORT": "0", **variables})


def _environment(prefix: str, settings: dict[str, str]) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
    return own | {prefix + name: text for name, text in settings.items()}


def _start(module: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", module],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ready(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"it ended before it was ready, with code {process.wait(_END_TIMEOUT)}"
    ready: dict[str, str] = json.loads(line)
    return ready
