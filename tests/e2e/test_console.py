"""The console in a real browser, on a whole `tidewire dev`: how the system is, and where an event's time went."""

import json
import os
import re
import secrets
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from harness.dev import DevRun, running_dev
from harness.waiting import eventually
from tidewire.protocol.trace_context import TraceParent, traceparent

OpenPage = Callable[..., Awaitable[Any]]
Publish = Callable[[DevRun, str, dict[str, Any] | None], Awaitable[None]]

# No such carrier is in the data set: the replay never touches its rows.
KEY = "JFK/TW-9"
FLIGHT = {"status": "delayed", "carrier": "TW", "flight": 9, "dest": "SFO", "dep_delay": 45}
STAGES = ["Broker", "Wait for the flush", "Write", "Network", "Browser"]
LEGIBLE = 4.5  # WCAG 2.2, 1.4.3
RESTART_PATIENCE_MS = 90_000
MILLISECONDS = re.compile(r"^\d+(\.\d+)?\s(ms|s)$")

REMEMBER_VIOLATIONS = """window.violations = [];
document.addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective));"""

FOLLOW_FAST = """(keys) => {
  const fetched = window.fetch;
  let underWay = 0;
  window.asked = [];
  window.fetch = async (url, options) => {
    underWay += 1;
    window.asked.push([options.method, JSON.parse(options.body).key, underWay]);
    try { return await fetched(url, options); } finally { underWay -= 1; }
  };
  for (const key of keys) {
    document.querySelector('#follow-stream').value = 'flights';
    document.querySelector('#follow-key').value = key;
    document.querySelector('#follow-form').requestSubmit();
  }
}"""

ALARMS_TOLD = """() => ({
  count: document.querySelectorAll('#alarms-list li').length,
  isCalm: document.querySelector('#alarms-calm').checkVisibility(),
})"""

FAINTEST_TEXT = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const luminance = (layers) => {
    const id = layers.join();
    if (known.has(id)) return known.get(id);
    canvas.clearRect(0, 0, 1, 1);
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
      .map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    known.set(id, 0.2126 * r + 0.7152 * g + 0.0722 * b);
    return known.get(id);
  };
  const told = [];
  for (const element of document.body.querySelectorAll('*')) {
    const words = [...element.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()).join('');
    if (words === '' || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    const [low, high] = [luminance(layers), luminance([...layers, color])].sort((a, b) => a - b);
    told.push([(high + 0.05) / (low + 0.05), words]);
  }
  return { count: told.length, faintest: told.sort((a, b) => a[0] - b[0])[0] };
}"""


@pytest.fixture
async def open_console(open_dashboard: OpenPage) -> OpenPage:
    """Open a page of the console of a run's node in a window of its own."""

    async def open_page(
        run: DevRun, fragment: str = "#system", node: int = 0, **window: Any
    ) -> Any:
        console = SimpleNamespace(
            ready={"nodes": [{"http": f"{run.ready['nodes'][node]['internal']}/console"}]}
        )
        return await open_dashboard(console, fragment, **window)

    return open_page


async def publish_sampled(run: DevRun, key: str, data: dict[str, Any]) -> str:
    """Publish on stream `flights` over HTTP, as a producer that has its trace sampled; the trace id."""
    parent = TraceParent(secrets.randbits(128) or 1, secrets.randbits(64) or 1)
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{run.ready['publisher']}/v1/events/flights",
            json={"key": key, "data": data},
            headers={"traceparent": traceparent(*parent)},
        )
    assert answer.status_code == httpx.codes.OK, answer.text
    return f"{parent.trace_id:032x}"


def events_of(page: Page) -> Locator:
    """The lines of the list of events."""
    return page.locator("#flows").get_by_role("option")


async def watch(page: Page, channel: str) -> None:
    await page.get_by_label("Channel").fill(channel)
    await page.get_by_role("button", name="Watch").click()
    await is_watched(page, channel)


async def is_watched(page: Page, channel: str) -> None:
    """The page's subscription is live."""
    await expect(page.locator("#watch-state")).to_contain_text(f"Watching {channel}")


async def is_known(page: Page, channel: str) -> None:
    """A node has told the page that it has the channel."""
    await expect(page.locator(f'#known-channels option[value="{channel}"]')).to_have_count(1)


async def follow(page: Page, stream: str, key: str) -> None:
    await page.get_by_label("Stream").fill(stream)
    await page.get_by_label("Key", exact=True).fill(key)
    async with page.expect_response(lambda one: one.request.method == "POST") as answered:
        await page.get_by_role("button", name="Follow", exact=True).click()
    assert (await answered.value).status == httpx.codes.OK
    await expect(page.locator("#follow-state")).to_contain_text(f"Following {key}")


async def followed_beside(run: DevRun, key: str) -> int:
    """How many entities the node follows, ``key`` apart, which it follows no longer."""
    url, entity = (
        f"{run.ready['nodes'][0]['internal']}/v1/flows/follow",
        {"stream": "flights", "key": key},
    )
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, json=entity)
        await client.request("DELETE", url, json=entity)
    followed: int = answer.json()["followed"]
    return followed - 1


async def stages_of(page: Page) -> list[tuple[str, float]]:
    """Names and milliseconds of the waterfall's stages."""
    rows = page.locator("#waterfall .way li")
    names = await rows.locator(".way-name").all_text_contents()
    times = await rows.evaluate_all("rows => rows.map((row) => Number(row.dataset.ms))")
    return list(zip(names, times, strict=True))


async def test_system_shows_nodes_services_and_that_all_is_well_or_what_is_not(
    flights_run: DevRun, open_console: OpenPage, open_dashboard: OpenPage
) -> None:
    await (await open_dashboard(flights_run, "#airport=JFK")).is_live()
    console = await open_console(flights_run)
    page = console.page
    await console.is_live()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="gateway-1"))
    await expect(row).to_have_attribute("data-state", re.compile("^(ready|overloaded)$"))
    await expect(row).to_contain_text("MB")
    for service in ("registry", "router", "publisher"):
        card = page.locator(f'[data-service="{service}"]')
        await expect(card.locator(".state")).to_have_text(re.compile("^(ready|overloaded)$"))
    await expect(page.locator("#alarms")).not_to_have_attribute("data-worst", "unknown")
    told = await page.evaluate(ALARMS_TOLD)
    assert told["isCalm"] == (told["count"] == 0)
    await expect(page.locator('[data-meter="connections"] b')).not_to_have_text(
        re.compile("^[0–]$")
    )
    await expect(page.locator('[data-meter="freshness"] b')).to_have_text(re.compile(r"^\d"))
    await expect(page.locator('[data-percentile="p99"]')).to_have_text(MILLISECONDS)
    await expect(page.locator(".plot-line.is-p50")).to_have_attribute("d", re.compile("^M.*L"))
    feed = page.locator("#feeds").get_by_role("row").filter(has_text="flights/JFK")
    await expect(feed.first).to_contain_text("latest")
    assert console.errors == []
    assert console.hosts == {"127.0.0.1"}


@pytest.mark.timeout(240)
async def test_a_node_that_falls_silent_is_an_alarm_and_marked_as_gone_until_it_is_back(
    tmp_path: Path, open_console: OpenPage
) -> None:
    with running_dev(tmp_path / "data", "--port", "0", "--nodes", "2") as run:
        console = await open_console(run)
        page = console.page
        await console.is_live()
        row = page.locator("#nodes").get_by_role("row").filter(has_text="gateway-2")
        await expect(row).to_have_attribute("data-state", re.compile("^(ready|overloaded)$"))
        alarm = page.locator("#alarms-list li").filter(has_text="gateway/gateway-2 fell silent")
        await expect(alarm).to_have_count(0)
        os.kill(run.ready["nodes"][1]["pid"], signal.SIGSTOP)
        try:
            await expect(row).to_have_attribute("data-state", "gone")
            await expect(alarm).to_contain_text("critical")
            await expect(page.locator("#alarms-spoken")).to_contain_text(
                "gone on gateway/gateway-2"
            )
        finally:
            with suppress(ProcessLookupError):
                os.kill(run.ready["nodes"][1]["pid"], signal.SIGCONT)
        await expect(row).to_have_attribute("data-state", re.compile("^(ready|overloaded)$"))
        await expect(alarm).to_have_count(0)

        os.kill(run.ready["nodes"][0]["pid"], signal.SIGKILL)
        await expect(page.locator("#link-state")).to_have_text("Reconnecting")
        await expect(page.locator("#banner-text")).to_contain_text("Connection lost")
        assert await row.count() == 1, "what is known stays"
        await expect(page.locator("#link-state")).to_have_text("Live", timeout=RESTART_PATIENCE_MS)
        await expect(page.locator("#banner")).to_be_hidden()


async def test_a_sampled_event_of_a_watched_channel_is_drawn_from_record_to_screen(
    flights_run: DevRun, open_console: OpenPage
) -> None:
    console = await open_console(flights_run, "#flow")
    page = console.page
    await console.is_live()
    await watch(page, "flights/JFK")
    assert page.url.endswith("#flow?watch=flights%2FJFK")
    trace = await publish_sampled(flights_run, KEY, FLIGHT)
    rows = events_of(page).filter(has_text=KEY)
    mine = rows.and_(page.locator("[data-complete]")).first
    await expect(mine).to_contain_text("flights/JFK")
    await mine.click()
    await expect(mine).to_have_attribute("aria-selected", "true")
    waterfall = page.locator("#waterfall")
    await expect(waterfall).to_contain_text("record to screen")
    stages = await stages_of(page)
    assert [name for name, _ in stages] == STAGES
    assert all(ms >= 0 for _, ms in stages), stages
    await expect(waterfall.locator(".facts")).to_contain_text("flights/JFK, latest, every 250 ms")
    await expect(waterfall.locator(".facts")).to_contain_text(re.compile(r"[1-9]\d*\sconnections?"))
    await expect(waterfall.locator(".facts")).to_contain_text(re.compile(r"\d+\sevents?, "))
    shown = waterfall.locator("dt", has_text=re.compile("^Trace$")).locator("..").locator("code")
    await expect(shown).to_have_text(trace)
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await waterfall.get_by_role("button", name="Copy the trace id").click()
    assert await page.evaluate("navigator.clipboard.readText()") == trace
    assert console.errors == []


async def test_an_event_of_a_channel_that_nobody_watches_here_ends_at_the_socket(
    flights_run: DevRun, open_console: OpenPage, open_dashboard: OpenPage
) -> None:
    for rate in (500, 1000):
        await (await open_dashboard(flights_run, f"#airport=LGA&rate={rate}")).is_live()
    console = await open_console(flights_run, "#flow?watch=flights/JFK")
    page = console.page
    await console.is_live()
    await publish_sampled(flights_run, "LGA/TW-9", FLIGHT)
    row = events_of(page).filter(has_text="LGA/TW-9")
    await expect(row.filter(has_text="2\u00a0feeds")).to_have_count(1)
    await row.click()
    await expect(page.locator("#waterfall")).to_contain_text("record to socket")
    await expect(page.locator('#waterfall [data-stage="network"]')).to_contain_text(
        "watch this channel to see it"
    )
    assert [ms >= 0 for _, ms in await stages_of(page)] == [True, True, True, False, False]
    ways = page.get_by_label("Sent by")
    for interval, every in (("500", "every 500"), ("1 s", "every 1"), ("500", "every 500")):
        named = ways.locator("option").filter(
            has_text=f"flights/LGA · {interval}".replace(" s", "\u00a0s")
        )
        await ways.select_option(await named.get_attribute("value"))
        await expect(page.locator("#waterfall .facts")).to_contain_text(
            f"flights/LGA, latest, {every}"
        )
    await page.get_by_role("button", name="Seen here").click()
    await expect(events_of(page).filter(has_text="LGA/TW-9")).to_have_count(0)
    await publish_sampled(flights_run, KEY, FLIGHT)
    await expect(events_of(page).filter(has_text=KEY).first).to_be_visible()
    await expect(page.locator(".flow-row:not([data-complete])")).to_have_count(0)
    assert console.errors == []


async def test_a_followed_key_is_shown_with_its_events_alone_and_let_go_at_the_end(
    flights_run: DevRun, open_console: OpenPage, publish_flight: Publish
) -> None:
    key = "EWR/TW-9"
    console = await open_console(flights_run, "#flow")
    page = console.page
    await console.is_live()
    await follow(page, "flights", key)
    await is_watched(
        page, "flights"
    )  # what comes before stands in the snapshot, and no flush is told of it
    await publish_sampled(flights_run, KEY, FLIGHT)
    await publish_flight(flights_run, key, {**FLIGHT, "dep_delay": 77})
    line = page.locator("#key-events").get_by_role("row").filter(has_text='"dep_delay":77').first
    for name in STAGES:
        await expect(line.locator(f'[data-label="{name}"]')).to_have_text(MILLISECONDS)
    options = events_of(page)
    await expect(options.filter(has_text=key).first).to_be_visible()
    await expect(options.filter(has_not_text=key)).to_have_count(0)
    async with page.expect_request(lambda one: one.method == "DELETE") as ended:
        await page.locator("#follow-stop").click()
    body = json.loads((await ended.value).post_data or "")
    assert body == {"stream": "flights", "key": key}
    await expect(page.locator("#key-line")).to_be_hidden()
    await expect(options.filter(has_text=KEY).first).to_be_visible()

    await follow(page, "flights", key)
    assert await followed_beside(flights_run, KEY) == 1
    await page.goto("about:blank")

    async def is_let_go() -> bool:
        return await followed_beside(flights_run, KEY) == 0

    await eventually(is_let_go, what="the page that was left to let go of its key")
    assert console.errors == []


async def test_keys_that_are_followed_fast_one_after_another_are_asked_for_one_at_a_time(
    flights_run: DevRun, open_console: OpenPage
) -> None:
    page = (await open_console(flights_run, "#flow")).page
    await expect(page.locator("body")).to_have_attribute("data-state", "live")
    await page.evaluate(FOLLOW_FAST, ["EWR/TW-1", "EWR/TW-2", "EWR/TW-3", "EWR/TW-3"])
    await expect(page.locator("#follow-state")).to_contain_text("Following EWR/TW-3")
    assert await page.evaluate("window.asked") == [
        ["POST", "EWR/TW-1", 1],
        ["DELETE", "EWR/TW-1", 1],
        ["POST", "EWR/TW-3", 1],
    ]
    channel = (await page.locator("#follow-state").inner_text()).rpartition("by way of ")[2]
    await watch(page, channel)  # which the page subscribes to already
    await page.locator("#follow-stop").click()
    await is_watched(page, channel)


async def test_what_cannot_be_followed_or_watched_is_said(
    flights_run: DevRun, open_console: OpenPage
) -> None:
    console = await open_console(flights_run, "#flow")
    page = console.page
    await console.is_live()
    async with page.expect_websocket() as opened:
        await page.reload()
    socket = await opened.value
    await console.is_live()
    await page.get_by_label("Stream").fill("nowhere")
    await page.get_by_label("Key", exact=True).fill("x")
    await page.get_by_role("button", name="Follow", exact=True).click()
    await expect(page.locator("#follow-state")).to_contain_text("no stream 'nowhere' is configured")
    await page.get_by_label("Channel").fill("no/such channel")
    await page.get_by_role("button", name="Watch").click()
    await expect(page.locator("#watch-state")).to_contain_text("1 to 255 characters")
    await page.get_by_label("Channel").fill("nowhere")
    await page.get_by_role("button", name="Watch").click()
    await expect(page.locator("#watch-state")).to_contain_text("Refused nowhere")
    async with socket.expect_event("framesent", lambda sent: '"nowhere"' in sent):
        await page.get_by_role("button", name="Watch").click()
    await expect(page.locator("#watch-state")).to_contain_text("Refused nowhere")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
async def test_both_pages_can_be_read_in_light_and_dark_under_a_strict_policy(
    flights_run: DevRun, open_console: OpenPage, color_scheme: str
) -> None:
    console = await open_console(flights_run, "#flow?watch=flights/JFK", color_scheme=color_scheme)
    page = console.page
    await page.add_init_script(REMEMBER_VIOLATIONS)
    async with page.expect_response(re.compile("/console/$")) as answered:
        await page.reload()
    policy = (await answered.value).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    await console.is_live()
    await publish_sampled(flights_run, KEY, FLIGHT)
    await expect(page.locator("#waterfall .way li")).to_have_count(len(STAGES))
    for name in ("Flow", "System"):
        await page.get_by_role("tab", name=name).click()
        await expect(page.get_by_role("tabpanel", name=name)).to_be_visible()
        told = await page.evaluate(FAINTEST_TEXT)
        assert told["count"] > 20
        assert told["faintest"][0] >= LEGIBLE, told["faintest"]
    dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (color_scheme == "dark")
    assert await page.evaluate("window.violations") == []
    assert console.errors == []


@pytest.mark.parametrize("width", [320, 360])
async def test_a_phone_s_width_needs_no_sideways_scrolling(
    flights_run: DevRun, open_console: OpenPage, width: int
) -> None:
    console = await open_console(
        flights_run,
        "#flow?watch=flights/JFK",
        viewport={"width": width, "height": 780},
        reduced_motion="reduce",
    )
    page = console.page
    await console.is_live()
    await is_watched(page, "flights/JFK")
    await is_known(page, "flights/JFK")  # else the key is followed by way of the whole stream
    await follow(page, "flights", KEY)
    await publish_sampled(flights_run, KEY, {**FLIGHT, "note": "no-place-to-break-" * 12})
    await expect(page.locator("#waterfall .way li")).to_have_count(len(STAGES))
    await expect(page.locator("#key-events").get_by_role("row").nth(1)).to_be_visible()
    scrolls = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(scrolls)
    await page.get_by_role("tab", name="System").click()
    await expect(page.get_by_role("rowheader", name="gateway-1")).to_be_visible()
    assert not await page.evaluate(scrolls)
    assert console.errors == []


@pytest.mark.parametrize("fragment", ["#system", "#flow"])
async def test_keyboard_begins_at_the_top_whatever_page_is_opened(
    flights_run: DevRun, open_console: OpenPage, fragment: str
) -> None:
    window = {"width": 360, "height": 300}
    page = (await open_console(flights_run, fragment, viewport=window)).page
    await expect(page.locator("body")).to_have_attribute("data-state", "live")
    assert await page.evaluate("scrollY") == 0
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.id") == "skip"


async def test_keyboard_reaches_tabs_list_and_explanations(
    flights_run: DevRun, open_console: OpenPage
) -> None:
    console = await open_console(flights_run, "#system")
    page = console.page
    await console.is_live()
    focused = "document.activeElement.id"
    await page.keyboard.press("Tab")
    assert await page.evaluate(focused) == "skip"
    await expect(page.get_by_role("link", name="Skip to the figures")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    assert await page.evaluate(focused) == "content"
    await page.locator("#tab-system").focus()
    await page.keyboard.press("ArrowRight")
    assert await page.evaluate(focused) == "tab-flow"
    await expect(page.get_by_role("tabpanel", name="Flow")).to_be_visible()
    assert page.url.partition("#")[2].startswith("flow")
    order = []
    for _ in range(7):
        await page.keyboard.press("Tab")
        order.append(await page.evaluate(focused))
    reached = [name for name in order if name not in {"watch-stop", "follow-stop"}]
    assert reached[:3] == ["help-open", "watch-channel", ""], order  # "": the button of the form
    assert "follow-stream" in reached

    await watch(page, "flights/JFK")
    mine = events_of(page).filter(has_text=KEY)
    for number, delay in enumerate((50, 60)):
        await publish_sampled(flights_run, KEY, {**FLIGHT, "dep_delay": delay})
        await expect(mine.nth(number)).to_be_visible()
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("h")  # held, so that nothing moves under the arrows
    await expect(page.locator("#flows-pause")).to_have_attribute("aria-pressed", "true")
    await page.keyboard.press("l")
    assert await page.evaluate(focused) == "flows"
    await page.keyboard.press("Home")
    first = await events_of(page).first.get_attribute("id")
    await expect(page.locator("#flows")).to_have_attribute("aria-activedescendant", first)
    await page.keyboard.press("ArrowDown")
    second = await events_of(page).nth(1).get_attribute("id")
    await expect(page.locator("#flows")).to_have_attribute("aria-activedescendant", second)
    await expect(page.locator("#waterfall .way li")).to_have_count(len(STAGES))

    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog")).to_contain_text("Coalesced")
    assert await page.locator("#help-terms dt").count() > 20
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await page.keyboard.press("s")
    await expect(page.get_by_role("tabpanel", name="System")).to_be_visible()
    assert console.errors == []
