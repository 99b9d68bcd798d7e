"""The map in a real browser: what a click tells, what links and filters show, what nobody watches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Route, expect

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
    expect(details).to_contain_text("17:30")
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
    expect(page.locator("#legend-blind")).to_have_text("Không trạm nào gửi dữ liệu: 7/9")
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
    page.locator("#filters summary").click()
    page.locator(".leaflet-control-layers").get_by_text("Camera").click()
    page.locator("#filter-extreme").uncheck()
    expect(page.locator("#filters summary")).to_contain_text("ĐANG LỌC")
    page.screenshot(path=kit.screenshots() / "filters.png")
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
    assert seen == ["#alert=a2", "#incident=i1", "#source=gauge-1", "#alert=a2"]
    page.keyboard.press("[")
    until(browsing, "location.hash === '#source=gauge-1'")


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


def test_a_source_tells_how_old_it_is(wall: kit.WallThread, browsing: Browsing) -> None:
    """When it was heard last and how long ago that is, in the time of the data; a silent one says that it is."""
    wall.feed(flooded)
    page = opened(browsing, wall, "#source=traffic-1").page
    details = page.locator("#details .detail")
    expect(details).to_contain_text("15:30 (2 giờ 0 phút trước)")
    expect(details).to_contain_text("im lặng")


def test_what_is_watched_is_known_however_late_the_map_comes(
    wall: kit.WallThread, browsing: Browsing
) -> None:
    """The picture may arrive before the boundaries: a commune that is watched is no blind spot because of that."""
    wall.feed(flooded)
    page = browsing.page

    def later(route: Route) -> None:
        page.wait_for_function("window.wall?.drawn().sources === 3")
        route.continue_()

    page.route("**/boundaries.geojson*", later)
    page.goto(wall.url)
    page.wait_for_selector("body.ready", timeout=30_000)
    assert len(page.evaluate("window.wall.drawn().blind")) == 7


def test_filters_hide_in_the_list_and_on_the_map_and_say_so(wall: kit.WallThread, browsing: Browsing) -> None:
    """By stream, severity and commune; the counters keep to everything, and what is hidden is counted."""
    wall.feed(flooded)

    def more(picture: Picture) -> None:
        seen = {**EVIDENCE, "stream": "camera", "source": "camera-1"}
        where = {"lon": 105.64, "lat": 10.06, "commune": "90005", "commune_name": "Phường Thử 5"}
        queue = kit.alert_record(
            "b1",
            severity="minor",
            subject="camera-1",
            measure="count",
            unit="vehicles",
            evidence=[seen],
            where=where,
        )
        picture.apply_alert(queue, "b1")

    wall.feed(more)
    page = opened(browsing, wall, "#streams=flood,report").page
    rows = page.locator("#alerts .alert")
    expect(rows.locator("visible=true")).to_have_count(1)
    expect(page.locator("#sieve-text")).to_have_text("ĐANG LỌC: ẩn 1 cảnh báo4")
    expect(page.locator("#counters .minor strong")).to_have_text("1")
    drawn = "window.wall.drawn()"
    until(browsing, f"{drawn}.communes['90005'] === null && {drawn}.communes['90009'] === 'extreme'")
    assert "camera" not in signs(browsing)
    page.screenshot(path=kit.screenshots() / "filtered.png")
    page.locator("#sieve-reset").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#sieve")).to_be_hidden()
    until(browsing, f"{drawn}.communes['90005'] === 'minor'")
    page.locator("#filters summary").focus()
    page.keyboard.press("Enter")
    page.locator("#filter-commune").focus()
    page.locator("#filter-commune").select_option("90005")
    expect(rows.locator("visible=true")).to_have_count(1)
    expect(rows.locator("visible=true")).to_have_attribute("data-id", "b1")
    assert signs(browsing) == {"camera": 1, "traffic": 1}, "those of the commune"
    page.locator("#filter-minor").focus()
    page.keyboard.press("Space")
    expect(page.locator("#calm")).to_be_visible()
    expect(page.locator("#sieve-text")).to_contain_text("ẩn 3 cảnh báo")
    assert "streams" not in page.url
    assert "in=90005" in page.url
    assert browsing.errors == []


def test_an_incident_calls_for_no_more_than_its_alerts(wall: kit.WallThread, browsing: Browsing) -> None:
    """Its sign has the severity of the worst that asks for attention; with all put aside there is none."""
    wall.feed(flooded)
    page = opened(browsing, wall).page
    until(browsing, "window.wall.drawn().signs.incident === 1")

    def suppress(picture: Picture) -> None:
        for id, severity in (("a1", "severe"), ("a2", "extreme")):
            record = kit.alert_record(id, severity=severity, incident="i1", sequence=2, suppressed="limit:x")
            picture.apply_alert(record, id)

    wall.feed(suppress)
    until(browsing, "!window.wall.drawn().signs.incident")
    assert page.evaluate("window.wall.drawn().incidents") == 1
