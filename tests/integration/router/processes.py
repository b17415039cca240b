"""Routers as processes of their own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

__all__ = ["RouterProcess", "refusal", "router_process"]

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
    process = subprocess.Popen(
        [sys.executable, "-m", "tidewire_router"],
        env=_environment(READY_JSON="1", **variables),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"it ended before it was ready, with code {process.wait(_END_TIMEOUT)}"
        ready = json.loads(line)
        assert ready == {"event": "ready", "internal": ready["internal"], "pid": process.pid}
        yield RouterProcess(process, ready["internal"])
    finally:
        process.kill()
        process.communicate(timeout=_END_TIMEOUT)


def refusal(code: int, **variables: str) -> str:
    """What a router says that does not start."""
    ended = subprocess.run(
        [sys.executable, "-m", "tidewire_router"],
        env=_environment(**variables),
        capture_output=True,
        text=True,
        timeout=_READY_TIMEOUT,
        check=False,
    )
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    return ended.stderr


def _environment(**variables: str) -> dict[str, str]:
    own = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
    settings = {"INTERNAL_PORT": "0", **variables}
    return own | {f"TIDEWIRE_ROUTER__{name}": text for name, text in settings.items()}
