"""The console in a real browser where the internal port asks for a key: by hand, and by the command's link."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from harness.gateway_process import GatewayProcess, running_process
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.settings import KafkaSettings
from tidewire.system.streams import system_streams
from tidewire.topics import apply_topics

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

KEY, OTHER = "a" * 64, "b" * 64
PATIENCE_MS = 20_000


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "internal.key"
    path.write_text(KEY)
    return path


@pytest.fixture
def node(embedded_kafka: str, tmp_path: Path, key_file: Path) -> Iterator[GatewayProcess]:
    admin = ConfluentAdmin(KafkaSettings(bootstrap=embedded_kafka))
    apply_topics(admin, system_streams())
    admin.close()
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams: {flights: {topic: flights, public: true}}")
    with running_process(
        streams,
        NODE="login-1",
        CONSOLE="true",
        INTERNAL_KEY_FILE=str(key_file),
        KAFKA__BOOTSTRAP=embedded_kafka,
    ) as process:
        yield process


@pytest.fixture
async def page(browser: Browser) -> Page:
    page = await (await browser.new_context()).new_page()
    page.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    return page


async def is_live(page: Page) -> None:
    """Its WebSocket has been let in, and tells of the node."""
    await expect(page.locator("body")).to_have_attribute("data-state", "live")
    await expect(page.locator("#page-system")).to_contain_text("login-1")


async def test_operator_types_the_key_and_is_let_in(node: GatewayProcess, page: Page) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    console = f"{node.ready['internal']}/console/"
    answer = await page.goto(console)
    assert answer is not None
    assert answer.status == 401
    await expect(page.get_by_role("alert")).to_be_hidden()
    await page.get_by_label("Internal key").fill(OTHER)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Internal key").fill(KEY)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(console)
    await is_live(page)
    await page.reload()
    await is_live(page)
    assert await page.evaluate("document.cookie") == ""
    await page.context.clear_cookies()
    answer = await page.reload()
    assert answer is not None
    assert answer.status == 401
    assert errors == []


async def test_link_of_the_command_lets_a_browser_in_once(
    node: GatewayProcess, page: Page, browser: Browser, key_file: Path, tmp_path: Path
) -> None:
    opener, opened = tmp_path / "opener", tmp_path / "opened"
    opener.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}\n')
    opener.chmod(0o700)
    variables = {"BROWSER": str(opener), "TIDEWIRE_INTERNAL_KEY_FILE": str(key_file)}
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tidewire.cli", "console", "--url", node.ready["internal"]),
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await command.communicate()
    assert command.returncode == 0, said.decode()
    link = opened.read_text()
    await page.goto(link)
    await page.wait_for_url(f"{node.ready['internal']}/console/")
    await is_live(page)
    again = await (await browser.new_context()).new_page()
    await again.goto(link)
    await expect(again.get_by_role("alert")).to_be_visible()
    shown = link.partition("#pass=")[2]
    assert shown not in node.said()
    assert KEY not in node.said()
