"""Subscribing client for Tidewire: resume, back-off and keyed state over one WebSocket."""

from ._version import __version__
from .backoff import BackoffLimits
from .batches import Batch
from .client import Client, ConnectionState
from .errors import (
    AddressError,
    ClientClosedError,
    MalformedFrameError,
    NotReadyError,
    PermanentCloseError,
    SubscriptionError,
    TidewireClientError,
)
from .messages import Event, Gap
from .options import Options, Surroundings
from .position import Position
from .subscription import StateView, Subscription

__all__ = [
    "AddressError",
    "BackoffLimits",
    "Batch",
    "Client",
    "ClientClosedError",
    "ConnectionState",
    "Event",
    "Gap",
    "MalformedFrameError",
    "NotReadyError",
    "Options",
    "PermanentCloseError",
    "Position",
    "StateView",
    "Subscription",
    "SubscriptionError",
    "Surroundings",
    "TidewireClientError",
    "__version__",
]
