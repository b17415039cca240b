"""What peers need before their first start: a compiled program, installed packages."""

import os
import subprocess
import sys
from pathlib import Path

from tidewire.bench.load_build import compiled
from tidewire.dev.kafka_jars import program

from .errors import PeerError

__all__ = ["compile_send_loop", "install_node_ws"]

_SEND_LOOP = Path(__file__).with_name("send_loop")
_NO_NODE = "install Node.js 20 or later"
_PATIENCE = 120.0


def compile_send_loop() -> Path:
    """The program in the user's cache; compiled where its sources have changed since."""
    return compiled(_SEND_LOOP, "tidewire-send-loop")


def install_node_ws(folder: Path) -> None:
    """``npm ci``, unless it was done for this lock file."""
    lock = folder / "package-lock.json"
    installed = folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = program("npm", _NO_NODE)
    sys.stderr.write(f"installing {folder.name}'s packages (npm ci)\n")
    _run([npm, "ci", "--silent", "--no-audit", "--no-fund"], folder)
    os.utime(installed)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise PeerError(f"{command[0]} did not end within {_PATIENCE:g} s") from error
    if done.returncode:
        raise PeerError(f"{command[0]} failed in {folder}:\n{done.stderr or done.stdout}")
