"""What a measurement was asked to do, checked before anything is opened (pure)."""

from dataclasses import dataclass
from typing import Final

from ...protocol.channels import parse_channel
from ...protocol.codes import Mode
from ...protocol.errors import ProtocolError
from ..errors import PlanError

__all__ = ["Plan", "Publication"]

MOST_CONNECTIONS: Final = 20_000
LONGEST: Final = 3600.0
HIGHEST_RATE: Final = 100_000.0
MOST_KEYS: Final = 100_000
LEAST_DATA_BYTES: Final = 50
MOST_DATA_BYTES: Final = 900_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Events that the measurement publishes itself: ``rate`` a second, over ``keys`` keys in turn."""

    stream: str
    rate: float
    keys: int = 100
    data_bytes: int = 150

    def __post_init__(self) -> None:
        """Raise `PlanError` naming the option and the cure."""
        _require(0 < self.rate <= HIGHEST_RATE, "--publish", self.rate, "above 0", HIGHEST_RATE)
        _require(1 <= self.keys <= MOST_KEYS, "--keys", self.keys, "1", MOST_KEYS)
        _require(
            LEAST_DATA_BYTES <= self.data_bytes <= MOST_DATA_BYTES,
            "--data-bytes",
            self.data_bytes,
            f"{LEAST_DATA_BYTES}",
            MOST_DATA_BYTES,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``mode`` and ``interval_ms`` None: what the stream gives; ``connect_rate`` 0: as fast as it goes.

    ``seconds`` and ``handshake_seconds`` (None: no handshakes are measured) are durations.
    """

    channel: str
    connections: int = 200
    seconds: float = 10.0
    mode: Mode | None = None
    interval_ms: int | None = None
    connect_rate: float = 0.0
    publication: Publication | None = None
    handshake_seconds: float | None = None

    def __post_init__(self) -> None:
        """Raise `PlanError` naming the option and the cure."""
        most = MOST_CONNECTIONS
        _require(1 <= self.connections <= most, "--connections", self.connections, "1", most)
        _require(0 < self.seconds <= LONGEST, "--seconds", self.seconds, "above 0", LONGEST)
        churn = self.handshake_seconds
        if churn is not None:
            _require(0 < churn <= LONGEST, "--handshakes", churn, "above 0", LONGEST)
        if self.interval_ms is not None and self.interval_ms < 0:
            raise PlanError(f"--interval {self.interval_ms}: give milliseconds, from 0")
        rate = self.connect_rate
        _require(0 <= rate <= HIGHEST_RATE, "--connect-rate", rate, "0", HIGHEST_RATE)
        self._check_channel()

    def _check_channel(self) -> None:
        try:
            stream = parse_channel(self.channel).stream
        except ProtocolError as error:
            raise PlanError(f"CHANNEL {self.channel!r}: {error}") from None
        if self.publication is not None and self.publication.stream != stream:
            raise PlanError(
                f"--stream {self.publication.stream}: what is published must reach the connections, and "
                f"{self.channel} is of stream {stream}: give --stream {stream}, or another CHANNEL"
            )


def _require(is_met: bool, option: str, value: float, least: str, most: float) -> None:
    if not is_met:
        raise PlanError(f"{option} {value:g} is not possible: give {least} to {most:,.0f}")
