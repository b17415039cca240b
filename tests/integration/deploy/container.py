"""A process that has an image's root as its own, as a container's process has: number 1, not root, nothing to write on."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from integration.deploy.image_root import USER, Bind, inside

__all__ = ["DIRECTORY", "IMAGE", "Container"]

_PATIENCE = 180.0
_HEALTH_TIMEOUT = 120.0
IMAGE = {
    "PATH": "/opt/tidewire/bin:/usr/local/bin:/usr/bin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
}
DIRECTORY = "/etc/tidewire"
"""What the Dockerfile sets; tests/unit/deploy/test_dockerfile.py compares."""


@dataclass(frozen=True)
class Container:
    """``command`` is the image's entrypoint and what is told to it; ``log`` gets what it writes."""

    name: str
    root: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    binds: Iterable[Bind]
    log: Path
    _started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> None:
        command = inside(
            self.root,
            self.command,
            binds=self.binds,
            user=USER,
            directory=DIRECTORY,
            is_read_only=True,
        )
        with self.log.open("wb") as log:
            self._started.append(
                subprocess.Popen(
                    command,
                    env={**IMAGE, **self.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    @property
    def pid(self) -> int:
        """Of process 1, as this machine counts; 0 while there is none."""
        outer = self._started[-1].pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        return int(children[0]) if children else 0

    def has_entered(self) -> bool:
        """Whether process 1 is the command, and no longer what makes its place."""
        return self.pid != 0 and os.readlink(f"/proc/{self.pid}/root") != "/"

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A command beside process 1, with its root, user and environment, as `docker exec` does it."""
        enter = shutil.which("nsenter") or "nsenter"
        here = ["--target", str(self.pid), "--mount", "--pid", "--root", "--wd"]
        return subprocess.run(
            [enter, *here, "--setuid", str(USER), "--setgid", str(USER), *command],
            env={**IMAGE, **self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=_HEALTH_TIMEOUT,
            check=False,
        )

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._started[-1].poll()

    def wait_for_end(self) -> int:
        """The exit code of process 1."""
        return self._started[-1].wait(_PATIENCE)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        for process in self._started:
            if process.poll() is None:
                # With process 1 all that it started ends, and what waits for it.
                os.kill(self.pid or process.pid, signal.SIGKILL)
            process.wait(_PATIENCE)
