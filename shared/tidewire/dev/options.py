"""What `tidewire dev` was asked to do, checked before anything starts (pure)."""

import math
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from .errors import OptionError

__all__ = ["DEFAULT_DATA_DIR", "DEFAULT_PORT", "MOST_NODES", "DevOptions", "Example", "Included"]

DEFAULT_PORT: Final = 8080
DEFAULT_DATA_DIR: Final = Path(".tidewire")
LARGEST_PORT: Final = 65_535
MOST_NODES: Final = 64


class Example(StrEnum):
    FLIGHTS = "flights"
    NONE = "none"


class Included(StrEnum):
    """Words that ``--broker`` and ``--redis`` take beside an address."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """``port`` 0 is a free one; ``speed`` None is the example's own default."""

    port: int = DEFAULT_PORT
    nodes: int = 1
    broker: str = Included.EMBEDDED
    redis: str = Included.EMBEDDED
    streams: Path | None = None
    example: Example = Example.FLIGHTS
    speed: float | None = None
    data_dir: Path = DEFAULT_DATA_DIR

    def __post_init__(self) -> None:
        """Raise `OptionError` naming the option and the cure."""
        if not 0 <= self.port <= LARGEST_PORT:
            raise OptionError(f"--port {self.port} is not a port: give 1 to {LARGEST_PORT}")
        if not 1 <= self.nodes <= MOST_NODES:
            raise OptionError(f"--nodes {self.nodes} is not possible: give 1 to {MOST_NODES}")
        if self.speed is not None and not (math.isfinite(self.speed) and self.speed > 0):
            raise OptionError(f"--speed {self.speed:g} is not a number above 0: try --speed 300")
        if self.broker not in (Included.EMBEDDED, Included.KAFKA) and not _are_addresses(
            self.broker
        ):
            raise OptionError(
                f"--broker {self.broker!r} is none of embedded, kafka or HOST:PORT[,HOST:PORT…]"
            )
        if self.redis != Included.EMBEDDED and not _is_redis_url(self.redis):
            raise OptionError(
                f"--redis {self.redis!r} is neither embedded nor a URL like redis://127.0.0.1:6379"
            )

    @property
    def serves_example(self) -> bool:
        """Whether the example's streams and dashboard are part of this run."""
        return self.example is Example.FLIGHTS or self.streams is None


def _are_addresses(text: str) -> bool:
    return all(_is_address(part) for part in text.split(","))


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and 0 < int(port) <= LARGEST_PORT


def _is_redis_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("redis", "rediss") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:
        return False
