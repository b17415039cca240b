"""What is revoked: asked for before a node listens, and followed for as long as it runs."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from fastapi import FastAPI

from tidewire.http.serving import end_with
from tidewire.kafka.ports import RecordReader
from tidewire.revocation.reading import RevocationReader
from tidewire.telemetry.metrics import Metrics

from .settings import GatewaySettings

__all__ = ["Lifespan", "known_before", "make_revocations"]

Lifespan = Callable[[FastAPI], contextlib.AbstractAsyncContextManager[Any]]


def make_revocations(
    settings: GatewaySettings, make_reader: Callable[[], RecordReader], metrics: Metrics
) -> RevocationReader:
    return RevocationReader(
        make_reader(),
        settings.revocations_topic,
        poll_interval=settings.topic_poll_interval,
        metrics=metrics,
    )


def known_before(lifespan: Lifespan, revocations: RevocationReader | None) -> Lifespan:
    """``lifespan`` begins, and the node listens, once it is known what is revoked, or Kafka has taken too long to tell."""
    if revocations is None:
        return lifespan

    @contextlib.asynccontextmanager
    async def followed(app: FastAPI) -> AsyncIterator[None]:
        async with revocations.followed() as reading:
            reading.add_done_callback(lambda ended: end_with(app, ended))
            await revocations.known()
            async with lifespan(app):
                yield

    return followed
