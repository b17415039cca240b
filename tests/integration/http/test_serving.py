import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SCRIPT = """
import asyncio, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI
from tidewire.config.listening import bind
from tidewire.http.serving import end_with, serve
from tidewire.telemetry.logging import configure_logging

configure_logging("tested")

async def breaks():
    raise ValueError("broken")

@asynccontextmanager
async def lifespan(app):
    if "breaks" in sys.argv:
        task = asyncio.create_task(breaks())
        task.add_done_callback(lambda ended: end_with(app, ended))
    yield

with bind("127.0.0.1", 0, "PORT") as sock:
    serve(FastAPI(lifespan=lifespan), sock, shutdown_timeout=1, is_ready_told=True)
print("after")
"""


@contextmanager
def serving(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def stopped(errors: str) -> list[str]:
    lines = [json.loads(line) for line in errors.splitlines() if line.startswith("{")]
    return [line["reason"] for line in lines if line["event"] == "stopped"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_follows_the_serving_is_done_after_a_signal(number: signal.Signals) -> None:
    with serving() as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(number)
        output, errors = process.communicate(timeout=15)
    assert (process.returncode, output) == (0, "after\n"), errors
    assert stopped(errors) == [number.name]


def test_a_task_that_breaks_ends_the_service_and_is_the_reason() -> None:
    with serving("breaks") as process:
        output, errors = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "after" not in output
    assert stopped(errors) == ["ValueError: broken"]
