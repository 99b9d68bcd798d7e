"""Whether the wall can be read, heard and used: sizes, themes, the list's order, incidents, sound, views, a phone."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Page, expect

from maps.history import History
from maps.picture import Picture
from streams.picturing import Frame, FrameAlert
from tests import wallkit as kit
from tests.browser.test_history import Past
from tests.browserkit import Browsing

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
#: What must be read from where the wall is watched, with the least angle of its letters in minutes of arc.
MUST_BE_READ = {
    "#clock": 20,
    "#counters strong": 20,
    "#alerts .place": 20,
    "#alerts .value": 20,
    "#alerts .title": 16,
    "#alerts .since": 16,
    "#alerts .mark.overdue": 16,
    "#below": 16,
    "#banner": 16,
    "#rate.flood": 16,
}


@pytest.fixture
def wall(tmp_path: Path) -> Iterator[kit.WallThread]:
    with kit.WallThread(kit.small_shell(), kit.operators_file(tmp_path)) as running:
        yield running


def opened(browsing: Browsing, wall: kit.WallThread, query: str = "") -> Page:
    browsing.page.goto(wall.url + query)
    browsing.page.wait_for_selector("body.ready", timeout=30_000)
    expect(browsing.page.locator("#clock")).to_have_text("17:30:00", timeout=15_000)
    return browsing.page


def place(number: int) -> dict[str, Any]:
    """Where an alert in the nth square is."""
    code = f"9000{number}"
    return {"lon": 105.55, "lat": 9.95, "commune": code, "commune_name": kit.SQUARES[code], "province": "92"}


def minutes_ago(minutes: float) -> str:
    return (kit.NOON - timedelta(minutes=minutes)).isoformat()


def raise_alerts(wall: kit.WallThread, *alerts: dict[str, Any]) -> None:
    def apply(picture: Picture) -> None:
        for alert in alerts:
            picture.apply_alert(kit.alert_record(**alert), alert["id"])

    wall.feed(apply)


def many_alerts(number: int = 14) -> list[dict[str, Any]]:
    """More than one screen shows, all raised within ten minutes, some acknowledged, the second overdue."""
    severities = ("extreme", "severe", "moderate", "minor")
    return [
        {
            "id": f"a{index:02}",
            "severity": severities[index * 4 // number],
            "where": place(index % 9 + 1),
            "started": minutes_ago(2 + index / 4),
            "time": minutes_ago(1 + index / 4),
            "overdue": int(index == 1),
            **(
                {"acknowledged": {"by": "an", "time": minutes_ago(0)}, "change": "acknowledged"}
                if index % 3 == 2
                else {}
            ),
        }
        for index in range(number)
    ]


def ids(page: Page) -> list[str]:
    rows: list[str] = page.locator("#alerts .alert:visible").evaluate_all(
        "rows => rows.map((row) => row.dataset.id)"
    )
    return rows


def shot(page: Page, name: str) -> None:
    page.screenshot(path=kit.screenshots() / f"hmi-{name}.png")


# Sizes


@pytest.mark.parametrize(("metres", "inches", "view"), [(5, 55, "all"), (5, 55, "list"), (3, 43, "all")])
def test_what_must_be_read_is_large_enough(
    wall: kit.WallThread, browsing: Browsing, metres: float, inches: float, view: str
) -> None:
    """Capital letters are seen at 20 minutes of arc, the least at 16, from the distance that the address says."""
    raise_alerts(wall, *many_alerts())
    page = opened(browsing, wall, f"?distance={metres}&inches={inches}&view={view}")
    expect(page.locator("#rate")).to_have_class("rate flood")
    wall.silence()
    expect(page.locator("#banner")).to_be_visible(timeout=15_000)
    shot(page, f"{metres}m-{inches}in-{view}")
    mm_per_pixel = inches * 25.4 * 9 / math.hypot(16, 9) / 1080
    for selector, arcmin in MUST_BE_READ.items():
        pixels = page.locator(selector).first.evaluate(
            "one => Number.parseFloat(getComputedStyle(one).fontSize)"
        )
        # The font's capital letters are 0.74 of its size high.
        seen = 2 * math.atan(0.74 * pixels * mm_per_pixel / 2 / (metres * 1000)) * 180 / math.pi * 60
        assert seen >= arcmin, f"{selector}: {seen:.1f} minutes of arc"
    assert page.evaluate("document.documentElement.scrollWidth") <= 1920
    clipped = page.locator("#alerts .place").evaluate_all(
        "all => all.filter((one) => one.scrollWidth > one.clientWidth).length"
    )
    assert clipped == 0


def test_sizes_are_kept_for_the_screen(wall: kit.WallThread, browsing: Browsing) -> None:
    """What somebody enters at the screen holds after a reload, and no longer once it is taken back."""
    raise_alerts(wall, {"id": "a1"})
    page = opened(browsing, wall)
    size = "one => Number.parseFloat(getComputedStyle(one).fontSize)"
    desk = page.locator("#alerts .place").evaluate(size)
    assert desk < 30
    for metres, check in (("5", lambda now: now > 60), ("", lambda now: now == desk)):
        page.locator("#screen-button").click()
        page.locator("#screen-distance").fill(metres)
        page.locator("#screen-inches").fill("55")
        page.locator("#screen-theme").select_option("light")
        page.locator("#screen-form button[type=submit]").click()
        page = opened(browsing, wall)
        assert check(page.locator("#alerts .place").evaluate(size))
        assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert browsing.errors == []


def test_a_panel_too_small_for_the_distance_says_so(wall: kit.WallThread, browsing: Browsing) -> None:
    """Letters never become so large that not one alert fits; then they are smaller than needed, and that is told."""
    raise_alerts(wall, {"id": "a1"})
    page = opened(browsing, wall, "?distance=40&inches=24")
    expect(page.locator("#notice")).to_contain_text("Màn hình quá nhỏ")
    expect(page.locator("#alerts .alert").first).to_be_in_viewport(ratio=0.9)


# Themes and what everybody can use


def _axe() -> str:
    if not AXE.exists():
        reason = "axe-core is not installed: npm ci in tests/browser"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return AXE.read_text(encoding="utf-8")


def serious(page: Page) -> list[str]:
    """What axe finds that is serious or critical."""
    page.evaluate(_axe())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] }).then((all) => all.violations)")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def hour_past() -> Past:
    """The hour before the present, with one alert all the time."""
    past = Past(History(48))
    for minute in range(-60, 1):
        frame = Frame(
            time=kit.NOON + timedelta(minutes=minute),
            province="92",
            counts={"severe": 1},
            communes={"90001": "severe"},
            alerts=[FrameAlert("p1", 1, "severe")],
        )
        past.history.take_frame(msgspec.json.encode(frame))
    past.history.take_alert(kit.alert_record("p1"))
    return past


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_nothing_keeps_people_from_using_what_opens(browsing: Browsing, tmp_path: Path, theme: str) -> None:
    """No serious finding with details, filters, each dialog, an incident or the past open, and with the data old."""
    wall = kit.WallThread(kit.small_shell(), kit.operators_file(tmp_path))
    wall.past = hour_past()
    with wall:
        raise_alerts(
            wall, {"id": "a1", "incident": "i1"}, {"id": "a2", "incident": "i1", "severity": "minor"}
        )
        wall.feed(lambda picture: picture.apply_incident(incident_record(), "i1"))
        page = opened(browsing, wall, f"?theme={theme}&sound=on#severities=severe,minor")
        page.emulate_media(reduced_motion="reduce")
        page.locator("#filters summary").click()
        page.locator(".toggle").click()
        expect(page.locator("#sieve")).to_be_visible()
        assert serious(page) == []
        shot(page, f"open-{theme}-filters")
        page.locator("#filters summary").click()
        page.locator("#account-button").click()
        page.locator("#sign-in-id").fill("operator")
        page.locator("#sign-in-password").fill(kit.PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#open-button")).to_be_visible()
        for button, dialog in (
            (page.locator("#open-button"), "opening"),
            (page.locator("#screen-button"), "this-screen"),
            (page.locator("[data-action=close]").first, "say"),
        ):
            button.click()
            expect(page.locator(f"#{dialog}")).to_be_visible()
            assert serious(page) == [], dialog
            shot(page, f"open-{theme}-{dialog}")
            page.keyboard.press("Escape")
            expect(page.locator(f"#{dialog}")).to_be_hidden()
        page.locator("#alerts .alert .title").first.click()
        expect(page.locator("#details .detail")).to_be_visible()
        assert serious(page) == [], "details"
        shot(page, f"open-{theme}-details")
        page.locator("#history-open").click()
        expect(page.locator("#history-slider")).to_be_focused(timeout=10_000)
        page.keyboard.press("Home")
        expect(page.locator("#past")).to_be_visible(timeout=10_000)
        wall.silence()
        expect(page.locator("#banner")).to_be_visible(timeout=10_000)
        assert serious(page) == [], "the past, and old data"
        shot(page, f"open-{theme}-history")
        page.set_viewport_size({"width": 390, "height": 844})
        assert serious(page) == [], "the past on a phone"
        shot(page, f"open-{theme}-history-phone")


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_nothing_keeps_people_from_using_it(
    wall: kit.WallThread, browsing: Browsing, theme: str, language: str
) -> None:
    """No serious finding in either theme or language: signed out, signed in, with a dialog, and on a phone."""
    raise_alerts(wall, *many_alerts(), {"id": "s1", "suppressed": "limit:x"}, {"id": "z", "state": "cleared"})
    page = opened(browsing, wall, f"?theme={theme}&lang={language}")
    page.emulate_media(reduced_motion="reduce")  # a row that still glows has no lasting colour
    page.locator("#aside").click()
    assert serious(page) == []
    page.locator("#account-button").click()
    page.locator("#sign-in-id").fill("supervisor")
    page.locator("#sign-in-password").fill(kit.PASSWORD)
    assert serious(page) == []
    page.keyboard.press("Enter")
    expect(page.locator("#alerts .actions").first).to_be_visible()
    assert serious(page) == []
    shot(page, f"theme-{theme}-{language}")
    page.set_viewport_size({"width": 390, "height": 844})
    assert serious(page) == []
    shot(page, f"phone-{theme}-{language}")


def test_the_signs_stand_out_in_the_light_theme(wall: kit.WallThread, browsing: Browsing) -> None:
    """Yellow on white is not seen: each sign and each commune with an alert has an outline of at least 3 to 1."""
    raise_alerts(wall, *(
        {"id": severity, "severity": severity, "where": place(number)}
        for number, severity in enumerate(("extreme", "severe", "moderate", "minor"), 1)
    ))  # fmt: skip
    page = opened(browsing, wall, "?theme=light")
    ground = colour_of(page, "--ground")
    for severity in ("extreme", "severe", "moderate", "minor"):
        assert contrast(colour_of(page, f"--{severity}-edge"), ground) >= 3
        stroke = page.locator(f"#alerts .sign.{severity} path").evaluate(
            "one => getComputedStyle(one).stroke"
        )
        assert contrast(rgb(stroke), ground) >= 3


def colour_of(page: Page, name: str) -> tuple[float, ...]:
    value: str = page.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('{name}')")
    return tuple(int(value.strip()[at : at + 2], 16) for at in (1, 3, 5))


def rgb(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3])


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """As WCAG 2 has it."""

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [v / 255 for v in colour]
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_everything_is_reached_with_the_keyboard(wall: kit.WallThread, browsing: Browsing) -> None:
    """Tab alone comes to every control and every row, and shows where it is."""
    raise_alerts(wall, {"id": "a1", "incident": "i"}, {"id": "a2", "incident": "i", "severity": "minor"})
    page = opened(browsing, wall)
    page.locator("#map_wall").evaluate("one => one.blur()")
    wanted = {"map_wall", "filters", "sound", "account-button", "incident", "a1", "screen-button", "language"}
    wanted |= {"filter-extreme", "filter-traffic", "filter-commune", "filter-find", "licences"}
    page.locator("#filters summary").focus()
    page.keyboard.press("Enter")
    page.locator("#filters summary").evaluate("one => one.blur()")
    reached: set[str] = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            "(() => { const one = document.activeElement; return [one.id || one.dataset.action || one.dataset.id"
            " || one.className || one.parentElement.id, getComputedStyle(one).outlineStyle]; })()"
        )
        if name in wanted:
            assert outline != "none", f"the focus on {name} does not show"
            reached.add(name)
        if reached == wanted:
            break
    assert reached == wanted


# The list


def test_the_list_is_in_the_order_of_what_to_look_at(wall: kit.WallThread, browsing: Browsing) -> None:
    """Worst first; of one severity what nobody has acknowledged; then the newest."""
    seen = {"by": "an", "time": minutes_ago(1)}
    raise_alerts(
        wall,
        {"id": "severe-new-acknowledged", "started": minutes_ago(2), "acknowledged": seen},
        {"id": "severe-old", "started": minutes_ago(90)},
        {"id": "severe-newer", "started": minutes_ago(30)},
        {"id": "minor-new", "severity": "minor", "started": minutes_ago(1)},
        {
            "id": "extreme-acknowledged",
            "severity": "extreme",
            "started": minutes_ago(99),
            "acknowledged": seen,
        },
    )
    page = opened(browsing, wall)
    assert ids(page) == [
        "extreme-acknowledged",
        "severe-newer",
        "severe-old",
        "severe-new-acknowledged",
        "minor-new",
    ]
    expect(page.locator('[data-id="severe-old"] .seen')).to_have_text("CHƯA NHẬN")


def test_what_lies_below_the_screen_is_counted(wall: kit.WallThread, browsing: Browsing) -> None:
    """Nobody scrolls a wall: how many alerts cannot be seen is said, and no more once one has scrolled there."""
    raise_alerts(wall, *many_alerts(20))
    page = opened(browsing, wall)
    below = page.locator("#below")
    expect(below).to_be_visible()
    said = int("".join(filter(str.isdigit, below.text_content() or "")))
    end = page.locator("#alerts").evaluate("one => one.getBoundingClientRect().bottom")
    heads = page.locator("#alerts .alert .line:first-child").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().bottom)"
    )
    assert said == sum(1 for bottom in heads if bottom > end + 4) > 5
    page.locator("#alerts").evaluate("one => one.scrollTo(0, one.scrollHeight)")
    expect(below).to_be_hidden()


def incident_record(peaks: int = 2) -> bytes:
    """An incident of the alerts a1 and a2 with its high waters."""
    since = [minutes_ago(900), minutes_ago(100)][:peaks]
    member = {"rule": "water-level", "subject": "gauge-1", "severity": "severe", "worst": "severe"}
    return json.dumps(
        {
            "id": "i1",
            "sequence": 3,
            "state": "open",
            "grouping": "tide",
            "hazard": "flood",
            "title": {"vi": "Triều cường", "en": "Spring tide"},
            "where": place(1),
            "communes": ["90001", "90002"],
            "severity": "severe",
            "worst": "severe",
            "started": since[0],
            "time": minutes_ago(1),
            "members": [{**member, "alert": id, "since": since[-1]} for id in ("a1", "a2")],
            "peaks": [
                {
                    "since": at,
                    **({"until": minutes_ago(600)} if number == 0 else {}),
                    "alerts": ["a1"],
                    "subject": "gauge-1",
                    "severity": "severe",
                    "value": 2.04 + number / 10,
                    "time": at,
                }
                for number, at in enumerate(since)
            ],
        }
    ).encode()


def test_an_incident_is_one_row(wall: kit.WallThread, browsing: Browsing) -> None:
    """Its worst alert stands for it; opened it has the others and its high waters, and stays so."""
    raise_alerts(
        wall,
        {"id": "a1", "incident": "i1"},
        {"id": "a2", "incident": "i1", "severity": "minor", "where": place(2)},
        {"id": "b", "severity": "moderate"},
    )
    wall.feed(lambda picture: picture.apply_incident(incident_record(), "i1"))
    page = opened(browsing, wall)
    assert ids(page) == ["a1", "b"]
    toggle = page.locator(".toggle")
    expect(toggle).to_have_text("+ Triều cường: 2 cảnh báo, 2 phường, xã, 2 đợt nước lên")
    toggle.focus()
    page.keyboard.press("Enter")
    assert ids(page) == ["a1", "a2", "b"]
    expect(toggle).to_be_focused()
    expect(toggle).to_have_attribute("aria-expanded", "true")
    waters = page.locator(".waters li")
    expect(waters).to_have_count(2)
    expect(waters.nth(0)).to_contain_text("02:30 – 07:30")
    expect(waters.nth(0)).to_contain_text("2,04\u00a0m")
    expect(waters.nth(1)).to_contain_text("từ 15:50")
    expect(waters.nth(1)).to_contain_text("Trạm thử 1")
    shot(page, "incident")
    raise_alerts(wall, {"id": "a3", "incident": "i1", "severity": "extreme", "where": place(3)})
    expect(page.locator('[data-id="a3"]')).to_be_visible()
    assert ids(page) == ["a3", "a1", "a2", "b"]
    page.locator(".toggle").click()
    assert ids(page) == ["a3", "b"]


def test_a_flood_of_alerts_is_marked(wall: kit.WallThread, browsing: Browsing) -> None:
    """Ten in ten minutes are a figure, eleven are a flood, in words and not by colour alone."""
    raise_alerts(wall, *({**alert, "change": "raised"} for alert in many_alerts(10)))
    page = opened(browsing, wall)
    rate = page.locator("#rate")
    expect(rate).to_have_text("Cảnh báo mới: 10 trong 10 phút · 10 trong 1 giờ")
    raise_alerts(wall, {"id": "more", "time": minutes_ago(1)})
    expect(rate).to_have_text("Cảnh báo mới: 11 trong 10 phút · 11 trong 1 giờ · ! DỒN DẬP")
    shot(page, "flood")
    raise_alerts(wall, {"id": "restored", "change": "escalated", "sequence": 3})
    expect(rate).to_contain_text("≈ 12 trong 1 giờ")


# The inset


def crowded_city() -> dict[str, Any]:
    """The squares, and in the first of them sixteen communes that are an eighth as wide."""
    drawing = kit.squares()
    first = drawing["features"].pop(0)
    west, south = first["geometry"]["coordinates"][0][0]
    for index in range(16):
        left, low, step = west + 0.0125 * (index % 4), south + 0.0125 * (index // 4), 0.0125
        ring = [[left, low], [left + step, low], [left + step, low + step], [left, low + step], [left, low]]
        drawing["features"].append(
            {
                "type": "Feature",
                "properties": {
                    "code": f"91{index:03}",
                    "name": f"Phường Tâm {index}",
                    "label": [left + step / 2, low + step / 2],
                },
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    return drawing


def test_a_dense_part_has_an_inset(browsing: Browsing) -> None:
    """Where names do not fit, the part is drawn larger with its alerts, beside legend and controls, not over them."""
    with kit.WallThread(kit.small_shell(crowded_city())) as wall:
        where = {**place(1), "commune": "91005", "commune_name": "Phường Tâm 5"}
        raise_alerts(wall, {"id": "a1", "where": where})
        page = opened(browsing, wall)
        expect(page.locator("#inset")).to_be_visible()
        page.wait_for_timeout(1500)
        drawn = page.evaluate("window.wall.inset()")
        shot(page, "inset")
        left_out = page.locator(".commune.crowded span").all_text_contents()
        assert len(left_out) > 3
        assert len(set(left_out) & set(drawn["names"])) >= max(3, len(left_out) / 2)
        assert drawn["alerted"] == {"91005": "severe"}
        expect(page.locator("#inset")).to_have_attribute(
            "aria-label", "Vùng dày đặc: " + ", ".join(drawn["names"])
        )
        box = page.locator("#inset").bounding_box()
        for other in (page.locator("#legend"), page.locator("#filters")):
            its = other.bounding_box()
            assert box is not None
            assert its is not None
            apart = (
                box["x"] >= its["x"] + its["width"]
                or its["x"] >= box["x"] + box["width"]
                or box["y"] >= its["y"] + its["height"]
                or its["y"] >= box["y"] + box["height"]
            )
            assert apart
        # A name that must be read does not lie under it.
        hidden = page.evaluate(
            """[...document.querySelectorAll('.commune.alerted')].filter((one) => {
              const [a, b] = [one, document.getElementById('inset')].map((it) => it.getBoundingClientRect());
              return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
            }).length"""
        )
        assert hidden == 0
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator("#home")).to_be_visible()
        expect(page.locator("#inset")).to_be_hidden()
        assert browsing.errors == []


def test_without_a_dense_part_there_is_no_inset(wall: kit.WallThread, browsing: Browsing) -> None:
    """All names fit: nothing covers the map."""
    page = opened(browsing, wall)
    page.wait_for_timeout(1500)
    expect(page.locator("#inset")).to_be_hidden()
    assert page.evaluate("window.wall.inset()") is None


# Sound


def heard(browsing: Browsing, expression: str) -> None:
    """Wait until an expression over `played`, how often each sound was heard, holds."""
    for _ in range(200):
        if browsing.page.evaluate(f"((played) => {expression})(window.wall.sound())"):
            return
        browsing.page.wait_for_timeout(50)
    raise AssertionError(f"{expression} never came true: {browsing.page.evaluate('window.wall.sound()')}")


def test_what_is_grave_is_heard_once_the_sound_is_on(wall: kit.WallThread, browsing: Browsing) -> None:
    """Off until a click; then what is new sounds at once, and again until it is acknowledged; the state shows."""
    raise_alerts(wall, {"id": "a1", "severity": "moderate"})
    page = opened(browsing, wall)
    button = page.locator("#sound")
    expect(button).to_have_text("♪ Tắt tiếng")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_text("♪ Có tiếng")
    raise_alerts(wall, {"id": "a2", "severity": "severe"})
    heard(browsing, "played.severe === 1 && played.extreme === 0")
    page.wait_for_timeout(3100)  # between two sounds
    raise_alerts(wall, {"id": "a2", "severity": "extreme", "sequence": 2, "change": "escalated"})
    heard(browsing, "played.severe === 1 && played.extreme === 1")
    seen = {"by": "an", "time": minutes_ago(0)}
    raise_alerts(
        wall,
        {
            "id": "a2",
            "severity": "extreme",
            "sequence": 3,
            "change": "acknowledged",
            "acknowledged": seen,
        },
    )
    expect(page.locator('[data-id="a2"] .mark.acknowledged')).to_be_visible()
    button.click()
    expect(button).to_have_text("♪ Tắt tiếng")
    raise_alerts(wall, {"id": "a3", "severity": "extreme"})
    expect(page.locator('[data-id="a3"]')).to_be_visible()
    page.wait_for_timeout(1200)
    assert page.evaluate("window.wall.sound()") == {"extreme": 1, "severe": 1}


def alarmed(wall: kit.WallThread, browsing: Browsing) -> Page:
    """The wall with the sound on, once a1 has been heard; its time is the test's to move."""
    browsing.page.clock.install()
    raise_alerts(wall, {"id": "a1", "severity": "extreme"})
    page = opened(browsing, wall)
    page.locator("#sound").click()
    heard(browsing, "played.extreme === 1")
    return page


def test_a_grave_alert_sounds_again_until_it_is_acknowledged(
    wall: kit.WallThread, browsing: Browsing
) -> None:
    """At a slow pace, and no more once somebody has acknowledged it."""
    page = alarmed(wall, browsing)
    page.clock.fast_forward(10_000)
    page.wait_for_timeout(1500)
    assert page.evaluate("window.wall.sound().extreme") == 1
    page.clock.fast_forward(6_000)
    heard(browsing, "played.extreme === 2")
    seen = {"by": "an", "time": minutes_ago(0)}
    raise_alerts(wall, {"id": "a1", "severity": "extreme", "sequence": 2, "acknowledged": seen})
    expect(page.locator('[data-id="a1"] .mark.acknowledged')).to_be_visible(timeout=15_000)
    page.clock.fast_forward(60_000)
    page.wait_for_timeout(1500)
    assert page.evaluate("window.wall.sound().extreme") == 2


def test_what_was_acknowledged_meanwhile_is_not_heard_at_a_new_connection(
    wall: kit.WallThread, browsing: Browsing
) -> None:
    """A newcomer gets a snapshot that may be seconds old, and what changed since right behind it."""
    page = alarmed(wall, browsing)
    with page.expect_request("**/events"):  # now there is such a snapshot
        page.clock.fast_forward(9_000)
    expect(page.locator("#banner")).to_be_hidden()
    seen = {"by": "an", "time": minutes_ago(0)}
    raise_alerts(wall, {"id": "a1", "severity": "extreme", "sequence": 2, "acknowledged": seen})
    expect(page.locator('[data-id="a1"] .mark.acknowledged')).to_be_visible()
    with page.expect_request("**/events"):
        page.clock.fast_forward(30_000)
    expect(page.locator("#banner")).to_be_hidden()
    raise_alerts(wall, {"id": "a2", "severity": "severe"})
    heard(browsing, "played.severe === 1")
    assert page.evaluate("window.wall.sound().extreme") == 1


def test_the_two_sounds_differ(wall: kit.WallThread, browsing: Browsing) -> None:
    """Rendered, extreme is higher and has one tone more than severe; neither is silent."""
    page = opened(browsing, wall)
    rendered = page.evaluate(
        """(async () => {
          const { schedule } = await import('/assets/sound.js');
          const all = {};
          for (const severity of ['extreme', 'severe']) {
            const audio = new OfflineAudioContext(1, 48000 * 2, 48000);
            const end = schedule(audio, severity, 0);
            const samples = (await audio.startRendering()).getChannelData(0);
            const loud = [];
            for (let at = 0; at < samples.length; at += 480) {
              loud.push(samples.slice(at, at + 480).some((one) => Math.abs(one) > 0.1));
            }
            let crossings = 0;
            for (let at = 1; at < 480 * 10; at += 1) crossings += samples[at - 1] < 0 && samples[at] >= 0;
            all[severity] = { end, first: crossings * 10,
              tones: loud.filter((one, at) => one && !loud[at - 1]).length };
          }
          return all;
        })()"""
    )
    assert rendered["extreme"]["tones"] == 3
    assert rendered["severe"]["tones"] == 2
    assert rendered["extreme"]["first"] > 1.3 * rendered["severe"]["first"] > 500
    assert rendered["extreme"]["end"] < 2


def test_a_sound_that_the_browser_holds_back_says_so(wall: kit.WallThread, browsing: Browsing) -> None:
    """A screen that is to sound and waits for a click shows that nobody would hear it; any key starts it."""
    # A driver's own look at the page counts as a touch: the page itself writes down what the button says.
    browsing.page.add_init_script(
        """window.said = [];
        new MutationObserver(() => {
          const text = document.getElementById('sound')?.textContent;
          if (text && text !== window.said.at(-1)) window.said.push(text);
        }).observe(document, { subtree: true, childList: true, characterData: true });"""
    )
    page = opened(browsing, wall, "?sound=on")
    page.keyboard.press("Shift")
    page.locator("#clock").click()
    expect(page.locator("#sound")).to_have_text("♪ Có tiếng")
    assert page.evaluate("window.said") == ["♪ Bấm để có tiếng", "♪ Có tiếng"]


# Views, kiosk, phone


def test_each_view_has_an_address(wall: kit.WallThread, browsing: Browsing) -> None:
    """Map, list, incidents, one commune: each shows its own and nothing else; one that does not exist is told."""
    raise_alerts(
        wall,
        {"id": "a1", "incident": "i1"},
        {"id": "a2", "incident": "i1", "where": place(2)},
        {"id": "b", "where": place(5)},
    )
    page = opened(browsing, wall, "?view=map")
    expect(page.locator("#alerts")).to_be_hidden()
    expect(page.locator("#map_wall")).to_be_visible()
    expect(page.locator("#counters .severe strong")).to_have_text("3")
    page = opened(browsing, wall, "?view=list")
    expect(page.locator("#map_wall")).to_be_hidden()
    assert ids(page) == ["a1", "b"]
    page = opened(browsing, wall, "?view=incidents")
    assert ids(page) == ["a1", "a2"]
    expect(page.locator(".toggle")).to_have_count(0)
    shot(page, "view-incidents")
    page = opened(browsing, wall, "?view=commune:90005")
    assert ids(page) == ["b"]
    expect(page.locator("#where")).to_have_text("Phường Thử 5")
    seen = "map_wall.getBounds().contains({})"
    for _ in range(100):
        if page.evaluate(f"{seen.format('[10.05, 105.65]')} && !{seen.format('[10.19, 105.51]')}"):
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("the map did not go to the commune")
    page = opened(browsing, wall, "?view=commune:nowhere")
    expect(page.locator("#notice")).to_contain_text("Không có khung nhìn “commune:nowhere”")
    assert len(ids(page)) == 2
    assert browsing.errors == []


def test_a_kiosk_has_no_controls_and_comes_back_by_itself(wall: kit.WallThread, browsing: Browsing) -> None:
    """Nothing to press, no pointer, awake; a minute after a touch the view is as it was."""
    browsing.page.clock.install()
    raise_alerts(wall, *many_alerts(20))
    page = opened(browsing, wall, "?kiosk")
    assert page.locator("button:visible, select:visible, input:visible, a:visible").evaluate_all(
        "all => all.map((one) => one.id)"
    ) == ["sound"]
    assert page.locator("body").evaluate("one => getComputedStyle(one).cursor") == "none"
    for _ in range(50):
        if page.evaluate("window.wall.awake()"):
            break
        page.wait_for_timeout(100)
    else:
        raise AssertionError("the screen is not kept awake")
    page.mouse.move(1700, 600)
    page.mouse.wheel(0, 400)
    page.locator("#alerts").evaluate("one => one.scrollTo(0, 400)")
    page.wait_for_timeout(300)
    assert page.locator("#alerts").evaluate("one => one.scrollTop") > 100
    page.clock.fast_forward(61_000)
    for _ in range(50):
        if page.locator("#alerts").evaluate("one => one.scrollTop") == 0:
            break
        page.wait_for_timeout(100)
    assert page.locator("#alerts").evaluate("one => one.scrollTop") == 0
    shot(page, "kiosk")


def test_another_version_is_loaded_without_a_hand(wall: kit.WallThread, browsing: Browsing) -> None:
    """A wall that comes back as another version makes open pages load it."""
    page = opened(browsing, wall, "?kiosk")
    page.evaluate("window.before = true")
    wall.stop()
    wall.shell = kit.small_shell(note=kit.BoundaryNote(source="example.test/other", ref="squares@2"))
    wall.start()
    expect(page.locator("#legend")).to_contain_text("squares@2", timeout=20_000)
    assert page.evaluate("window.before") is None


def test_a_phone_has_the_list_first_and_the_map_behind_a_tab(
    wall: kit.WallThread, browsing: Browsing
) -> None:
    """Nothing is wider than the screen, what is touched is large enough, and a row leads to its place on the map."""
    raise_alerts(wall, *many_alerts(6))
    browsing.page.set_viewport_size({"width": 390, "height": 844})
    page = opened(browsing, wall)
    expect(page.locator("#alerts .alert").first).to_be_in_viewport(ratio=1)
    expect(page.locator("#map_wall")).to_be_hidden()
    shot(page, "phone-list")
    page.locator("#tab-map").click()
    expect(page.locator("#map_wall")).to_be_visible()
    expect(page.locator("#alerts")).to_be_hidden()
    shot(page, "phone-map")
    for tab in ("#tab-list", "#tab-map"):
        page.locator(tab).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        wide = page.locator("body *:visible").evaluate_all(
            "all => all.filter((one) => !one.closest('.leaflet-container') &&"
            " one.getBoundingClientRect().right > 391).map((one) => one.id || one.className)"
        )
        assert [name for name in wide if "ticker" not in name and name not in ("text", "when")] == []
    low = page.locator(".top button:visible, .tabs button:visible").evaluate_all(
        "all => all.filter((one) => one.getBoundingClientRect().height < 32).map((one) => one.id)"
    )
    assert low == []
    page.locator("#tab-list").click()
    page.locator("#alerts .alert .title").first.click()
    expect(page.locator("#map_wall")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#alerts")).to_be_visible()
    assert browsing.errors == []


# What is old


def test_alarm_colours_stay_while_the_picture_is_old(wall: kit.WallThread, browsing: Browsing) -> None:
    """Within five seconds of the last clock record the banner says so, and nothing that was coloured turns grey."""
    raise_alerts(wall, {"id": "a1", "severity": "extreme"})
    page = opened(browsing, wall)
    colours = "getComputedStyle(document.querySelector('#alerts .alert')).borderLeftColor"
    before = page.evaluate(colours), page.evaluate("window.wall.drawn().communes['90001']")
    wall.silence()
    expect(page.locator("#banner")).to_be_visible(timeout=6000)
    assert (page.evaluate(colours), page.evaluate("window.wall.drawn().communes['90001']")) == before
    assert before[1] == "extreme"


def test_everything_grows_with_the_panel(wall: kit.WallThread, browsing: Browsing) -> None:
    """On four times as many pixels all is twice as large, the map's own controls too: nothing is left small."""
    raise_alerts(wall, *many_alerts(4))
    page = opened(browsing, wall)
    page.locator("#filters summary").click()
    measure = """['.leaflet-control-zoom-in', '#filter-extreme', '.leaflet-control-layers-selector', '#legend-blind',
        '#alerts .place', '#sound', '.leaflet-control-scale-line'].map((name) => {
          const { width, height } = document.querySelector(name).getBoundingClientRect();
          return [name, Math.min(width, height)];
        })"""
    before = dict(page.evaluate(measure))
    page.set_viewport_size({"width": 3840, "height": 2160})
    page.wait_for_timeout(500)
    for name, size in page.evaluate(measure):
        assert size / before[name] == pytest.approx(2, rel=0.15), name
    shot(page, "4k")
