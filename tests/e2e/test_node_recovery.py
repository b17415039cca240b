"""A gateway node dies: the page says so, comes back by itself and holds the newest values."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import expect

from harness.dev import DevRun, running_dev

OpenPage = Callable[..., Awaitable[Any]]
Publish = Callable[[DevRun, str, dict[str, Any] | None], Awaitable[None]]
FLIGHT = {"status": "delayed", "carrier": "TW", "dest": "SFO"}

REMEMBER_STATES = """() => {
  window.seen = [document.body.dataset.state];
  const banner = document.getElementById('banner-text');
  window.said = [];
  new MutationObserver(() => window.seen.push(document.body.dataset.state)).observe(
    document.body, { attributes: true, attributeFilter: ['data-state'] });
  new MutationObserver(() => window.said.push(banner.textContent)).observe(
    banner, { childList: true, characterData: true, subtree: true });
}"""


async def test_page_recovers_from_a_killed_node_and_holds_the_newest_values(
    tmp_path: Path, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    with running_dev(tmp_path / "data", "--port", "0") as run:
        dashboard = await open_dashboard(run)
        page = dashboard.page
        await dashboard.is_live()
        for number in (1, 2):
            await publish_flight(run, f"JFK/TW-{number}", {**FLIGHT, "dep_delay": 10})
            await dashboard.shows(f"JFK/TW-{number}", "delay", "+10")
        await page.evaluate(REMEMBER_STATES)

        os.kill(run.ready["nodes"][0]["pid"], signal.SIGKILL)
        changes = (("JFK/TW-1", {**FLIGHT, "dep_delay": 95}), ("JFK/TW-2", None))
        await asyncio.gather(*(publish_flight(run, key, data) for key, data in changes))
        await page.wait_for_function("window.seen.includes('reconnecting')")

        await dashboard.is_live()
        await dashboard.shows("JFK/TW-1", "delay", "+95")
        await expect(dashboard.row("JFK/TW-2")).to_have_count(0)
        await expect(page.locator("#banner")).to_be_hidden()
        said = await page.evaluate("window.said")
        assert any(text.startswith("Connection lost, reconnecting") for text in said)

        await publish_flight(run, "JFK/TW-1", {**FLIGHT, "dep_delay": 120})
        await dashboard.shows("JFK/TW-1", "delay", "+120")
        refused = [text for text in dashboard.errors if "ERR_CONNECTION_REFUSED" not in text]
        assert refused == []  # the browser itself logs each refused attempt to connect
