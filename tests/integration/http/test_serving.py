import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from harness.ports import LOOPBACK
from harness.waiting import wait_until
from tidewire.config.listening import bind, url_of
from tidewire.http.serving import make_server

SCRIPT = """
import asyncio, sys
from contextlib import asynccontextmanager
from fastapi import FastAPI
from tidewire.config.listening import bind, url_of
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
    if "is-asked" in sys.argv:
        app.state.started = started = asyncio.Event()
        app.add_api_route("/", started.set)
        print("listening", url_of(sock), flush=True)
    app.state.drain = lambda: print("draining")
    yield
    print("ending")

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


def answer(url: str) -> httpx.Response:
    """Once there is one: its socket is bound before it listens."""

    def asked() -> httpx.Response | None:
        try:
            return httpx.get(url, trust_env=False)
        except httpx.TransportError:
            return None

    answered: httpx.Response = wait_until(lambda: [found] if (found := asked()) else None)[0]
    return answered


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
    assert (process.returncode, output) == (0, "draining\nending\nafter\n"), errors
    assert stopped(errors) == [number.name]


def test_an_application_that_listens_before_it_has_started_is_ready_when_it_has() -> None:
    with serving("is-asked") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        assert answer(url).status_code == 200
        assert json.loads(process.stdout.readline())["event"] == "ready"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=15)
    assert (process.returncode, output) == (0, "draining\nending\nafter\n"), errors


def test_a_signal_before_it_has_started_ends_it() -> None:
    with serving("is-asked") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        assert answer(f"{url}/nothing").status_code == 404
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=15)
    assert (process.returncode, output) == (0, "draining\nending\nafter\n"), errors


def test_a_task_that_breaks_ends_the_service_and_is_the_reason() -> None:
    with serving("breaks") as process:
        output, errors = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "after" not in output
    assert stopped(errors) == ["ValueError: broken"]


async def test_what_a_client_says_of_its_address_and_scheme_is_not_believed() -> None:
    """The web server would believe whoever comes from loopback, as proxies do."""
    seen: dict[str, Any] = {}
    app = FastAPI()

    @app.get("/")
    async def look(request: Request) -> None:
        seen.update(client=request.scope["client"][0], scheme=request.scope["scheme"])

    with bind(LOOPBACK, 0, "PORT") as sock:
        server = make_server(app, sock, shutdown_timeout=1, is_ready_told=False)
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        told = {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "https"}
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                assert (await client.get(url_of(sock), headers=told)).status_code == 200
        finally:
            server.should_exit = True
            await serving
    assert seen == {"client": LOOPBACK, "scheme": "http"}
