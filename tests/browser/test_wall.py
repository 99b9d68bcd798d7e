"""The wall in a real browser, fed through the same path as from Kafka."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from maps.picture import Picture
from tests import wallkit as kit
from tests.browserkit import Browsing

HOSTILE = "<script>window.ran = true</script><img src=x onerror='window.ran = true'> ${window.ran = true} `"


@pytest.fixture
def wall() -> Iterator[kit.WallThread]:
    with kit.WallThread(kit.small_shell()) as running:
        yield running


def opened(browsing: Browsing, wall: kit.WallThread, query: str = "") -> Browsing:
    """The wall's page, its communes drawn and its first snapshot shown."""
    browsing.page.goto(wall.url + query)
    browsing.page.wait_for_selector("body.ready")
    expect(browsing.page.locator("#clock")).to_have_text("17:30:00")
    return browsing


def until(browsing: Browsing, expression: str) -> None:
    """Wait until an expression holds. Playwright's own way needs eval, which the policy refuses."""
    deadline = time.monotonic() + 8
    while not browsing.page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        browsing.page.wait_for_timeout(50)


def settled(browsing: Browsing, expression: str) -> Any:
    """The value of an expression once it stays the same: a banner that comes or goes moves the map a little."""
    deadline = time.monotonic() + 8
    before, now = None, browsing.page.evaluate(expression)
    while now != before:
        assert time.monotonic() < deadline, f"never settled: {expression}"
        browsing.page.wait_for_timeout(300)
        before, now = now, browsing.page.evaluate(expression)
    return now


def communes(browsing: Browsing) -> dict[str, str | None]:
    """The severity that each commune is drawn with."""
    return browsing.page.evaluate("window.wall.drawn().communes")


def test_an_alert_appears_and_colours_its_commune(wall: kit.WallThread, browsing: Browsing) -> None:
    """Within two seconds it is in the list, in the counters and on the map; cleared, it leaves all three."""
    page = opened(browsing, wall).page
    expect(page.locator("#calm")).to_be_visible()
    assert set(communes(browsing).values()) == {None}

    began = time.monotonic()
    wall.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
    row = page.locator("#alerts .alert.severe")
    expect(row).to_be_visible(timeout=2000)
    assert time.monotonic() - began < 2
    expect(row.locator(".place")).to_have_text("Phường Thử 1")
    expect(row.locator(".title")).to_have_text("BĐ3 · Mực nước vượt mức báo động")
    expect(row.locator(".value")).to_have_text("2,04\u00a0m")
    expect(row.locator(".since")).to_have_text("25 phút")
    expect(row.locator(".subject")).to_have_text("Trạm thử 1")
    expect(page.locator("#counters .severe strong")).to_have_text("1")
    assert {code for code, severity in communes(browsing).items() if severity} == {"90001"}
    expect(page.locator("#simulated")).to_be_visible()
    expect(page.locator("#approximate")).to_be_visible()
    page.screenshot(path=kit.screenshots() / "alert.png")

    wall.feed(
        lambda picture: picture.apply_alert(kit.alert_record("a1", state="cleared", change="cleared"), "a1")
    )
    expect(row).to_have_count(0, timeout=2000)
    expect(page.locator("#ended li")).to_contain_text("Phường Thử 1")
    assert set(communes(browsing).values()) == {None}
    assert browsing.errors == []
    assert browsing.console == [], "nothing that the policy refused, nothing missing"


def test_the_worst_alert_colours_the_commune(wall: kit.WallThread, browsing: Browsing) -> None:
    """Of several open alerts in one commune the worst counts; the list begins with it."""
    page = opened(browsing, wall).page

    def apply(picture: Picture) -> None:
        for severity in ("minor", "extreme", "moderate"):
            picture.apply_alert(kit.alert_record(severity, severity=severity), severity)

    wall.feed(apply)
    expect(page.locator("#alerts .alert")).to_have_count(3)
    order = page.locator("#alerts .alert").evaluate_all("rows => rows.map((row) => row.dataset.id)")
    assert order == ["extreme", "moderate", "minor"]
    assert communes(browsing)["90001"] == "extreme"


def test_hostile_text_is_text(wall: kit.WallThread, browsing: Browsing) -> None:
    """Markup in any text of an alert or report is shown letter by letter and never runs, details included."""
    page = opened(browsing, wall).page
    texts = {"vi": HOSTILE, "en": HOSTILE}
    where = {"lon": 105.55, "lat": 9.95, "commune": "90001", "commune_name": HOSTILE}

    def apply(picture: Picture) -> None:
        alert = kit.alert_record(
            "a1", title=texts, label=texts, subject=HOSTILE, subject_name=texts, unit=HOSTILE, where=where
        )
        picture.apply_alert(alert, "a1")
        picture.apply_alert(
            kit.alert_record("a2", title=texts, where=where, state="closed", change="closed"), "a2"
        )
        picture.apply_located(kit.report_record("r1", HOSTILE, category=HOSTILE))
        picture.apply_located(kit.located_record(HOSTILE, kind=HOSTILE))

    wall.feed(apply)
    expect(page.locator("#alerts .place")).to_have_text(HOSTILE)
    expect(page.locator("#ticker .text")).to_have_text(HOSTILE)
    for x, y in ((105.65, 10.05), (105.55, 9.95)):
        at = settled(browsing, f"map_wall.latLngToContainerPoint([{y}, {x}])")
        page.locator("#map_wall").click(position={"x": at["x"], "y": at["y"]})
        expect(page.locator("#details .detail")).to_contain_text(HOSTILE)
    page.screenshot(path=kit.screenshots() / "hostile.png")
    assert page.evaluate("window.ran") is None
    assert page.locator("body script, #details img, #alerts img, #ticker img").count() == 0
    assert browsing.errors == []


def test_a_dead_server_shows_and_its_return_needs_nobody(wall: kit.WallThread, browsing: Browsing) -> None:
    """The banner appears within five seconds; once the server is back the page follows it again by itself."""
    page = opened(browsing, wall).page
    expect(page.locator("#banner")).to_be_hidden()
    wall.stop()
    expect(page.locator("#banner")).to_contain_text("MẤT KẾT NỐI", timeout=5000)
    page.screenshot(path=kit.screenshots() / "lost.png")
    wall.feed_later(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
    wall.start()
    expect(page.locator("#banner")).to_be_hidden(timeout=10_000)
    expect(page.locator("#alerts .alert")).to_have_count(1)


def test_silent_clocks_show(wall: kit.WallThread, browsing: Browsing) -> None:
    """A server that lives while no clock records arrive is no live picture: the banner says since when."""
    page = opened(browsing, wall).page
    wall.silence()
    expect(page.locator("#banner")).to_contain_text("KHÔNG CÓ TÍN HIỆU ĐỒNG HỒ", timeout=8000)


def test_the_language_can_be_switched(wall: kit.WallThread, browsing: Browsing) -> None:
    """Everything on the page follows the button, and ?lang=en begins in English."""
    wall.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
    page = opened(browsing, wall, "?lang=en").page
    expect(page.locator("#title")).to_have_text(kit.TITLE["en"])
    expect(page.locator("#alerts .title")).to_have_text("BĐ3 · Water level above a warning level")
    expect(page.locator("#alerts .value")).to_have_text("2.04\u00a0m")
    expect(page.locator("#counters")).to_contain_text("EXTREME")
    expect(page.locator("#legend")).to_contain_text("Report (30 minutes)")
    expect(page.locator(".leaflet-control-layers")).to_contain_text("Communes")
    page.locator("#language").click()
    expect(page.locator("#title")).to_have_text(kit.TITLE["vi"])
    expect(page.locator("#alerts .value")).to_have_text("2,04\u00a0m")
    expect(page.locator("#counters")).to_contain_text("KHẨN CẤP")
    empty = page.locator("[data-text]").evaluate_all("all => all.filter((one) => !one.textContent).length")
    assert empty == 0


def test_clicking_an_alert_shows_its_commune(wall: kit.WallThread, browsing: Browsing) -> None:
    """The map goes to the commune, and back by the button or the Escape key."""
    wall.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
    page = opened(browsing, wall).page
    # Its zoom is no measure of the whole city: that changes a little while banners come and go.
    its_middle, far_corner = "[9.95, 105.55]", "[10.19, 105.79]"
    seen = "map_wall.getBounds().contains({})"
    until(browsing, f"{seen.format(its_middle)} && {seen.format(far_corner)}")
    page.locator("#alerts .alert").click()
    until(browsing, f"{seen.format(its_middle)} && !{seen.format(far_corner)}")
    page.keyboard.press("Escape")
    until(browsing, f"{seen.format(its_middle)} && {seen.format(far_corner)}")


def test_old_reports_leave_the_map(wall: kit.WallThread, browsing: Browsing) -> None:
    """Half an hour of event time after a report its dot is gone."""
    page = opened(browsing, wall).page
    wall.feed(lambda picture: picture.apply_located(kit.report_record("r1", "ngập")))
    until(browsing, "window.wall.drawn().reports === 1")
    wall.passed = kit.NOON + timedelta(minutes=31)
    until(browsing, "window.wall.drawn().reports === 0")
    expect(page.locator("#clock")).to_have_text("18:01:00")
