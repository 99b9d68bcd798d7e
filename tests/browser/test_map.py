"""The map in a real browser: what a click tells, what links and filters show, what nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from maps.picture import Picture
from tests import wallkit as kit
from tests.browser.test_wall import opened, settled, until
from tests.browserkit import Browsing

EVIDENCE = {
    "stream": "flood",
    "source": "gauge-1",
    "event": "event-17",
    "time": kit.NOON.isoformat(),
    "value": 2.04,
    "doubts": ["spike"],
}
#: Where the gauge of `kit.located_record` stands.
GAUGE = (105.55, 9.95)


@pytest.fixture
def wall() -> Iterator[kit.WallThread]:
    with kit.WallThread(kit.small_shell()) as running:
        yield running


def flooded(picture: Picture) -> None:
    """A gauge with an alert and its incident, a camera that is doubted, a sensor that is silent, a report."""
    other = {
        "outcome": "inside",
        "commune": "90005",
        "commune_name": "Phường Thử 5",
        "boundaries": "squares@1",
    }
    picture.apply_located(kit.located_record("gauge-1"))
    picture.apply_located(
        kit.located_record(
            "camera-1",
            stream="camera",
            lon=105.64,
            lat=10.06,
            place=other,
            count=3,
            doubts={"count": ["range"]},
        )
    )
    long_ago = kit.NOON - timedelta(hours=2)
    picture.apply_located(
        kit.located_record("traffic-1", long_ago, stream="traffic", lon=105.75, lat=10.15, place=other)
    )
    where = {"lon": GAUGE[0], "lat": GAUGE[1], "commune": "90001", "boundaries": "squares@1"}
    picture.apply_alert(kit.alert_record("a1", incident="i1", evidence=[EVIDENCE], where=where), "a1")
    picture.apply_alert(
        kit.alert_record(
            "a2",
            severity="extreme",
            subject="90009",
            incident="i1",
            where={"lon": 105.75, "lat": 10.17, "commune": "90009", "commune_name": "Phường Thử 9"},
        ),
        "a2",
    )
    member = {"rule": "r", "subject": "gauge-1", "severity": "severe", "worst": "severe"}
    members = [{**member, "alert": id, "since": kit.NOON.isoformat()} for id in ("a1", "a2")]
    picture.apply_incident(kit.incident_record("i1", members=members), "i1")
    picture.apply_located(kit.report_record("r1", "ngập nước"))


def click(browsing: Browsing, lon: float, lat: float) -> None:
    at = settled(browsing, f"map_wall.latLngToContainerPoint([{lat}, {lon}])")
    browsing.page.locator("#map_wall").click(position={"x": at["x"], "y": at["y"]})


def signs(browsing: Browsing) -> dict[str, int]:
    return browsing.page.evaluate("window.wall.drawn().signs")


def colour_at(browsing: Browsing, lon: float, lat: float) -> list[int]:
    """The colour that the signs' canvas has at a place."""
    return browsing.page.evaluate(
        f"""(() => {{
            const at = map_wall.latLngToLayerPoint([{lat}, {lon}]).subtract(dots_wall._bounds.min)
                .multiplyBy(dots_wall._ratio).round();
            return [...dots_wall._context.getImageData(at.x - 4, at.y, 1, 1).data];
        }})()"""
    )


def test_a_click_tells_what_an_alert_rests_on(wall: kit.WallThread, browsing: Browsing) -> None:
    """From a source to its alert: each observation with value and doubt, the rule's version, the boundaries."""
    wall.feed(flooded)
    page = opened(browsing, wall).page
    until(browsing, "window.wall.drawn().sources === 3")
    click(browsing, *GAUGE)
    details = page.locator("#details .detail")
    expect(details.locator("h2")).to_contain_text("gauge-1")
    expect(details).to_contain_text("1,50\u00a0m")
    details.get_by_role("button", name="BĐ3").click()
    expect(details).to_contain_text("event-17")
    expect(details).to_contain_text("2,04\u00a0m")
    expect(details).to_contain_text("tăng giảm đột ngột")
    expect(details).to_contain_text("water-level, phiên bản 1")
    expect(details).to_contain_text("squares@1")
    assert page.evaluate("location.hash") == "#alert=a1"
    page.screenshot(path=kit.screenshots() / "details.png")
    click(browsing, 105.65, 9.95)
    expect(details.locator("h2")).to_have_text("Phường Thử 2")
    expect(details).to_contain_text("Không quan sát được: không có trạm nào")
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    assert page.evaluate("location.hash") == ""
    assert browsing.errors == []
    assert browsing.console == []


@pytest.mark.parametrize(
    ("link", "text"),
    [
        ("alert=a2", "Mực nước vượt mức báo động"),
        ("incident=i1", "Triều cường"),
        ("commune=90005", "Phường Thử 5"),
        ("source=camera-1", "camera-1"),
        ("alert=unknown", "Không còn hiển thị: unknown"),
    ],
)
def test_a_link_leads_to_what_it_names(
    wall: kit.WallThread, browsing: Browsing, link: str, text: str
) -> None:
    """Whoever gets the address sees the alert, incident, commune or source that its sender saw."""
    wall.feed(flooded)
    page = opened(browsing, wall, f"#{link}").page
    expect(page.locator("#details .detail")).to_contain_text(text)
    assert page.evaluate("location.hash") == f"#{link}"


def test_only_the_abnormal_has_colour(wall: kit.WallThread, browsing: Browsing) -> None:
    """A source with an alert has the colour of its severity, a normal one is grey; so it is again afterwards."""
    wall.feed(flooded)
    opened(browsing, wall)
    until(browsing, "window.wall.drawn().sources === 3")
    settled(browsing, "map_wall.getZoom()")
    red, green, blue, alpha = colour_at(browsing, *GAUGE)
    assert alpha > 200
    assert max(red, green, blue) - min(red, green, blue) > 80
    wall.feed(
        lambda picture: picture.apply_alert(kit.alert_record("a1", state="cleared", change="cleared"), "a1")
    )
    until(browsing, "window.wall.drawn().source('gauge-1').state === 0")
    browsing.page.wait_for_timeout(200)
    red, green, blue, alpha = colour_at(browsing, *GAUGE)
    assert max(red, green, blue) - min(red, green, blue) < 40


def test_what_nobody_watches_is_unknown(wall: kit.WallThread, browsing: Browsing) -> None:
    """A commune is a blind spot until one of its sources is heard, and again once all have fallen silent."""
    page = opened(browsing, wall).page
    blind = "window.wall.drawn().blind.length"
    until(browsing, f"{blind} === 9")
    wall.feed(flooded)
    until(browsing, f"{blind} === 7")
    states = page.evaluate(
        "['gauge-1', 'camera-1', 'traffic-1'].map((id) => window.wall.drawn().source(id).state)"
    )
    assert states == [3, 8, 16], "severe, doubtful, silent"
    page.screenshot(path=kit.screenshots() / "blind.png")
    wall.passed = kit.NOON + timedelta(minutes=20)
    until(browsing, f"{blind} === 9")


def test_layers_and_filters_stand_in_the_address(wall: kit.WallThread, browsing: Browsing) -> None:
    """What is hidden is hidden for whoever opens the same address; that something is filtered shows."""
    wall.feed(flooded)
    page = opened(browsing, wall).page
    until(browsing, "window.wall.drawn().incidents === 1")
    all_signs = {"flood": 1, "camera": 1, "traffic": 1, "incident": 1, "report": 1, "alert": 1}
    assert signs(browsing) == all_signs
    page.locator(".leaflet-control-layers").get_by_text("Camera").click()
    page.locator("#filters summary").click()
    page.locator("#filter-extreme").uncheck()
    expect(page.locator("#filters summary")).to_contain_text("BẢN ĐỒ ĐANG LỌC")
    expected = {"flood": 1, "traffic": 1, "incident": 1, "report": 1}
    assert signs(browsing) == expected
    address = page.url
    assert "hide=camera" in address
    assert "severities=severe" in address
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector("body.ready")
    until(browsing, "window.wall.drawn().incidents === 1")
    assert signs(browsing) == expected
    page.locator("#filters summary").click()
    page.locator("#filter-reset").click()
    page.locator(".leaflet-control-layers").get_by_text("Camera").click()
    assert signs(browsing) == all_signs
    assert "#" not in page.evaluate("location.hash")
    page.locator("#filter-find").fill("traffic")
    page.locator("#filter-found").get_by_role("button", name="traffic-1").click()
    expect(page.locator("#details .detail h2")).to_contain_text("traffic-1")


def test_the_abnormal_can_be_walked_by_keys(wall: kit.WallThread, browsing: Browsing) -> None:
    """The worst first, and round again; nobody needs a mouse to learn what an alert rests on."""
    wall.feed(flooded)
    page = opened(browsing, wall).page
    until(browsing, "window.wall.drawn().incidents === 1")
    seen: list[Any] = []
    for _ in range(4):
        page.keyboard.press("]")
        expect(page.locator("#details")).to_be_visible()
        page.wait_for_timeout(300)
        seen.append(page.evaluate("location.hash"))
    assert seen == ["#alert=a2", "#source=gauge-1", "#incident=i1", "#alert=a2"]
    page.keyboard.press("[")
    until(browsing, "location.hash === '#incident=i1'")


def test_a_source_that_moves_is_where_it_says(wall: kit.WallThread, browsing: Browsing) -> None:
    """A reading from elsewhere takes the sign with it, and a click finds it there."""
    wall.feed(flooded)
    page = opened(browsing, wall).page
    until(browsing, "window.wall.drawn().sources === 3")
    later = kit.NOON + timedelta(seconds=30)
    wall.feed(
        lambda picture: picture.apply_located(
            kit.located_record("gauge-1", later, lon=105.72, lat=9.96, level_m=1.75)
        )
    )
    until(browsing, "Math.abs(window.wall.drawn().source('gauge-1').lon - 105.72) < 1e-5")
    assert page.evaluate("window.wall.drawn().source('gauge-1').value") == 1.75
    click(browsing, 105.72, 9.96)
    expect(page.locator("#details .detail h2")).to_contain_text("gauge-1")
