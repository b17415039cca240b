"""Following a flight in a real browser: every tab is told, nobody else, and what was missed is there on return."""

import asyncio
import json
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Error as PlaywrightError
from playwright.async_api import expect

from e2e.scripted_node import scripted_node
from harness.dev import DevRun, running_dev
from harness.waiting import eventually
from tidewire.dev.ports import free_port
from tidewire.dev.running import Running, read_running

OpenPage = Callable[..., Awaitable[Any]]
Publish = Callable[[DevRun, str, dict[str, Any] | None], Awaitable[None]]
RECORD = "tidewire-flights.following"

MERGES = """async () => {
  const { emptyRecord, merged, readRecord, withEvents, withFlights, withRead, countUnread, inOrder, isUnread } =
    await import('/js/following/record.js');
  const event = (key, id, ts) => ({ id, ts, data: { key, text: id } });
  const at = (offset, epoch = 'e') => ({ epoch, offsets: { 3: offset } });
  const start = withFlights(emptyRecord('ann'), ['a', 'b'], 10);
  const one = withEvents(start, [event('a', 'm1', 100), event('a', 'm2', 200)], { position: at(2), openedAt: 150 });
  const two = withRead(withEvents(start, [event('a', 'm1', 100), event('c', 'm3', 300), event('b', 'm4', 50)],
    { position: at(5), openedAt: 60 }), ['b']);
  const both = merged(one, two);
  const other = merged(two, one);
  return {
    newest: both.notices.a.id, foreign: 'c' in both.notices, position: both.position.offsets[3],
    same: JSON.stringify(Object.entries(both.notices).sort()) === JSON.stringify(Object.entries(other.notices).sort()),
    count: countUnread(both), read: isUnread(both, 'b'), order: inOrder(both), missed: both.notices.b.missed,
    again: withEvents(both, [event('a', 'm2', 200)], { position: at(2), openedAt: 999 }).notices.a.missed,
    unfollowed: Object.keys(merged(both, withFlights(both, ['b'], 20)).notices),
    stale: merged(withFlights(both, ['b'], 20), both).flights,
    stranger: merged(emptyRecord('ben'), both).flights, nobody: merged(emptyRecord(), both).flights.length,
    recreated: merged({ ...both, position: at(1, 'f') }, both).position, broken: readRecord('{"a"').visitor,
  };
}"""


def flight_row(number: int, **more: Any) -> dict[str, Any]:
    """No such carrier is in the data set: the replay never touches its rows."""
    return {"status": "scheduled", "carrier": "TW", "flight": number, "dest": "SFO", **more}


def card(dashboard: Any, flight: str) -> Any:
    return dashboard.page.locator(f'#yours-list [data-flight="{flight}"]')


def note(dashboard: Any) -> Any:
    return dashboard.page.locator("#yours-note")


async def tells(dashboard: Any, flight: str, text: str) -> None:
    await expect(card(dashboard, flight).locator(".card-says")).to_have_text(text)


async def another_tab(dashboard: Any) -> Any:
    """The same page in the same browser, as whoever opens it again."""
    tab = type(dashboard)(await dashboard.page.context.new_page())
    tab.watch()
    await tab.page.goto(dashboard.page.url)
    await tab.is_live()
    return tab


def running(data_dir: Path) -> Running:
    found = read_running(data_dir)
    assert found is not None
    return found


async def reopen(dashboard: Any, run: DevRun) -> None:
    """Go back to the page, as soon as its node answers: the browser's cache would show it before."""
    url = run.ready["nodes"][0]["http"]

    async def answers() -> bool:
        try:
            return bool((await dashboard.page.request.get(url)).ok)
        except PlaywrightError:
            return False

    await eventually(answers, within=30.0, what="the node")
    await dashboard.page.goto(url)


async def follow(dashboard: Any, flight: str) -> None:
    await dashboard.is_live()
    await dashboard.page.locator('#views input[value="all"]').check()
    await dashboard.row(flight).click()
    await dashboard.page.get_by_role("button", name=re.compile("^Follow ")).click()
    await tells(dashboard, flight, "No news yet")


async def test_every_tab_of_a_visitor_gets_the_notice_and_another_visitor_does_not(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    flight, other = "JFK/TW-11", "JFK/TW-12"
    for key, number in ((flight, 11), (other, 12)):
        await publish_flight(flights_run, key, flight_row(number))
    first = await open_dashboard(flights_run)
    await first.is_live()
    second = await another_tab(first)
    await follow(first, flight)
    await tells(second, flight, "No news yet")
    stranger = await open_dashboard(flights_run)
    await follow(stranger, other)
    await publish_flight(flights_run, flight, flight_row(11, status="delayed", dep_delay=45))
    await publish_flight(flights_run, other, flight_row(12, status="cancelled"))
    for tab in (first, second):
        await tells(tab, flight, "45 min late so far")
        await expect(card(tab, flight)).to_have_class(re.compile("is-unread"))
        await expect(note(tab)).to_have_text("1 new")
        await expect(tab.page).to_have_title(re.compile(r"^\(1\) "))
        await expect(card(tab, other)).to_have_count(0)
    await tells(stranger, other, "Cancelled")
    await expect(card(stranger, flight)).to_have_count(0)
    await second.page.locator("#yours-read").click()
    await expect(first.page).not_to_have_title(re.compile(r"^\("))
    await expect(card(first, flight)).not_to_have_class(re.compile("is-unread"))
    await card(first, flight).get_by_role("button", name="Unfollow TW 11").click()
    for tab in (first, second):
        await expect(card(tab, flight)).to_have_count(0)
        await expect(tab.page.locator("#yours-empty")).to_contain_text("Choose a flight")
    for dashboard in (first, second, stranger):
        assert dashboard.errors == []
    for key in (flight, other):
        await publish_flight(flights_run, key, None)


async def test_what_happened_while_every_tab_was_closed_is_there_on_return(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    flight = "LGA/TW-13"
    await publish_flight(flights_run, flight, flight_row(13))
    dashboard = await open_dashboard(flights_run)
    await follow(dashboard, flight)
    keeper = await dashboard.page.context.new_page()  # the browser stays, the page is left
    await dashboard.page.close()
    await publish_flight(flights_run, flight, flight_row(13, status="delayed", dep_delay=20))
    await publish_flight(flights_run, flight, flight_row(13, status="departed", dep_delay=31))
    back = type(dashboard)(keeper)
    back.watch()
    await keeper.goto(dashboard.page.url)
    await tells(back, flight, "Left 31 min late")
    await expect(card(back, flight)).to_have_class(re.compile("is-missed"))
    await expect(note(back)).to_have_text("1 notice while you were away")
    await card(back, flight).locator(".card-open").click()
    await expect(note(back)).to_be_empty()
    await expect(back.row(flight)).to_have_class(re.compile("is-selected"))
    await keeper.reload()
    await back.is_live()
    await tells(back, flight, "Left 31 min late")
    await expect(note(back)).to_be_empty()
    assert back.errors == []
    await publish_flight(flights_run, flight, None)


async def test_a_flight_is_followed_and_left_by_keyboard(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    flight = "EWR/TW-14"
    await publish_flight(flights_run, flight, flight_row(14))
    dashboard = await open_dashboard(flights_run, "#airport=EWR")
    page = dashboard.page
    await dashboard.is_live()
    await expect(dashboard.row(flight)).to_be_visible()
    await page.keyboard.press("b")
    await page.keyboard.press("Home")  # without a scheduled time it comes first
    await expect(dashboard.row(flight)).to_have_class(re.compile("is-selected"))
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Follow TW 14", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await tells(dashboard, flight, "No news yet")
    button = page.get_by_role("button", name="Unfollow TW 14").and_(page.locator("#follow"))
    await expect(button).to_be_focused()
    await expect(dashboard.row(flight)).to_have_class(re.compile("is-followed"))
    await page.keyboard.press("y")
    await expect(card(dashboard, flight).locator(".card-open")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(card(dashboard, flight)).to_have_count(0)
    await expect(page.locator("#yours-title")).to_be_focused()
    await page.keyboard.press("f")
    await tells(dashboard, flight, "No news yet")
    await publish_flight(flights_run, flight, flight_row(14, status="cancelled"))
    await tells(dashboard, flight, "Cancelled")
    await expect(page.locator("#yours-spoken")).to_have_text("TW 14: Cancelled")
    assert dashboard.errors == []
    await publish_flight(flights_run, flight, None)


async def test_lost_notices_are_told_until_they_are_read(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    flight = "JFK/TW-15"
    await publish_flight(flights_run, flight, flight_row(15))
    dashboard = await open_dashboard(flights_run)
    page = dashboard.page
    await follow(dashboard, flight)
    await publish_flight(flights_run, flight, flight_row(15, status="delayed", dep_delay=15))
    await tells(dashboard, flight, "15 min late so far")
    await page.locator("#yours-read").click()
    await expect(note(dashboard)).to_be_empty()
    record = json.loads(await page.evaluate("(name) => localStorage.getItem(name)", RECORD))
    record["position"]["epoch"] = "another-life"
    await page.evaluate(
        "([name, text]) => localStorage.setItem(name, text)", [RECORD, json.dumps(record)]
    )
    await page.reload()
    await expect(note(dashboard)).to_contain_text("lost")
    await page.locator("#yours-read").click()
    await expect(note(dashboard)).to_be_empty()
    assert dashboard.errors == []
    await publish_flight(flights_run, flight, None)


async def test_a_wish_that_reaches_nobody_is_told_with_the_cause(
    flights_run: DevRun, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    flight = "JFK/TW-16"
    await publish_flight(flights_run, flight, flight_row(16))
    dashboard = await open_dashboard(flights_run)
    page = dashboard.page
    await dashboard.is_live()
    await page.route("**/api/**", lambda route: route.abort())
    await dashboard.row(flight).click()
    await page.locator("#follow").click()
    await expect(note(dashboard)).to_contain_text("JFK/TW-16 could not be followed")
    await dashboard.is_live()
    await page.unroute("**/api/**")
    await page.locator("#follow").click()
    await tells(dashboard, flight, "No news yet")
    await expect(note(dashboard)).to_be_empty()
    assert [text for text in dashboard.errors if "ERR_FAILED" not in text] == []
    await publish_flight(flights_run, flight, None)


async def test_a_page_that_is_served_without_the_service_offers_nothing_to_follow(
    open_dashboard: OpenPage,
) -> None:
    async with scripted_node() as node:
        dashboard = await open_dashboard(node.run)
        await dashboard.is_live()
        await dashboard.row("JFK/TW-1").click()
        await expect(dashboard.page.locator("#detail")).not_to_be_empty()
        await expect(dashboard.page.locator("#yours")).to_be_hidden()
        await expect(dashboard.page.locator("#follow")).to_be_hidden()
        await dashboard.page.keyboard.press("f")
        assert dashboard.errors == []


async def test_copies_of_what_a_browser_knows_merge_to_the_newest(
    flights_run: DevRun, open_dashboard: OpenPage
) -> None:
    answer = await (await open_dashboard(flights_run)).page.evaluate(MERGES)
    assert answer == {
        "newest": "m2", "foreign": False, "position": 5, "same": True,
        "count": {"unread": 1, "missed": 0}, "read": False, "order": ["a", "b"], "missed": True,
        "again": False, "unfollowed": ["b"], "stale": ["b"], "stranger": [], "nobody": 2,
        "recreated": {"epoch": "f", "offsets": {"3": 1}}, "broken": "",
    }  # fmt: skip


@pytest.mark.timeout(240)
async def test_notices_outlive_the_node_and_what_is_followed_outlives_the_run(
    tmp_path: Path, open_dashboard: OpenPage, publish_flight: Publish
) -> None:
    flight = "JFK/TW-17"
    options = ("--port", str(free_port()), "--nodes", "2")
    data_dir = tmp_path / "data"
    with running_dev(data_dir, *options) as run:
        await publish_flight(run, flight, flight_row(17))
        dashboard = await open_dashboard(run)
        await follow(dashboard, flight)
        first = run.ready["nodes"][0]["pid"]
        os.kill(first, signal.SIGKILL)
        await publish_flight(run, flight, flight_row(17, status="delayed", dep_delay=30))
        await tells(dashboard, flight, "30 min late so far")
        await dashboard.is_live()
        await dashboard.page.goto("about:blank")
        await eventually(lambda: running(data_dir).nodes[0].pid != first, what="the node's return")
        os.kill(running(data_dir).nodes[0].pid, signal.SIGKILL)
        await publish_flight(run, flight, flight_row(17, status="delayed", dep_delay=60))
        await reopen(dashboard, run)
        await tells(dashboard, flight, "1 h late so far")
        await expect(card(dashboard, flight)).to_have_class(re.compile("is-missed"))
        await dashboard.page.goto("about:blank")
        assert await asyncio.to_thread(run.end) == 0
        assert run.processes() == []
    with running_dev(data_dir, *options) as run:
        await publish_flight(run, flight, flight_row(17, status="departed", dep_delay=33))
        await reopen(dashboard, run)
        await tells(dashboard, flight, "Left 33 min late")
        await expect(card(dashboard, flight)).to_have_class(re.compile("is-missed"))
        await expect(note(dashboard)).to_contain_text("while you were away")
    errors = [text for text in dashboard.errors if "net::ERR_" not in text]
    assert errors == []  # the browser itself logs each attempt to connect that fails
