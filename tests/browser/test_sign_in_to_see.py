"""A wall where one signs in to see, in a real browser: nothing before, everything after, nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ioc.operators import write_operators
from tests import wallkit as kit
from tests.browserkit import Browsing


@pytest.fixture
def wall(tmp_path: Path) -> Iterator[kit.WallThread]:
    made = kit.WallThread(kit.small_shell(), kit.operators_file(tmp_path))
    made.to_see = True
    with made as running:
        running.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
        yield running


def sign_in(page: Page, who: str) -> None:
    """The dialog is there by itself, with the cursor in its first field."""
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#sign-in-id")).to_be_focused()
    page.keyboard.type(who)
    page.keyboard.press("Tab")
    page.keyboard.type(kit.PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#sign-in")).to_be_hidden()


def test_one_signs_in_then_sees_and_after_signing_out_does_not(
    wall: kit.WallThread, browsing: Browsing
) -> None:
    """The dialog comes by itself and keeps what is typed; alerts come after it; signed out, none is left."""
    page = browsing.page
    page.goto(wall.url)
    expect(page.locator("#sign-in")).to_be_visible()
    page.keyboard.type("oper")
    page.wait_for_timeout(2500)  # the page has asked again meanwhile
    expect(page.locator("#sign-in-id")).to_have_value("oper")
    expect(page.locator("#alerts .alert")).to_have_count(0)
    page.locator("#sign-in-id").fill("")
    sign_in(page, "operator")
    expect(page.locator("#alerts .alert")).to_have_count(1, timeout=5000)
    page.locator("#account-button").click()
    expect(page.locator("#sign-in")).to_be_visible()
    expect(page.locator("#alerts .alert")).to_have_count(0)


def test_a_screen_sees_again_when_the_wall_comes_back_and_not_when_it_was_removed(
    wall: kit.WallThread, browsing: Browsing, tmp_path: Path
) -> None:
    """A viewer stays signed in over a new start of the wall; once removed, the screen asks."""
    page = browsing.page
    page.goto(wall.url)
    sign_in(page, "viewer")
    expect(page.locator("#alerts .alert")).to_have_count(1, timeout=5000)
    wall.stop()
    wall.start()
    wall.feed(lambda picture: picture.apply_alert(kit.alert_record("a2"), "a2"))
    expect(page.locator("#alerts .alert")).to_have_count(2, timeout=15000)
    expect(page.locator("#sign-in")).to_be_hidden()
    write_operators(tmp_path / "operators.yaml", [])
    expect(page.locator("#sign-in")).to_be_visible(timeout=15000)
