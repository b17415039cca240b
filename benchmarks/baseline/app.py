"""The application: one WebSocket route, one task that reads the topic."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer
from fastapi import FastAPI, WebSocket

from .envelope import envelope
from .fanout import Fanout

__all__ = ["create_app"]


def create_app(bootstrap: str, topic: str, fanout: Fanout) -> FastAPI:
    """Every record of ``topic`` that is written from now on goes to every client."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=None) as consumer:
            await consumer.seek_to_end()
            reading = asyncio.create_task(_read(consumer, fanout))
            yield
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/{path:path}")
    async def updates(websocket: WebSocket) -> None:
        await websocket.accept()
        await fanout.attend(websocket)

    return app


async def _read(consumer: AIOKafkaConsumer, fanout: Fanout) -> None:
    async for record in consumer:
        await fanout.send(envelope(record))
