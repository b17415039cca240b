import httpx
import pytest
from fastapi import FastAPI

from tidewire.http.health import Stage, health_router


@pytest.mark.parametrize(
    ("stage", "startupz", "readyz"),
    [
        (Stage.STARTING, (503, "starting\n"), (503, "starting\n")),
        (Stage.READY, (200, "started\n"), (200, "ready\n")),
        (Stage.DRAINING, (200, "started\n"), (503, "draining\n")),
    ],
)
async def test_health_tells_the_stage(
    stage: Stage, startupz: tuple[int, str], readyz: tuple[int, str]
) -> None:
    app = FastAPI()
    app.include_router(health_router(lambda: stage))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://service"
    ) as client:
        said = [await client.get(path) for path in ("/healthz", "/startupz", "/readyz")]
    assert [(answer.status_code, answer.text) for answer in said] == [
        (200, "ok\n"),
        startupz,
        readyz,
    ]
