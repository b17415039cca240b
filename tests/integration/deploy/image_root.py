"""A root directory made by the steps of deploy/Dockerfile, and processes that have it as theirs.

In the place of the image's base (Python on Debian) there is the machine's own Python under /usr/local with the libraries
that it loads. It needs root, or no directory could be made the root of a process.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["REPOSITORY", "USER", "Bind", "base_root", "files_of", "inside", "run_step", "why_not"]

REPOSITORY = Path(__file__).parents[3]
STEPS = REPOSITORY / "deploy" / "image" / "build.sh"
USER = 10001
_PYTHON = f"python3.{sys.version_info.minor}"
_LIBRARY = Path("usr/local/lib")
_LEFT_OUT = (
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idle_test",
    "_tkinter*",
    "config-*",
)
_PIP = ("ensurepip/_bundled", "/usr/share/python-wheels")
_PROGRAMS = ("unshare", "nsenter", "setpriv", "mount", "ldd", "ldconfig")
_OF_DEBIAN = re.compile(
    r"lib(dl|gcc_s|m|nss_dns|nss_files|pthread|resolv|rt|stdc\+\+|util)\.so\.\d"
)
"""Of the C library, and what that and apt need: every image of Debian has them."""
_STEP_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder or file of the machine, seen at ``inside`` (a path within the root)."""

    source: Path
    inside: str
    is_writable: bool = False


def files_of(root: Path) -> set[str]:
    """Every file and link beneath ``root``, by its path from there."""
    return {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, files in os.walk(root)
        for name in (*files, *(one for one in folders if os.path.islink(f"{folder}/{one}")))
    }


def why_not() -> str | None:
    """What keeps this machine from it; None where nothing does."""
    if not sys.platform.startswith("linux"):
        return "roots of processes are Linux's"
    lacking = [name for name in _PROGRAMS if shutil.which(name, path=_path()) is None]
    if lacking:
        return f"{', '.join(lacking)} is not on this machine"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"this user may not: {tried.stderr.strip()}"


def base_root(root: Path) -> None:
    """Put the machine's Python there, as the official images have theirs: in /usr/local, shared libraries known."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    target = root / _LIBRARY / _PYTHON
    shutil.copytree(stdlib, target, symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (target / "site-packages").mkdir()
    with zipfile.ZipFile(_pip_wheel(stdlib)) as wheel:
        wheel.extractall(target / "site-packages")
    programs = root / "usr/local/bin"
    programs.mkdir(parents=True)
    python = Path(os.path.realpath(sys.executable))
    shutil.copy2(python, programs / _PYTHON)
    (programs / "python3").symlink_to(_PYTHON)
    _copy_libraries(root, [python, *target.rglob("*.so")])
    for folder in ("etc/tidewire", "tmp", "proc", "dev", "run/secrets"):
        (root / folder).mkdir(parents=True)


def run_step(root: Path, tidewire: Path, step: str) -> None:
    """``deploy/image/build.sh STEP``, with the base's Python, the machine's shell and ``tidewire`` as /opt/tidewire."""
    build = tidewire.parent / "build"
    build.mkdir(exist_ok=True)
    _machine_folders(build)
    binds = [
        Bind(Path("/usr"), "/usr"),
        Bind(root / "usr/local", "/usr/local", is_writable=True),
        Bind(Path("/etc"), "/etc"),
        Bind(root / "etc/ld.so.cache", "/etc/ld.so.cache"),
        Bind(tidewire, "/opt", is_writable=True),
        Bind(Path("/dev"), "/dev", is_writable=True),
        Bind(REPOSITORY, "/src"),
        Bind(_cache(), "/root/.cache", is_writable=True),
    ]
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", **pip}
    done = subprocess.run(
        inside(build, ["sh", f"/src/{STEPS.relative_to(REPOSITORY)}", step], binds=binds),
        env=environment,
        capture_output=True,
        text=True,
        timeout=_STEP_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, f"{step}: {done.stdout}{done.stderr}"


def inside(
    root: Path,
    command: Sequence[str],
    *,
    binds: Iterable[Bind] = (),
    user: int = 0,
    directory: str = "/",
    is_read_only: bool = False,
) -> list[str]:
    """The command that runs ``command`` as process 1 with ``root`` as its root, as containers have it.

    Its /tmp is empty and in memory; with ``is_read_only`` nothing else can be written. What it starts ends with it.
    """
    at = shlex.quote(str(root))
    mount, mkdir = _program("mount"), _program("mkdir")
    lines = ["set -e", f"{mount} --bind {at} {at}"]
    if is_read_only:
        lines.append(f"{mount} -t tmpfs -o size=16m,mode=1777,nosuid,nodev,noexec tmpfs {at}/tmp")
    for bind in binds:
        source, target = shlex.quote(str(bind.source)), shlex.quote(f"{root}{bind.inside}")
        make = (
            f"{mkdir} -p {target}" if bind.source.is_dir() else f"test -e {target} || : >{target}"
        )
        lines += [make, f"{mount} --rbind {source} {target}"]
        if not bind.is_writable:
            lines.append(f"{mount} -o remount,bind,ro {target}")
    lines.append(f"{mount} -t proc proc {at}/proc")
    if is_read_only:
        lines.append(f"{mount} -o remount,bind,ro {at}")
    who = f"--setuid={user} --setgid={user} " if user else ""
    guard = f"{_program('setpriv')} --no-new-privs " if user else ""
    enter = f"{_program('unshare')} --root={at} --wd={directory} {who}"
    lines.append(f"exec {guard}{enter}-- {shlex.join(command)}")
    script = "\n".join(lines)
    namespaces = ["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    return [_program("unshare"), *namespaces, _program("sh"), "-c", script]


def _pip_wheel(stdlib: Path) -> Path:
    """The pip that comes with the machine's Python, as one comes with the base."""
    found = [wheel for place in _PIP for wheel in (stdlib / place).glob("pip-*.whl")]
    assert found, f"no pip comes with {sys.executable}: install the package that has ensurepip"
    return found[0]


def _copy_libraries(root: Path, binaries: Sequence[Path]) -> None:
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", _told("ldd", *map(str, binaries)))}
    known = re.findall(r"^\s(\S+) \(libc6,.*=> (\S+)$", _told("ldconfig", "-p"), re.MULTILINE)
    found |= {Path(path) for name, path in known if _OF_DEBIAN.fullmatch(name)}
    folders = {"/usr/local/lib"}
    for library in found:
        is_ours = library.is_relative_to(sys.base_prefix) and sys.base_prefix != "/usr"
        target = root / (_LIBRARY / library.name if is_ours else str(library).lstrip("/"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(os.path.realpath(library), target)
        folders.add("/" + str(target.parent.relative_to(root)))
    (root / "etc").mkdir(exist_ok=True)
    (root / "etc/ld.so.conf").write_text("".join(f"{folder}\n" for folder in sorted(folders)))
    subprocess.run([_program("ldconfig"), "-r", str(root)], check=True, capture_output=True)


def _told(program: str, *words: str) -> str:
    command = [_program(program), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _machine_folders(build: Path) -> None:
    """Links such as /bin → usr/bin, as this machine has them, and empty folders to mount on."""
    for name in ("bin", "sbin", "lib", "lib64"):
        place = Path("/") / name
        if place.is_symlink() and not (build / name).is_symlink():
            (build / name).symlink_to(os.readlink(place))
    for name in ("proc", "tmp", "root/.cache"):
        (build / name).mkdir(parents=True, exist_ok=True)


def _cache() -> Path:
    """Of pip; what it keeps spares the download."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place.mkdir(parents=True, exist_ok=True)
    return place


def _program(name: str) -> str:
    found = shutil.which(name, path=_path())
    assert found is not None, name
    return found


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
