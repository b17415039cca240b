"""Programs in C, such as the load client: compiled once for each state of their sources."""

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .errors import NotBuiltError

__all__ = ["FLAGS", "SOURCES", "built", "compiled"]

SOURCES: Final = Path(__file__).with_name("native")
FLAGS: Final = ("-std=gnu11", "-D_GNU_SOURCE", "-O2")
BUILD_TIMEOUT: Final = 120.0
_LOAD_CLIENT: Final = "tidewire-load"


def built(environment: Mapping[str, str] | None = None) -> Path:
    """The load client's path; see `compiled`."""
    return compiled(SOURCES, _LOAD_CLIENT, environment)


def compiled(sources: Path, name: str, environment: Mapping[str, str] | None = None) -> Path:
    """The path of the program ``name``; compiles it with ``$CC`` (``cc``) unless the cache directory has it.

    ``environment`` stands in for the process's own. Raises `NotBuiltError`.
    """
    environment = os.environ if environment is None else environment
    compiler = shlex.split(environment.get("CC", "")) or ["cc"]
    program = _cache_directory(environment) / f"{name}-{_state(sources, compiler)}"
    if not program.exists():
        try:
            program.parent.mkdir(parents=True, exist_ok=True)
            _build(sources, compiler, program)
        except OSError as error:
            raise NotBuiltError(
                f"cannot write {program} ({error.strerror}): set XDG_CACHE_HOME to a directory that can be written"
            ) from error
    return program


def _cache_directory(environment: Mapping[str, str]) -> Path:
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "tidewire"


def _state(sources: Path, compiler: list[str]) -> str:
    state = hashlib.sha256("\0".join([*compiler, *FLAGS]).encode())
    for source in sorted(sources.glob("*.[ch]")):
        state.update(b"\0%b\0%b" % (source.name.encode(), source.read_bytes()))
    return state.hexdigest()[:16]


def _build(sources: Path, compiler: list[str], program: Path) -> None:
    """Beside its place first, then renamed: of builds at the same time each leaves a whole program."""
    with tempfile.TemporaryDirectory(prefix="build-", dir=program.parent) as directory:
        unfinished = Path(directory, program.name)
        units = map(str, sorted(sources.glob("*.c")))
        _compile([*compiler, *FLAGS, "-o", str(unfinished), *units])
        unfinished.replace(program)


def _compile(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own compiler, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_TIMEOUT,
            check=False,
        )
    except OSError as error:
        raise NotBuiltError(
            f"what measures is compiled where it runs, and there is no C compiler {command[0]!r} "
            f"({error.strerror}): install one (apt install gcc libc6-dev), or name one in CC"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise NotBuiltError(f"{command[0]} took longer than {BUILD_TIMEOUT:g} s") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise NotBuiltError(f"{command[0]} cannot compile what measures (needs Linux): {said}")
