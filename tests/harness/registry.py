"""The registry as a process."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["RegistryProcess", "registry_environment", "registry_process"]


@dataclass(frozen=True)
class RegistryProcess:
    url: str
    process: subprocess.Popen[str]
    errors: Path

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, number: int) -> list[str]:
        """End it by a signal, with exit code 0; returns the lines of its log."""
        self.process.send_signal(number)
        self.process.wait(10)
        errors = self.errors.read_text()
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors
        return errors.splitlines()


def registry_environment(**settings: str) -> dict[str, str]:
    """Settings by their names without ``TIDEWIRE_REGISTRY__``."""
    own = {k: v for k, v in os.environ.items() if not k.startswith("TIDEWIRE_")}
    return own | {f"TIDEWIRE_REGISTRY__{name}": text for name, text in settings.items()}


@contextmanager
def registry_process(folder: Path, redis_url: str, **settings: str) -> Iterator[RegistryProcess]:
    """A registry that is ready, on a free port; killed at the end if it still runs."""
    told = {"PORT": "0", "READY_JSON": "1", "REDIS_URL": redis_url, **settings}
    with tempfile.NamedTemporaryFile(
        "w", dir=folder, prefix="registry-", suffix=".stderr", delete=False
    ) as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidewire_registry"],
            env=registry_environment(**told),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    errors = Path(stderr.name)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, errors.read_text()
        ready = json.loads(line)
        assert ready == {"event": "ready", "http": ready["http"], "pid": process.pid}
        yield RegistryProcess(ready["http"], process, errors)
    finally:
        process.kill()
        process.communicate(timeout=10)
