"""The flights dashboard in a real browser, on a whole `tidewire dev`."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import expect

from harness.dev import DevRun

OpenPage = Callable[..., Awaitable[Any]]
Publish = Callable[[DevRun, str, dict[str, Any] | None], Awaitable[None]]

# No such carrier is in the data set: the replay never touches its rows.
KEY = "JFK/TW-1"
FLIGHT = {"status": "delayed", "carrier": "TW", "flight": 1, "dest": "SFO", "dep_delay": 45}


async def test_page_opens_and_shows_flights_as_they_come(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(flights_run)
    page = dashboard.page
    await dashboard.is_live()
    await expect(dashboard.rows().first).to_be_visible()
    await expect(page.locator("#link-node")).not_to_be_empty()
    await expect(page.locator("#in-air")).not_to_have_text("0")
    clock = await page.locator("#clock-time").text_content()
    await expect(page.locator("#clock-time")).not_to_have_text(clock)
    for meter in ("freshness", "received", "kafka", "coalesced", "frames"):
        await expect(page.locator(f'[data-meter="{meter}"] b')).not_to_have_text("–")
    assert dashboard.errors == []
    assert dashboard.hosts == {"127.0.0.1"}


async def test_an_event_published_with_the_command_changes_its_row(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    dashboard = await open_dashboard(flights_run)
    await dashboard.is_live()
    await publish_flight(flights_run, KEY, FLIGHT)
    await dashboard.shows(KEY, "status", "Delayed")
    await dashboard.shows(KEY, "delay", "+45")
    await publish_flight(flights_run, KEY, {**FLIGHT, "status": "cancelled"})
    await dashboard.shows(KEY, "status", "Cancelled")
    await publish_flight(flights_run, KEY, None)
    await expect(dashboard.row(KEY)).to_have_count(0)
    assert dashboard.errors == []


async def test_mode_every_has_the_rows_that_stood_already_and_each_new_event(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    key = "LGA/TW-2"
    await publish_flight(flights_run, key, {**FLIGHT, "flight": 2})
    dashboard = await open_dashboard(flights_run, "#airport=LGA&mode=every&rate=0")
    await dashboard.is_live()
    await dashboard.shows(key, "delay", "+45")
    await publish_flight(flights_run, key, {**FLIGHT, "flight": 2, "dep_delay": 60})
    await dashboard.shows(key, "delay", "+60")
    await publish_flight(flights_run, key, None)
    await expect(dashboard.row(key)).to_have_count(0)
    assert dashboard.errors == []


async def test_keyboard_chooses_airport_rate_mode_and_flight(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(flights_run)
    page = dashboard.page
    await dashboard.is_live()
    await page.keyboard.press("3")
    await expect(page.locator('#airports input[value="JFK"]')).to_be_checked()
    await expect(dashboard.rows().first).to_be_visible()
    await expect(page.locator('#rows .row:not([data-key^="JFK/"])')).to_have_count(0)
    await page.keyboard.press("]")
    await expect(page.locator('#rates input[value="500"]')).to_be_checked()
    await page.keyboard.press("m")
    await expect(page.locator('#modes input[value="every"]')).to_be_checked()
    await expect(page).to_have_url(f"{page.url.partition('#')[0]}#airport=JFK&mode=every&rate=500")
    await dashboard.is_live()
    await expect(dashboard.rows().first).to_be_visible()
    await page.keyboard.press("b")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#rows .is-selected")).to_have_count(1)
    selected = await page.locator("#rows .is-selected").get_attribute("id")
    await expect(page.locator("#board")).to_have_attribute("aria-activedescendant", selected)
    await expect(page.locator("#detail")).not_to_be_empty()
    assert dashboard.errors == []


async def test_switches_are_reached_by_tab_and_moved_by_arrows(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(flights_run)
    page = dashboard.page
    await dashboard.is_live()
    focused = "document.activeElement.name || document.activeElement.id"
    order = []
    for _ in range(7):
        await page.keyboard.press("Tab")
        order.append(await page.evaluate(focused))
    assert order == ["theme", "help-open", "airports", "modes", "rates", "views", "board"]
    await page.locator('#airports input[value="ALL"]').focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator('#airports input[value="EWR"]')).to_be_checked()
    await expect(page.locator('#rows .row:not([data-key^="EWR/"])')).to_have_count(0)


async def test_help_lists_the_keys_and_closes_with_escape(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(flights_run)
    page = dashboard.page
    await dashboard.is_live()
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    assert await page.locator("#help kbd").count() >= 10
    await page.keyboard.press("Escape")
    await expect(page.locator("#help")).to_be_hidden()


async def test_colours_follow_the_system_until_one_is_chosen(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    dashboard = await open_dashboard(flights_run, color_scheme="dark")
    page = dashboard.page
    await dashboard.is_live()
    background = "getComputedStyle(document.body).backgroundColor"
    dark = await page.evaluate(background)
    await page.emulate_media(color_scheme="light")
    await expect(page.locator("html")).to_have_attribute("data-theme", "light")
    light = await page.evaluate(background)
    assert dark != light
    await page.locator("#theme").click()  # light
    await page.locator("#theme").click()  # dark
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert await page.evaluate(background) == dark
    assert dashboard.errors == []


@pytest.mark.parametrize("width", [320, 390])
async def test_a_phone_s_width_needs_no_sideways_scrolling(
    flights_run: DevRun, open_dashboard: OpenPage, width: int
) -> None:
    dashboard = await open_dashboard(
        flights_run, viewport={"width": width, "height": 800}, reduced_motion="reduce"
    )
    await dashboard.is_live()
    await expect(dashboard.rows().first).to_be_visible()
    widest = await dashboard.page.evaluate("document.documentElement.scrollWidth")
    assert widest <= width
    assert dashboard.errors == []
