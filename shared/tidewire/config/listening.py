"""Where a service listens: the socket is bound before anything else starts."""

import errno
import ipaddress
import socket

from .errors import ConfigError

__all__ = ["bind", "is_loopback", "url_of"]

_BACKLOG = 2048


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can connect to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int, variable: str) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one.

    Raises ``ConfigError`` that names ``variable``, the setting of the port, and the cure.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as e:
        raise ConfigError(f"{host}: cannot listen there: {e.strerror}; name an address") from None
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
    except OSError as e:
        sock.close()
        raise ConfigError(_why_not(host, port, variable, e)) from None
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket, scheme: str = "http") -> str:
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _why_not(host: str, port: int, variable: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: stop what listens there or set {variable}"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is not ours to take: set {variable} to 1024 or above"
    return f"cannot listen on {host}:{port}: {error.strerror}; set {variable} or the host"
