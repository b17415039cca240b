"""Deadlines and bounds of a client, and the seams to clock and chance."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ssl import SSLContext

from .backoff import BackoffLimits

__all__ = ["Options", "Surroundings"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Chance and time; tests hand in their own."""

    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    monotonic: Callable[[], float] = time.monotonic
    wall_ns: Callable[[], int] = time.time_ns


@dataclass(frozen=True, slots=True)
class Options:
    """Durations in seconds.

    ``connect_timeout`` covers TCP, TLS, handshake and `welcome`, and a call of ``get_token``.
    ``request_timeout``: a request without an answer for so long ends the connection.
    ``ready_timeout``: how long `await subscription` waits, reconnections included.
    ``buffer_events``: what one subscription holds for a slow consumer (README, "Slow consumers").
    ``frame_bytes``: the largest frame taken.
    ``ssl``: whom to trust behind ``wss://``; None: those the system trusts, or who stand in the file that ``SSL_CERT_FILE`` names.
    """

    connect_timeout: float = 10.0
    request_timeout: float = 10.0
    ready_timeout: float = 30.0
    close_timeout: float = 2.0
    buffer_events: int = 10_000
    frame_bytes: int = 16 * 1024 * 1024
    ssl: SSLContext | None = None
    backoff: BackoffLimits = field(default_factory=BackoffLimits)
    surroundings: Surroundings = field(default_factory=Surroundings)
