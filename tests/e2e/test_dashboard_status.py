"""What the dashboard says of its feed: a badge with state and age, for eyes and for screen readers."""

import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from e2e.scripted_node import ScriptedNode, scripted_node
from harness.dev import DevRun, running_dev

OpenPage = Callable[..., Awaitable[Any]]

CONTRAST = """(id) => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgb = (layers) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (layers) => {
    const [r, g, b] = rgb(layers).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const element = document.getElementById(id);
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
  const [low, high] = [luminance(layers), luminance([getComputedStyle(element).color])].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""
LEGIBLE = 4.5  # WCAG 2.2, 1.4.3


@pytest.fixture
async def node() -> AsyncIterator[ScriptedNode]:
    async with scripted_node() as running:
        yield running


async def test_client_that_lags_is_told_that_it_catches_up_and_for_how_long(
    node: ScriptedNode, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(node.run)
    page = dashboard.page
    await dashboard.is_live()
    await expect(page.locator("#link-state")).to_have_text("Live")
    await expect(page.locator("#link-age")).to_be_empty()
    await node.tell("lagging", 0)
    await expect(page.locator("body")).to_have_attribute("data-state", "lagging")
    await expect(page.locator("#link-state")).to_have_text("Catching up")
    await expect(page.locator("#banner")).to_contain_text("slow")
    await node.tell("lagging", 7_000)
    await expect(page.locator("#link-age")).to_have_text(re.compile(r"^for ([7-9]|\d\d) s$"))
    await node.tell("live", 0)
    await dashboard.is_live()
    await expect(page.locator("#link-age")).to_be_empty()
    await expect(page.locator("#banner")).to_be_hidden()
    assert dashboard.errors == []


async def test_stale_feed_is_told_as_kafka_away_with_an_age_that_grows(
    node: ScriptedNode, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(node.run)
    page = dashboard.page
    await dashboard.is_live()
    await node.tell("stale", 12_000, everybody=True)
    await expect(page.locator("#link-state")).to_have_text("Kafka away")
    await expect(page.locator("#link-age")).to_have_text(re.compile(r"^for 1[2-9] s$"))
    first = await page.locator("#link-age").text_content()
    await expect(page.locator("#link-age")).not_to_have_text(first)
    await expect(page.locator("#banner")).to_contain_text("does not hear from Kafka")
    assert await page.locator("#rows .row:not([hidden])").count() == 1, "what is known stays"
    await node.tell("stale", 7 * 60_000)
    await expect(page.locator("#link-age")).to_have_text("for 7 min")
    await node.tell("live", 0, everybody=True)
    await dashboard.is_live()
    assert dashboard.errors == []


async def test_state_is_spoken_when_it_changes_and_the_ticking_age_is_not(
    node: ScriptedNode, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(node.run)
    page = dashboard.page
    await dashboard.is_live()
    await node.tell("stale", 12_000)
    await expect(page.locator("#link-age")).not_to_be_empty()
    badge = page.get_by_role("status").filter(has=page.locator("#link-state"))
    await expect(badge).to_have_attribute("aria-live", "polite")
    assert await badge.locator("[aria-hidden='true']").get_attribute("id") == "link-age"
    await expect(badge).to_match_aria_snapshot("- status: Kafka away")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("state", ["live", "lagging", "stale"])
async def test_badge_can_be_read_in_light_and_dark(
    node: ScriptedNode, open_dashboard: OpenPage, color_scheme: str, state: str
) -> None:
    dashboard = await open_dashboard(node.run, color_scheme=color_scheme)
    page = dashboard.page
    await dashboard.is_live()
    await node.tell(state, 12_000)
    await expect(page.locator("body")).to_have_attribute("data-state", state)
    for element in ("link-state", "link-age", "link-node"):
        contrast = await page.evaluate(CONTRAST, element)
        assert contrast >= LEGIBLE, f"{element} {contrast:.2f}"


@pytest.mark.parametrize("width", [320, 390])
async def test_badge_and_node_fit_a_phone(
    node: ScriptedNode, open_dashboard: OpenPage, width: int
) -> None:
    dashboard = await open_dashboard(node.run, viewport={"width": width, "height": 800})
    page = dashboard.page
    await dashboard.is_live()
    await node.tell("stale", 119_000)
    await expect(page.locator("#link-age")).not_to_be_empty()
    for element in ("link-state", "link-age", "link-node"):
        box = await page.locator(f"#{element}").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width, element
        assert box["height"] < 30, f"{element} is broken into lines"
    await expect(page.locator("#link-node")).to_have_text("scripted-1")
    assert await page.evaluate("document.documentElement.scrollWidth") <= width


@contextmanager
def broker_stopped(run: DevRun) -> Iterator[None]:
    """The run's broker neither answers nor hangs up for the length of a block."""
    (broker,) = [
        pid for pid in run.processes() if b"noida-db" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(broker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker, signal.SIGCONT)


async def test_page_tells_a_stopped_broker_and_outlives_the_node_that_serves_it(
    tmp_path: Path, open_dashboard: OpenPage
) -> None:
    with running_dev(tmp_path / "data", "--port", "0", "--nodes", "2") as run:
        dashboard = await open_dashboard(run)
        page = dashboard.page
        await dashboard.is_live()
        await expect(page.locator("#link-node")).to_have_text("gateway-1")
        with broker_stopped(run):
            await expect(page.locator("#link-state")).to_have_text("Kafka away")
            await expect(page.locator("#link-age")).to_have_text(re.compile(r"^for \d+ s$"))
            await expect(page.locator("#banner")).to_contain_text("Showing values from")
        await dashboard.is_live()

        os.kill(run.ready["nodes"][0]["pid"], signal.SIGKILL)
        await expect(page.locator("#link-state")).to_have_text("Reconnecting")
        await dashboard.is_live()
        await expect(page.locator("#link-node")).to_have_text("gateway-1")
        clock = await page.locator("#clock-time").text_content()
        await expect(page.locator("#clock-time")).not_to_have_text(clock)
        errors = [text for text in dashboard.errors if "ERR_CONNECTION_REFUSED" not in text]
        assert errors == []  # the browser itself logs each refused attempt to connect
