"""Kafka and Redis of a run: started here, or somebody else's that answer."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from .brokers import apache_kafka, embedded_broker, embedded_redis, redis_server
from .data_dir import DataDir
from .errors import DevError, StoppedError
from .options import DevOptions, Included
from .probe import broker_answers, port_answers
from .processes import Child, stop_children
from .signals import StopRequest
from .streams import EmbeddedEpoch

__all__ = ["Infrastructure", "infrastructure"]

ANSWER_TIMEOUT: Final = 10.0
ANSWER_INTERVAL: Final = 0.2
STOP_TIMEOUT: Final = 5.0
REDIS_PORT: Final = 6379
# The embedded broker writes everything down anew every second or two while records come in: what it
# holds must stay small. It compacts and removes closed segments only; its own never close.
EMBEDDED_TOPICS: Final = {
    "segment.bytes": str(1 << 20),
    "retention.bytes": str(4 << 20),
    "min.compaction.lag.ms": "60000",
}
EMBEDDED_FETCH_PAUSE: Final = 0.02
"""It answers "nothing" at once: without a rest an idle reader and it would keep most of a core busy."""


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """``epoch``: of streams, where the broker has no topic ids. ``topic_overrides``: of topics made here.

    ``fetch_pause`` (seconds): of readers, where the broker has no long polls.
    """

    bootstrap: str
    redis_url: str
    children: tuple[Child, ...]
    epoch: str | None = None
    topic_overrides: Mapping[str, str] = field(default_factory=dict)
    fetch_pause: float = 0.0


@contextmanager
def infrastructure(
    options: DevOptions, data_dir: DataDir, stop: StopRequest
) -> Iterator[Infrastructure]:
    """Kafka and Redis that answer, until exit."""
    with ExitStack() as stack:
        if options.redis != Included.EMBEDDED:
            _require_redis(options.redis)
        match options.broker:
            case Included.EMBEDDED:
                running = _embedded(options, data_dir, stop, stack)
            case Included.KAFKA:
                running = _apache(options, data_dir, stop, stack)
            case addresses:
                running = _external(addresses, options, data_dir, stop, stack)
        stack.callback(stop_children, running.children, STOP_TIMEOUT)  # at once, not in turn
        yield running


def _embedded(
    options: DevOptions, data_dir: DataDir, stop: StopRequest, stack: ExitStack
) -> Infrastructure:
    epochs = EmbeddedEpoch(data_dir)
    epoch = epochs.take()
    own_redis = options.redis == Included.EMBEDDED
    ended_in_order: list[Child] = []

    def keep_epoch() -> None:
        if ended_in_order and ended_in_order[0].exit_code() == 0:
            epochs.keep(epoch)

    stack.callback(keep_epoch)
    broker = stack.enter_context(embedded_broker(data_dir.root, redis=own_redis, stopped=stop))
    ended_in_order.append(broker.child)
    redis_url = broker.redis_url or options.redis
    return Infrastructure(
        broker.bootstrap,
        redis_url,
        (broker.child,),
        epoch,
        topic_overrides=EMBEDDED_TOPICS,
        fetch_pause=EMBEDDED_FETCH_PAUSE,
    )


def _apache(
    options: DevOptions, data_dir: DataDir, stop: StopRequest, stack: ExitStack
) -> Infrastructure:
    children: tuple[Child, ...] = ()
    redis_url = options.redis
    if redis_url == Included.EMBEDDED:  # first: its absence shows at once, the broker takes seconds
        redis = stack.enter_context(redis_server(data_dir.root, stopped=stop))
        redis_url, children = redis.url, (redis.child,)
    broker = stack.enter_context(apache_kafka(data_dir.root, stopped=stop))
    return Infrastructure(broker.bootstrap, redis_url, (*children, broker.child))


def _external(
    addresses: str, options: DevOptions, data_dir: DataDir, stop: StopRequest, stack: ExitStack
) -> Infrastructure:
    _require_broker(addresses, stop)
    if options.redis != Included.EMBEDDED:
        return Infrastructure(addresses, options.redis, ())
    redis = stack.enter_context(embedded_redis(data_dir.root, stopped=stop))
    return Infrastructure(addresses, redis.url, (redis.child,))


def _require_broker(addresses: str, stop: StopRequest) -> None:
    pairs = [
        (host, int(port)) for host, _, port in (a.rpartition(":") for a in addresses.split(","))
    ]
    deadline = time.monotonic() + ANSWER_TIMEOUT
    while not any(broker_answers(host, port) for host, port in pairs):
        if stop.wait(ANSWER_INTERVAL):
            raise StoppedError(f"stopped while waiting for the broker at {addresses}")
        if time.monotonic() > deadline:
            raise DevError(
                f"no Kafka broker answers at {addresses} (without TLS): start it, "
                "or choose --broker embedded"
            )


def _require_redis(url: str) -> None:
    address = urlsplit(url)
    if not port_answers(address.hostname or "", address.port or REDIS_PORT):
        raise DevError(f"nothing answers at {url}: start Redis, or choose --redis embedded")
