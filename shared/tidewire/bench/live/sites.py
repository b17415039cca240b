"""What is measured: a gateway's address, and where its processor time and memory are read."""

import re
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Final, Protocol
from urllib.parse import urlsplit

from ..errors import BenchError, PlanError
from ..usage import cpu_of, resident_bytes

__all__ = ["Meter", "MetricsMeter", "ProcessMeter", "Site", "Usage", "check_url", "shares_of"]

ANSWER_TIMEOUT: Final = 5.0
MOST_BYTES: Final = 4 * 1024 * 1024
_SAMPLE: Final = re.compile(
    r"^process_(cpu_seconds_total|resident_memory_bytes)(?:\{[^}]*\})? (\S+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds since the processes began, and their memory now."""

    cpu_seconds: float
    resident_bytes: int


class Meter(Protocol):
    """Where one node's usage is read; ``read`` raises `BenchError`."""

    @property
    def name(self) -> str: ...

    def read(self) -> Usage: ...


@dataclass(frozen=True, slots=True)
class ProcessMeter:
    """A node on this machine."""

    pid: int

    @property
    def name(self) -> str:
        return f"process {self.pid}"

    def read(self) -> Usage:
        return Usage(cpu_of(self.pid).total, resident_bytes(self.pid))


@dataclass(frozen=True, slots=True)
class MetricsMeter:
    """A node anywhere, by ``/metrics`` of its internal port; its clock ticks every 10 ms."""

    internal: str

    def __post_init__(self) -> None:
        if urlsplit(self.internal).scheme not in ("http", "https"):
            raise PlanError(f"--internal {self.internal}: give http://HOST:PORT of the node")

    @property
    def name(self) -> str:
        return self.internal

    def read(self) -> Usage:
        address = f"{self.internal.rstrip('/')}/metrics"
        try:
            with urllib.request.urlopen(address, timeout=ANSWER_TIMEOUT) as answer:  # noqa: S310 - checked above
                text = answer.read(MOST_BYTES).decode()
        except (OSError, HTTPException, ValueError) as error:
            raise BenchError(
                f"--internal {self.internal}: no metrics there ({error}): give the address of the "
                "node's internal port"
            ) from None
        values = {name: float(value) for name, value in _SAMPLE.findall(text)}
        if len(values) != 2:
            raise BenchError(f"--internal {self.internal}: its metrics tell nothing of the process")
        return Usage(values["cpu_seconds_total"], int(values["resident_memory_bytes"]))


@dataclass(frozen=True, slots=True)
class Site:
    """One address, and the meters of the nodes behind it; without any, ``unmetered`` says why."""

    url: str
    meters: Sequence[Meter] = ()
    unmetered: str = ""

    def usage(self) -> Usage | None:
        """The sum over its nodes. Raises `BenchError` where one cannot be read."""
        if not self.meters:
            return None
        read = [meter.read() for meter in self.meters]
        return Usage(sum(u.cpu_seconds for u in read), sum(u.resident_bytes for u in read))


def check_url(url: str) -> None:
    """Raises `PlanError` for an address that the load client cannot connect to."""
    parts = urlsplit(url)
    if parts.scheme == "wss":
        raise PlanError(
            f"--url {url}: the load client speaks no TLS: measure at the port behind it, with ws://"
        )
    if parts.scheme != "ws" or not parts.hostname:
        raise PlanError(f"--url {url}: is no address: give ws://HOST:PORT/v1/ws")


def shares_of(connections: int, sites: int) -> list[int]:
    """How many connections each site gets; raises `PlanError` where one would get none."""
    if connections < sites:
        raise PlanError(f"--connections {connections}: give at least {sites}, one for each --url")
    each, more = divmod(connections, sites)
    return [each + (number < more) for number in range(sites)]
