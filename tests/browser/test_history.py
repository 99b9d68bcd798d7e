"""The wall of the past in a real browser: a slider, a banner that says so, and the way back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page, expect

from geo.cache import load_registry
from geo.drawing import drawing
from ioc.settings import load_settings
from maps.history import History
from maps.picture import LOCAL
from maps.server import note_of
from maps.shell import build_shell
from streams.configuration import Configuration, local_record
from streams.offline import MemorySystem
from streams.picturing import FRAME_PREFIX, Frame, FrameAlert
from streams.rehearsal import raw_records
from streams.shelf import Shelf
from tests import wallkit as kit
from tests.browserkit import Browsing
from tests.planned import SCENARIO


@dataclass
class Past:
    """A past in memory."""

    history: History
    events: list[bytes] = field(default_factory=list)

    async def located(self, appended_ms: int) -> list[bytes]:
        return self.events


def small_past() -> Past:
    """An hour before the present in which a1 was open for the first half."""
    past = Past(History(48))
    for minute in range(-60, 1):
        rows = [FrameAlert("a1", 1, "severe")] if minute < -30 else []
        frame = Frame(
            time=kit.NOON + timedelta(minutes=minute),
            province="92",
            counts={"severe": 1} if rows else {},
            communes={"90001": "severe"} if rows else {},
            alerts=rows,
        )
        past.history.take_frame(msgspec.json.encode(frame))
    past.history.take_alert(kit.alert_record("a1", title={"vi": "<b>cũ</b>", "en": "<b>old</b>"}))
    past.events = [kit.located_record("gauge-1", kit.NOON - timedelta(minutes=50))]
    return past


@pytest.fixture
def wall() -> Iterator[kit.WallThread]:
    wall = kit.WallThread(kit.small_shell())
    wall.past = small_past()
    with wall as running:
        yield running


def opened(browsing: Browsing, wall: kit.WallThread, query: str = "") -> Page:
    page = browsing.page
    page.goto(wall.url + query)
    page.wait_for_selector("body.ready", timeout=30_000)
    expect(page.locator("#clock")).not_to_have_text("--:--:--", timeout=20_000)
    return page


def look_at(page: Page, minute: int) -> None:
    """Move the slider to a minute since 1970, as a hand does."""
    page.locator("#history-slider").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input', {bubbles: true})); }",
        str(minute),
    )


def test_the_past_says_that_it_is_past(wall: kit.WallThread, browsing: Browsing) -> None:
    """By the keyboard into the past and back: the alerts of then, a banner, and what is open now beside it."""
    page = opened(browsing, wall)
    expect(page.locator("#calm")).to_be_visible()
    page.locator("#history-open").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#history-slider")).to_be_focused(timeout=10_000)
    page.keyboard.press("Home")
    banner = page.locator("#past")
    expect(banner).to_be_visible(timeout=10_000)
    expect(banner).to_contain_text("ĐANG XEM QUÁ KHỨ: 16:30 28-10")
    expect(page.locator("#clock")).to_have_text("16:30:00")
    expect(page.locator("#alerts .alert.severe .title")).to_contain_text("<b>cũ</b>")
    assert page.evaluate("window.wall.drawn().communes['90001']") == "severe"
    page.keyboard.press("PageUp")
    expect(page.locator("#clock")).not_to_have_text("16:30:00", timeout=10_000)
    page.screenshot(path=kit.screenshots() / "history.png")

    wall.feed(lambda picture: picture.apply_alert(kit.alert_record("new", severity="extreme"), "new"))
    expect(page.locator("#past-worse")).to_have_text("CÓ CẢNH BÁO KHẨN CẤP MỚI", timeout=10_000)
    expect(page.locator("#alerts .alert.extreme")).to_have_count(0)
    expect(page.locator("#past-now strong").first).to_have_text("1")

    page.keyboard.press("Escape")
    expect(banner).to_be_hidden()
    expect(page.locator("#alerts .alert.extreme")).to_have_count(1, timeout=10_000)
    expect(page.locator("#alerts .alert.severe")).to_have_count(0)
    expect(page.locator("#clock")).to_have_text("17:30:00")
    assert browsing.errors == []
    assert browsing.console == []


def test_the_past_has_its_incidents_and_its_details(browsing: Browsing) -> None:
    """An incident of then is one row; a click tells what an alert and a source were then, not what they are now."""
    wall = kit.WallThread(kit.small_shell())
    wall.past = past = Past(History(48))
    began = kit.NOON - timedelta(minutes=60)
    for minute in range(-60, 1):
        frame = Frame(
            time=kit.NOON + timedelta(minutes=minute),
            province="92",
            counts={"severe": 2},
            communes={"90001": "severe"},
            alarms_10m=2,
            alarms_1h=2,
            alerts=[FrameAlert("a1", 1, "severe"), FrameAlert("a2", 1, "severe")],
        )
        past.history.take_frame(msgspec.json.encode(frame))
    for id in ("a1", "a2"):
        past.history.take_alert(kit.alert_record(id, incident="i1", started=began.isoformat()))
    past.history.take_alert(kit.alert_record("a1", incident="i1", sequence=2, value=9.99))
    member = {"rule": "water-level", "subject": "gauge-1", "severity": "severe", "worst": "severe"}
    members = [{**member, "alert": id, "since": began.isoformat()} for id in ("a1", "a2")]
    past.history.take_incident(kit.incident_record("i1", state="closed", members=members))
    past.events = [kit.located_record("gauge-1", kit.NOON - timedelta(minutes=50))]
    with wall:
        wall.feed(lambda picture: picture.apply_located(kit.located_record("gauge-1", level_m=0.11)))
        page = opened(browsing, wall)
        page.locator("#history-open").click()
        expect(page.locator("#history-slider")).to_be_focused(timeout=10_000)
        look_at(page, int((kit.NOON - timedelta(minutes=40)).timestamp()) // 60)
        expect(page.locator("#past")).to_be_visible(timeout=10_000)
        expect(page.locator(".toggle")).to_have_text("+ Triều cường: 2 cảnh báo")
        expect(page.locator("#rate")).to_have_text("Cảnh báo mới: 2 trong 10 phút · 2 trong 1 giờ")
        page.locator("#alerts .alert .title").first.click()
        details = page.locator("#details .detail")
        expect(details).to_contain_text("water-level, phiên bản 1")
        expect(details).to_contain_text("2,04\u00a0m")
        expect(details).not_to_contain_text("9,99")
        details.get_by_role("button", name="Sự cố").click()
        expect(details.locator("h2")).to_contain_text("Triều cường")
        expect(details.locator("li")).to_have_count(2)  # its alerts; the high water came later
        page.screenshot(path=kit.screenshots() / "history-details.png")
        page.evaluate("location.hash = '#source=gauge-1'")
        expect(details).to_contain_text("1,50\u00a0m")
        page.locator("#past .history-back").click()
        expect(details).to_contain_text("0,11\u00a0m", timeout=10_000)
    assert browsing.errors == []


def test_nothing_can_be_commanded_in_the_past(browsing: Browsing, tmp_path: Path) -> None:
    """Buttons that would change the present are not there while something else is shown."""
    wall = kit.WallThread(kit.small_shell(), kit.operators_file(tmp_path))
    wall.past = small_past()
    with wall:
        wall.feed(lambda picture: picture.apply_alert(kit.alert_record("a1"), "a1"))
        page = opened(browsing, wall)
        page.locator("#account button").first.click()
        page.locator("#sign-in-id").fill("operator")
        page.locator("#sign-in-password").fill(kit.PASSWORD)
        page.keyboard.press("Enter")
        button = page.locator("#alerts .actions button").first
        expect(button).to_be_visible(timeout=20_000)
        page.locator("#history-open").click()
        expect(page.locator("#history-slider")).to_be_focused(timeout=10_000)
        page.keyboard.press("Home")
        expect(page.locator("#past")).to_be_visible(timeout=10_000)
        expect(button).to_be_hidden()
        page.locator("#past .history-back").click()
        expect(button).to_be_visible(timeout=10_000)


def test_without_a_history_it_says_so(browsing: Browsing) -> None:
    wall = kit.WallThread(kit.small_shell())
    wall.past = Past(History(48))
    with wall:
        page = opened(browsing, wall, "?lang=en")
        page.locator("#history-open").click()
        expect(page.locator("#history-time")).to_have_text("There is no history yet", timeout=10_000)
        expect(page.locator("#history-slider")).to_be_disabled()


@pytest.fixture(scope="module")
def day() -> Iterator[kit.WallThread]:
    """The whole day of the scenario, judged as the workers do it, behind a wall with its map."""
    settings = load_settings(inventory_file=SCENARIO / "inventory.yaml", topic_prefix="")
    registry = load_registry(None, settings.provinces, settings.cache_dir)
    configuration = Configuration.of(
        local_record(settings, registry),
        Shelf(settings).atlas(registry),
        rules_name="rules",
        inventory_name="inventory",
    )
    system = MemorySystem(settings, [configuration])
    for record in raw_records(settings, SCENARIO / "scenario.ndjson.gz", configuration.hash):
        system.log.append(*record)
    system.run()
    past = Past(History(settings.history_hours))
    for (topic, _), records in system.log.partitions.items():
        for record in records:
            value = record.value or b""
            if topic == system.topics.located.name:
                past.events.append(value)
            elif topic == system.topics.alert_changes.name:
                past.history.take_alert(value)
            elif topic == system.topics.incidents.name and value:
                past.history.take_incident(value)
            elif topic == system.topics.picture.name and (record.key or b"").startswith(FRAME_PREFIX):
                past.history.take_frame(value)
    boundaries = registry.sets[-1]
    wall = kit.WallThread(build_shell(drawing(boundaries), note_of(boundaries), kit.TITLE))
    wall.past = past
    with wall as running:
        yield running


def test_a_whole_day_can_be_walked_through(day: kit.WallThread, browsing: Browsing) -> None:
    """Twenty-four hours of events: each time shows the alerts of then, and none waits for long."""
    past = day.past
    assert past is not None
    frames = past.history.timeline()["frames"]
    assert len(frames) >= 23 * 60
    page = opened(browsing, day)
    page.locator("#history-open").click()
    expect(page.locator("#history-slider")).to_be_enabled(timeout=20_000)
    shown = []
    for hour, minute in ((2, 40), (6, 30), (18, 30), (19, 30), (23, 0)):
        moment = datetime(2025, 10, 8, hour, minute, tzinfo=LOCAL)
        began = time.monotonic()
        look_at(page, int(moment.timestamp()) // 60)
        expect(page.locator("#clock")).to_have_text(f"{hour:02}:{minute:02}:00", timeout=15_000)
        shown.append(time.monotonic() - began)
        row = frames[int(moment.timestamp()) // 60 - frames[0][0]]
        figures = page.locator("#counters strong").all_text_contents()
        assert [int(figure) for figure in figures] == row[1:5], moment
    page.screenshot(path=kit.screenshots() / "history-day.png")
    assert max(shown) < 10
    look_at(page, int(datetime(2025, 10, 8, 18, 30, tzinfo=LOCAL).timestamp()) // 60)
    expect(page.locator("#clock")).to_have_text("18:30:00", timeout=15_000)
    page.screenshot(path=kit.screenshots() / "history-evening.png")
    assert page.evaluate("window.wall.drawn().sources") > 100
    page.locator("#history .history-back").click()
    expect(page.locator("#past")).to_be_hidden()
    assert browsing.errors == []
