"""A real browser for tests of the wall: the system's Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tests.browserkit import ARGUMENTS, Browsing, chromium


@pytest.fixture
def browsing() -> Iterator[Browsing]:
    """A page of 1920 x 1080 that records what it does; it asserts at the end that it asked one host only."""
    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": 1920, "height": 1080}, locale="vi-VN", timezone_id="UTC"
        )
        page = context.new_page()
        seen = Browsing(page)

        def on_console(message: ConsoleMessage) -> None:
            seen.console.append(f"{message.type}: {message.text}")

        page.on("request", lambda request: seen.requests.append(request.url))
        page.on("console", on_console)
        page.on("pageerror", lambda error: seen.errors.append(str(error)))
        try:
            yield seen
        finally:
            browser.close()
        assert len(seen.hosts()) <= 1, f"the page asked other hosts than its own: {seen.hosts()}"


@pytest.fixture
def chromium_page(browsing: Browsing) -> Page:
    """The page alone."""
    return browsing.page
