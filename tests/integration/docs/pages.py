"""Looks at a page of a document in Chromium."""

import os
from collections.abc import Sequence

from playwright.async_api import async_playwright, expect

__all__ = ["fault_of_page"]

CHROMIUM = os.environ.get("TIDEWIRE_CHROMIUM", "/usr/bin/chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
PATIENCE_MS = 20_000


async def fault_of_page(address: str, shows: Sequence[str], hides: Sequence[str]) -> str | None:
    """Which of the texts the page never shows, or which it goes on showing."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        try:
            page = await browser.new_page()
            heard: list[str] = []
            page.on("console", lambda message: heard.append(message.text))
            await page.goto(address)
            body = expect(page.locator("body"))
            for text in shows:
                await body.to_contain_text(text, timeout=PATIENCE_MS)
            for text in hides:
                await body.not_to_contain_text(text, timeout=PATIENCE_MS)
        except AssertionError as error:
            return f"{error}\n{heard}"
        finally:
            await browser.close()
    return None
