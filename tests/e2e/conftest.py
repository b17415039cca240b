"""A whole `tidewire dev` with the flights example, and Chromium to look at it."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from harness.dev import DevRun, running_dev

CHROMIUM = os.environ.get("TIDEWIRE_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
BROWSER_TEST_TIMEOUT = 120.0
PATIENCE_MS = 20_000
COMMAND_TIMEOUT = 30.0

OpenPage = Callable[..., Awaitable["Dashboard"]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "open_dashboard" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(BROWSER_TEST_TIMEOUT))


@dataclass
class Dashboard:
    """The page in a browser, and what it said and asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._heard)
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("websocket", lambda socket: self._asked(socket.url))

    async def is_live(self) -> None:
        await expect(self.page.locator("body")).to_have_attribute("data-state", "live")

    async def shows(self, key: str, cell: str, text: str) -> None:
        await expect(self.cell(key, cell)).to_have_text(text)

    def row(self, key: str) -> Any:
        return self.page.locator(f'[data-key="{key}"]')

    def cell(self, key: str, cell: str) -> Any:
        return self.row(key).locator(f'[data-cell="{cell}"]')

    def rows(self) -> Any:
        return self.page.locator("#rows .row:not([hidden])")

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"}:
            self.hosts.add(parts.hostname or url)


@pytest.fixture(scope="module")
def flights_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevRun]:
    """One run that every test of a file may look at; a test that breaks something starts its own."""
    with running_dev(tmp_path_factory.mktemp("flights") / "data", "--port", "0") as run:
        yield run


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
async def open_dashboard(browser: Browser) -> OpenPage:
    """Open the dashboard of a run in a window of its own; keyword arguments are the window's."""
    expect.set_options(timeout=PATIENCE_MS)

    async def open_page(run: DevRun, fragment: str = "", **window: Any) -> Dashboard:
        context = await browser.new_context(**window)
        context.set_default_timeout(PATIENCE_MS)
        dashboard = Dashboard(await context.new_page())
        dashboard.watch()
        await dashboard.page.goto(f"{run.ready['nodes'][0]['http']}/{fragment}")
        return dashboard

    return open_page


async def publish(run: DevRun, key: str, data: dict[str, Any] | None) -> None:
    """Publish on stream `flights` as people do: with the command."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tidewire.cli", "publish", "flights",
        "--key", key, "--data", json.dumps(data), "--data-dir", str(run.data_dir),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT)
    assert process.returncode == 0, output.decode()


@pytest.fixture
def publish_flight() -> Callable[[DevRun, str, dict[str, Any] | None], Awaitable[None]]:
    return publish
