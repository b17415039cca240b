#!/opt/tidewire/bin/python
"""Whether the service of this container is healthy: ``healthcheck [SERVICE] [--path /readyz]``.

SERVICE (gateway, publisher, registry, router) is by default what runs as process 1. Its own settings say where it
answers. Exit codes: 0 it is healthy; 1 it is not, the message says why.
"""

import argparse
import http.client
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path

SERVICES = ("gateway", "publisher", "registry", "router")
_COMMAND = Path("/proc/1/cmdline")
_TIMEOUT = 4.0
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not listened on


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process tells how it is."""

    host: str
    port: int
    is_tls: bool = False


class UnhealthyError(Exception):
    """What is told to who looks into the container's health."""


def service_of(command: Sequence[str]) -> str:
    """The service that a command line is of; raises ``UnhealthyError`` where it is no service."""
    for before, word in pairwise(command):
        name = word.removeprefix("tidewire_")
        is_begun = before == "-m" and name != word
        is_named = (
            before.endswith("tidewire") and name == word
        )  # after `docker-init --`, or just begun
        if name in SERVICES and (is_begun or is_named):
            return name
    raise UnhealthyError(
        f"process 1 is no service ({' '.join(command) or 'it has no command line'}): disable the health check of this container"
    )


def processes_of(command: Sequence[str]) -> int:
    """How many nodes a gateway's command asks for."""
    for word, following in pairwise([*command, ""]):
        option, equals, told = word.partition("=")
        number = told if equals else following
        if option == "--processes" and number.isdigit():
            return int(number)
    return 1


def places(service: str, settings: object, processes: int = 1) -> list[Place]:
    """Where ``service`` answers, by its settings; a gateway of several processes once for each."""
    is_internal = service in {"gateway", "router"}
    host = str(getattr(settings, "internal_host" if is_internal else "host"))
    port = int(getattr(settings, "internal_port" if is_internal else "port"))
    if port == 0:
        variable = f"TIDEWIRE_{service.upper()}__{'INTERNAL_PORT' if is_internal else 'PORT'}"
        raise UnhealthyError(f"{variable} is 0, a free port that nobody else can know: set one")
    is_tls = not is_internal and getattr(getattr(settings, "tls", None), "is_on", False)
    asked = _ANYWHERE.get(host, host)
    return [Place(asked, port + number, is_tls) for number in range(processes)]


def ask(place: Place, path: str) -> None:
    """Raises ``UnhealthyError`` unless the answer is 200 in time."""
    try:
        connection = _connect(place)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            told = answer.read(200).decode("utf-8", "replace").strip()
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise UnhealthyError(f"{place.host}:{place.port}{path}: {error}") from error
    if answer.status != http.HTTPStatus.OK:
        raise UnhealthyError(f"{place.host}:{place.port}{path}: {answer.status} {told}")


def ask_any(found: Sequence[Place], path: str) -> None:
    """One that answers suffices: a node that ended is started again by the process above it."""
    refusals = []
    for place in found:
        try:
            ask(place, path)
        except UnhealthyError as error:
            refusals.append(str(error))
        else:
            return
    raise UnhealthyError("; ".join(refusals))


def _connect(place: Place) -> http.client.HTTPConnection:
    if not place.is_tls:
        return http.client.HTTPConnection(place.host, place.port, timeout=_TIMEOUT)
    # The certificate is for the names that clients use; nobody is between a process and its own container.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(place.host, place.port, timeout=_TIMEOUT, context=context)


def _settings_of(service: str) -> object:
    from tidewire.config.errors import ConfigError
    from tidewire.config.settings import load_settings

    module = import_module(f"tidewire_{service}.settings")
    try:
        return load_settings(getattr(module, f"{service.capitalize()}Settings"))
    except ConfigError as error:
        raise UnhealthyError(str(error)) from error


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="healthcheck", description=__doc__)
    parser.add_argument("service", nargs="?", choices=SERVICES)
    parser.add_argument("--path", default="/healthz")
    options = parser.parse_args(arguments)
    try:
        command = _COMMAND.read_bytes().decode("utf-8", "replace").rstrip("\0").split("\0")
        service = options.service or service_of(command)
        processes = processes_of(command) if service == "gateway" else 1
        ask_any(places(service, _settings_of(service), processes), options.path)
    except UnhealthyError as error:
        sys.stderr.write(f"healthcheck: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
