"""Where a service listens: the socket is bound before anything else starts."""

import contextlib
import errno
import ipaddress
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from .errors import ConfigError

__all__ = ["bind", "check_internal", "is_loopback", "reserved", "url_of"]

_BACKLOG = 2048


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can connect to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_internal(host: str, key_file: Path | None, prefix: str, setting: str) -> None:
    """Raises ``ValueError`` where others than this machine reach an internal port that asks nobody for a key.

    ``prefix`` is that of the service's settings, ``setting`` the one that says ``host``.
    """
    if key_file is None and not is_loopback(host):
        raise ValueError(
            f"{prefix}{setting}: {host!r} is reached from other machines, and {prefix}INTERNAL_KEY_FILE is not set: whoever "
            "gets there could do all that other services may. Name a file with a key, the same for all services "
            f"(make it with: (umask 077; openssl rand -hex 32 > FILE)), or set {prefix}{setting}=127.0.0.1"
        )


def bind(host: str, port: int, variable: str, *, is_shared: bool = False) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one, ``is_shared`` one that is `reserved`.

    Raises ``ConfigError`` that names ``variable``, the setting of the port, and the cure.
    """
    with _explained(host, port, variable), contextlib.ExitStack() as opened:
        sock = opened.enter_context(_bound(host, port, is_shared=is_shared))
        sock.listen(_BACKLOG)
        sock.setblocking(False)
        opened.pop_all()
        return sock


@contextlib.contextmanager
def reserved(host: str, port: int, variable: str) -> Iterator[int]:
    """A port for several processes that each `bind` it shared; port 0 takes a free one. Linux only.

    Whoever listens there at the beginning, shared or not, is an error, and so is another reservation
    of the same address and port until the block ends: of two, exactly one succeeds. Who wants the port for
    itself gets its own error as soon as one of the processes listens; should it be faster than all of them,
    they get theirs. A program of the same user that shares ports itself cannot be kept away.

    Raises ``ConfigError`` like `bind`.
    """
    if not sys.platform.startswith("linux"):
        raise ConfigError("several processes behind one port need Linux: start one process")
    with contextlib.ExitStack() as kept:
        with _explained(host, port, variable):
            held = kept.enter_context(_bound(host, port, is_shared=True))
        address, number = held.getsockname()[:2]
        with _explained(host, number, variable):
            lock = kept.enter_context(socket.socket(socket.AF_UNIX))
            lock.bind(f"\0tidewire {address} {number}")
            _bound(host, number).close()
        yield number


def url_of(sock: socket.socket, scheme: str = "http") -> str:
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _bound(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def _explained(host: str, port: int, variable: str) -> Iterator[None]:
    try:
        yield
    except socket.gaierror as e:
        raise ConfigError(f"{host}: cannot listen there: {e.strerror}; name an address") from None
    except OSError as e:
        raise ConfigError(_why_not(host, port, variable, e)) from None


def _why_not(host: str, port: int, variable: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there or set {variable}"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is not ours to take: set {variable} to 1024 or above"
    return f"cannot listen on {host}:{port}: {error.strerror}; set {variable} or the host"
