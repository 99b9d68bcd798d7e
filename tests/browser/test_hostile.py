"""Texts that ran as scripts when they passed through Folium, at every place of the wall: there they are letters.

One page has them all: each way in each field leaves a mark of its own, so a failure says which text ran, and whence.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import geopandas
import msgspec
import numpy as np
import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect, sync_playwright
from pyproj import Geod
from shapely import Polygon, box

from alerts.agencies.messages import AgencyAlert
from alerts.rules.policy import Operator, Subscription
from geo.boundaries import Commune
from geo.importing import Said, examine
from geo.official import Entry, OfficialList
from ioc.operators import OperatorEntry, OperatorsFile, hash_password, write_operators
from ioc.settings import load_settings
from maps.assets import shipped_assets
from maps.feeds import Channel, Feeds
from maps.history import History
from maps.picture import Picture
from maps.sensors import Listed
from maps.server import shell_of
from maps.shell import Shell
from streams.picturing import Frame, FrameAlert
from tests import agencykit
from tests import wallkit as kit
from tests.browserkit import ARGUMENTS, chromium
from tests.hostile import OTHERS, WAYS, Way

ALL = [*WAYS, *OTHERS]
COLUMNS = 6
#: What tells of refusals by the policy: installed before any script of the page, in every frame.
LISTENER = """
window.refused = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""


@dataclass
class Seen:
    """What a page did."""

    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    #: Requests that the policy did not let out.
    kept_back: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)


def new_page(browser: Browser) -> tuple[Page, Seen]:
    """A page of a context of its own, with a listener for what the policy refuses."""
    context = browser.new_context(viewport={"width": 1920, "height": 1080}, locale="vi-VN")
    page, seen = context.new_page(), Seen()
    page.add_init_script(LISTENER)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("requestfailed", lambda request: request.failure == "csp" and seen.kept_back.append(request.url))
    page.on("console", lambda message: seen.console.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))

    def on_dialog(dialog: Any) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", on_dialog)
    return page, seen


# What the texts do where they are code


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_text_runs_where_folium_has_it(browser: Browser, way: Way) -> None:
    """The texts are no straw men: on a page that Folium makes alone, each runs."""
    page, _ = new_page(browser)
    wall = way.build(way.text("folium"))
    files = {"leaflet.js": shipped_assets()["leaflet/leaflet.js"].body}

    def answer(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if not name:
            route.fulfill(body=wall.get_root().render(), content_type="text/html; charset=utf-8")
        elif name in files:
            route.fulfill(body=files[name], content_type="text/javascript")
        else:
            route.abort()

    page.route("**/*", answer)
    # What jQuery, which Folium takes from a content network, makes of a string of markup.
    page.add_init_script(
        "window.$ = (markup) => { const box = document.createElement('div'); box.innerHTML = markup;"
        " return box.children; }"
    )
    page.goto("http://folium.test/")
    # A text that ends the script has run by now; then there is no map to open anything on.
    page.evaluate(
        f"typeof {wall.get_name()} === 'undefined' || {wall.get_name()}.eachLayer?.((layer) => "
        "{ layer.openPopup?.(); layer.openTooltip?.(); })"
    )
    until(page, "window.ran?.length > 0")
    assert page.evaluate("window.ran[0]") == f"{way.name} folium"
    page.context.close()


# The wall with all of them


def cell(number: int) -> Polygon:
    """One of the squares that the communes are."""
    west, south = 105 + number % COLUMNS / 10, 9.5 + number // COLUMNS / 10
    return box(*np.round([west, south, west + 0.1, south + 0.1], 6))


def code(number: int) -> str:
    return f"{90001 + number}"


def commune_name(number: int) -> str:
    """The name of a commune: hostile where the import takes that for a name at all."""
    way = ALL[number]
    refused = ("attribute", "separators", "direction", "nul", "piled")
    return f"Phường Thử {number}" if way.name in refused else way.text("commune")


def imported(directory: Path) -> Shell:
    """The page for a set of boundaries that came from a file, whose communes have hostile names."""
    names = [commune_name(number) for number in range(len(ALL))]
    codes = [code(number) for number in range(len(ALL))]
    frame = geopandas.GeoDataFrame(
        {"code": codes, "name": names, "province_code": ["92"] * len(ALL)},
        geometry=[cell(number) for number in range(len(ALL))],
        crs=4326,
    )
    path = directory / "communes.geojson"
    frame.to_file(path, engine="pyogrio")
    geod = Geod(ellps="WGS84")
    entries = {
        code(number): Entry(
            Commune(code(number), names[number], "92"),
            (cell(number).centroid.x, cell(number).centroid.y),
            abs(geod.geometry_area_perimeter(cell(number))[0]) / 1e6,
        )
        for number in range(len(ALL))
    }
    said = Said(id="hostile", source=WAYS[0].text("source"), licence=WAYS[6].text("licence"))
    report, boundaries = examine(path, said, OfficialList("communes of a test", entries))
    assert boundaries is not None, report.text()
    return shell_of(boundaries, load_settings(wall_title=WAYS[0].text("heading")))


def incident_id(way: Way) -> str:
    return f"incident {way.text('incident-id')}"


def inventory() -> tuple[Listed, ...]:
    """The cameras with what an inventory says of them."""
    return tuple(
        kit.listed(
            way.text("source"),
            commune=code(number),
            stream="camera",
            name={"vi": way.text("listed"), "en": way.text("listed")},
            kind=way.text("kind"),
            owner=way.text("owner"),
        )
        for number, way in enumerate(ALL)
    )


def past() -> Past:
    """Ten minutes of the past with one alert of each way."""
    rows = [FrameAlert(f"p{number}", 1, "severe") for number in range(len(ALL))]
    gone = Past(History(48))
    for minute in range(-10, 1):
        frame = Frame(
            time=kit.NOON + timedelta(minutes=minute),
            province="92",
            counts={"severe": len(rows)},
            communes={},
            alerts=rows,
        )
        gone.history.take_frame(msgspec.json.encode(frame))
    for number, way in enumerate(ALL):
        title = {"vi": way.text("past"), "en": way.text("past")}
        gone.history.take_alert(kit.alert_record(f"p{number}", title=title))
    return gone


@dataclass
class Past:
    """A past in memory."""

    history: History

    async def located(self, appended_ms: int) -> list[bytes]:
        return []


def records(picture: Picture) -> None:
    """Every text of every kind of record, in each way."""
    for number, way in enumerate(ALL):
        middle = cell(number).centroid
        where = {
            "lon": middle.x,
            "lat": middle.y,
            "commune": code(number),
            "commune_name": way.text("place"),
            "province": "92",
        }

        def both(name: str, way: Way = way) -> dict[str, str]:
            return {"vi": way.text(name), "en": way.text(name)}

        at = (kit.NOON - timedelta(minutes=1)).isoformat()
        alert = kit.alert_record(
            f"a{number} {way.text('alert-id')}",
            severity=("extreme", "severe", "moderate", "minor")[number % 4],
            title=both("title"),
            label=both("label"),
            subject=way.text("source-id"),
            subject_name=both("inventory"),
            unit=way.text("unit"),
            hazard=way.text("hazard"),
            where={**where, "boundaries": way.text("boundaries")},
            rule=way.text("rule"),
            rule_version=way.text("version"),
            citation=way.text("citation"),
            evidence=[
                {
                    "stream": "flood",
                    "source": way.text("witness"),
                    "event": way.text("event"),
                    "time": at,
                    "value": 1,
                }
            ],
            incident=incident_id(way),
            acknowledged={"by": way.text("acknowledged"), "time": at},
            assigned=way.text("assigned"),
            awaiting=[way.text("agency")],
            comments=[{"by": way.text("commenter"), "time": at, "text": way.text("comment")}],
        )
        picture.apply_alert(alert, f"a{number} {way.text('alert-id')}")
        incident = kit.incident_record(
            incident_id(way),
            title=both("incident"),
            where=where,
            communes=[code(number)],
            members=[
                {"alert": way.text("gone"), "rule": "r", "subject": way.text("member"), "severity": "severe",
                 "worst": "severe", "since": at},
            ],
        )  # fmt: skip
        picture.apply_incident(incident, incident_id(way))
        place = {
            "outcome": "inside",
            "commune": code(number),
            "commune_name": way.text("event-place"),
            "province": "92",
            "boundaries": "hostile@1",
        }
        picture.apply_located(
            kit.report_record(
                f"r{number} {way.text('report-id')}",
                way.text("report"),
                category=way.text("category"),
                lon=middle.x - 0.025,
                lat=middle.y - 0.025,
                place=place,
            )
        )
        picture.apply_located(
            kit.located_record(
                way.text("source"),
                stream="camera",
                lon=middle.x + 0.025,
                lat=middle.y - 0.025,
                kind=way.text("camera"),
                datum=way.text("datum"),
                place=place,
            )
        )
    last = WAYS[-1]
    ended = kit.alert_record("ended", state="closed", change="closed", title={"vi": last.text("ended")})
    picture.apply_alert(ended, "ended")
    shelved = kit.alert_record("aside", suppressed=f"maintenance:{last.text('maintenance')}")
    picture.apply_alert(shelved, "aside")
    fault = {"time": at, "what": last.text("fault"), "where": last.text("file"), "remedy": "-"}
    picture.apply_configuration_error(json.dumps(fault).encode())


@dataclass
class Opened:
    """The wall's page after everything on it was opened, and what was seen meanwhile."""

    page: Page
    seen: Seen
    #: All text that the page had, whenever.
    text: str
    ran: list[str]
    refused: list[str]
    #: Elements that no part of the wall makes.
    foreign: list[str]


DETAILS = "document.getElementById('details').textContent"
COLLECT = """() => ({
  text: document.title + document.documentElement.textContent,
  ran: window.ran ?? [],
  refused: window.refused,
  foreign: [...document.querySelectorAll(
    'script:not([src^="/assets/"]), iframe, object, embed, base, [onerror], [onload], [onmouseover], [onfocus],'
    + 'link[href*="other.example"], img:not([src^="/assets/"]), [href^="javascript"], body style',
  )].map((one) => one.outerHTML.slice(0, 200)),
})"""


@pytest.fixture(scope="module")
def opened(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    directory = tmp_path_factory.mktemp("hostile")
    who = Operator(id="an", name=WAYS[0].text("operator"), role="supervisor")
    write_operators(directory / "operators.yaml", [OperatorEntry(who, hash_password(kit.PASSWORD))])
    operators = OperatorsFile(directory / "operators.yaml")
    wall = kit.WallThread(imported(directory), operators)
    wall.past = past()
    with wall:
        wall.feed(lambda picture: wall.live.know(inventory()))
        wall.feed(records)
        page, seen = new_page(browser)
        page.goto(wall.url)
        page.wait_for_selector("body.ready")
        text, ran, refused, foreign = "", [], [], []

        def collect() -> None:
            nonlocal text, ran, refused, foreign
            found = page.evaluate(COLLECT)
            text += found["text"] + "\n"
            ran, refused, foreign = ran + found["ran"], refused + found["refused"], foreign + found["foreign"]

        expect(page.locator("#alerts")).to_contain_text(WAYS[0].text("title"))
        collect()
        page.locator("#account-button").click()
        page.locator("#sign-in-id").fill(WAYS[0].text("id"))
        page.locator("#sign-in-password").fill("x")
        page.keyboard.press("Enter")
        expect(page.locator("#sign-in-problem")).not_to_be_empty()
        collect()
        page.locator("#sign-in-id").fill("an")
        page.locator("#sign-in-password").fill(kit.PASSWORD)
        page.keyboard.press("Enter")
        expect(page.locator("#account")).to_contain_text(who.name)
        for number in range(len(ALL)):
            middle = cell(number).centroid
            for x, y in ((middle.x - 0.025, middle.y - 0.025), (middle.x + 0.025, middle.y - 0.025)):
                # In the middle, where nothing lies above it.
                page.evaluate(f"void map_wall.setView([{y}, {x}], 11, {{animate: false}})")
                at = page.evaluate(f"map_wall.latLngToContainerPoint([{y}, {x}])")
                before = page.evaluate(DETAILS)
                page.locator("#map_wall").click(position={"x": at["x"], "y": at["y"]}, force=True)
                until(page, f"{DETAILS} !== {json.dumps(before)}")
                collect()
            way = ALL[number]
            alert, incident = f"a{number} {way.text('alert-id')}", incident_id(way)
            for kind, its in (("alert", alert), ("incident", incident), ("commune", code(number))):
                before = page.evaluate(DETAILS)
                page.evaluate("(choice) => { location.hash = new URLSearchParams(choice); }", {kind: its})
                until(page, f"{DETAILS} !== {json.dumps(before)}")
                collect()
        if page.locator("#aside").is_visible():
            page.locator("#aside").click()
        page.wait_for_timeout(300)
        collect()
        page.screenshot(path=kit.screenshots() / "hostile.png")
        page.keyboard.press("Escape")
        page.locator("#history-open").click()
        expect(page.locator("#history-slider")).to_be_focused(timeout=20_000)
        page.keyboard.press("Home")
        expect(page.locator("#past")).to_be_visible(timeout=20_000)
        expect(page.locator("#alerts")).to_contain_text(WAYS[0].text("past"), timeout=20_000)
        collect()
        page.screenshot(path=kit.screenshots() / "hostile-past.png")
        page.locator("#past .history-back").click()
        expect(page.locator("#past")).to_be_hidden(timeout=20_000)
        page.locator("#language").click()
        page.wait_for_timeout(300)
        collect()
        page.goto(wall.url + "licences")
        collect()
        page.screenshot(path=kit.screenshots() / "licences.png", full_page=True)
        yield Opened(page, seen, text, ran, refused, foreign)
        page.context.close()


#: Where each text must have been seen, letter by letter.
SHOWN = ("place", "title", "label", "inventory", "unit", "acknowledged", "assigned", "agency", "report",
         "category", "event-place", "source", "camera",
         "rule", "version", "citation", "boundaries", "witness", "event", "incident", "member", "listed", "kind",
         "owner", "past")  # fmt: skip


#: What hides a part of a text, or turns the direction of what follows it.
UNSEEN = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"


def words(text: str) -> str:
    """A text as a page has it: what hides or turns is a visible sign, runs of spaces are one."""
    shown = re.sub(UNSEEN, "\ufffd", text)
    return re.sub(r"\s+", " ", re.sub("([\u0300-\u036f]{4})[\u0300-\u036f]+", r"\1", shown))


@pytest.mark.parametrize("way", ALL, ids=lambda way: way.name)
def test_the_text_is_letters_on_the_wall(opened: Opened, way: Way) -> None:
    """In every field it is shown as it was written, and it ran from none."""
    ran = [mark for mark in opened.ran if mark.startswith(f"{way.name} ")]
    assert ran == []
    shown = words(opened.text)
    texts = {name: way.text(name) for name in SHOWN} | {
        "commune": commune_name(ALL.index(way)).removeprefix("Phường ")
    }
    missing = [name for name, text in texts.items() if words(text).strip() not in shown]
    assert missing == []


@pytest.mark.parametrize(
    ("way", "name"),
    [(WAYS[0], "heading"), (WAYS[0], "source"), (WAYS[6], "licence"), (WAYS[0], "operator"), (WAYS[-1], "ended"),
     (WAYS[-1], "maintenance"), (WAYS[-1], "fault"), (WAYS[-1], "file")],
)  # fmt: skip
def test_the_text_is_letters_where_there_is_one(opened: Opened, way: Way, name: str) -> None:
    """In the heading, the legend, the page of licences, the account, and what is said of files and ended alerts."""
    assert words(way.text(name)) in words(opened.text)


def test_no_text_hides_or_turns_another(opened: Opened) -> None:
    """Controls, and signs that turn the direction of writing, are nowhere on the page; a letter has few marks."""
    assert sorted(set(re.findall(UNSEEN, opened.text))) == []
    assert re.findall("[\u0300-\u036f]{5}", opened.text) == []


def test_nothing_ran_and_nothing_was_refused(opened: Opened) -> None:
    """No mark, no dialog, no error, no element of theirs; the policy had nothing to refuse; nobody else was asked."""
    assert opened.ran == []
    assert opened.foreign == []
    assert opened.refused == []
    assert opened.seen.dialogs == []
    assert opened.seen.errors == []
    # A refused sign-in is an answer of 401, which Chromium writes down.
    assert [line for line in opened.seen.console if "401" not in line] == []
    hosts = {
        re.match(r"\w+://([^/]*)", url)[1] for url in opened.seen.requests if not url.startswith("data:")
    }
    assert len(hosts) == 1
    known = re.compile(r"^http://[^/]+/(assets/|boundaries\.geojson|events$|api/|licences|$)")
    assert [url for url in opened.seen.requests if not known.match(url)] == []


def until(page: Page, expression: str, seconds: float = 8) -> None:
    """Wait until an expression holds. Playwright's own way needs eval, which the policy refuses."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(50)


# The policy


def test_the_policy_refuses_what_gets_in_all_the_same(browser: Browser) -> None:
    """Were there a hole, nothing inline would run and nobody else be asked; and what listens for that hears it."""
    with kit.WallThread(kit.small_shell()) as wall:
        page, seen = new_page(browser)
        page.goto(wall.url)
        page.wait_for_selector("body.ready")
        assert page.evaluate("window.refused") == []
        page.evaluate(
            """() => {
              const script = document.createElement('script');
              script.textContent = 'window.ran = ["script"]';
              const box = document.createElement('div');
              box.innerHTML = `<img src="/assets/none.png" onerror="window.ran = ['handler']">
                <p style="color: red">x</p><iframe src="data:text/html,x"></iframe>
                <img src="http://other.example/x.png">`;
              document.body.append(script, box);
              fetch('http://other.example/y').catch(() => {});
              const form = document.createElement('form');
              form.action = '/api/sign-out';
              document.body.append(form);
              form.submit();
            }"""
        )
        page.wait_for_timeout(500)
        refused = {line.split()[0] for line in page.evaluate("window.refused")}
        assert refused >= {
            "script-src-elem",
            "script-src-attr",
            "style-src-attr",
            "img-src",
            "connect-src",
            "form-action",
        }
        assert page.evaluate("window.ran") is None
        asked = {url for url in seen.requests if "other.example" in url}
        assert asked == set(seen.kept_back), "whatever names another host is kept back by the policy"
        page.context.close()


def test_every_page_keeps_to_the_policy(browser: Browser) -> None:
    """Licences, feeds, CAP documents and errors too: nothing refused, no script, no other host."""
    way = WAYS[0]
    alert = agencykit.alert(title={"vi": way.text("title")}, subject_name={"vi": way.text("inventory")})
    agency = Subscription(agency="fire", name={"vi": way.text("agency")})
    feeds = Feeds(load_settings(bootstrap_servers="127.0.0.1:1"), lambda: [agency])
    message = AgencyAlert(
        agency="fire",
        identifier="fire.a.1",
        type="alert",
        status="actual",
        sent=kit.NOON,
        languages=("vi",),
        alert=alert,
    )
    feeds.channels["fire"] = Channel()
    feeds.channels["fire"].take(msgspec.json.encode(message), 0)
    with kit.WallThread(kit.small_shell(), feeds=feeds) as wall:
        wall.feed(
            lambda picture: picture.apply_alert(kit.alert_record("a1", title={"vi": way.text("title")}), "a1")
        )
        texts = [asset.url[1:] for name, asset in wall.shell.assets.items() if name.endswith(".txt")]
        xml = ["agencies/fire/feed.atom", "agencies/fire/cap/fire.a.1.xml"]
        for path in (
            "licences",
            "boundaries.geojson",
            "api/snapshot",
            "nothing",
            "assets/icon.svg",
            *xml,
            *texts,
        ):
            page, seen = new_page(browser)
            answers = []
            page.on("response", lambda answer, answers=answers: answers.append(answer))
            # What is no page is looked at as the browser shows it, or is a file that it offers to keep.
            with contextlib.suppress(Error):
                page.goto(wall.url + path)
            assert answers, path
            assert answers[0].headers["content-security-policy"].startswith("default-src 'none'; "), path
            assert answers[0].headers["x-content-type-options"] == "nosniff", path
            assert page.evaluate("window.ran") is None
            assert page.evaluate("window.refused ?? []") == [], path
            assert seen.errors == []
            assert {url.partition("/")[2].partition("/")[2].partition("/")[0] for url in seen.requests} == {
                f"127.0.0.1:{wall.port}"
            }, path
            page.context.close()


@pytest.mark.parametrize("viewport", [(1920, 1080), (390, 844)])
def test_a_text_without_end_leaves_room_for_the_next_alert(
    browser: Browser, viewport: tuple[int, int]
) -> None:
    """However long its texts, with or without spaces, an alert does not push the others out of sight."""
    long = "W" * 500
    texts = {"vi": long, "en": long}
    where = {"lon": 105.55, "lat": 9.95, "commune": "90001", "commune_name": long, "province": "92"}
    at = kit.NOON.isoformat()
    with kit.WallThread(kit.small_shell()) as wall:
        page, _ = new_page(browser)
        page.set_viewport_size({"width": viewport[0], "height": viewport[1]})
        long_one = kit.alert_record(
            "long",
            severity="extreme",
            title=texts,
            label=texts,
            subject_name=texts,
            unit=long,
            where=where,
            assigned=long,
            awaiting=[long],
            acknowledged={"by": long, "time": at},
        )
        wall.feed(lambda picture: picture.apply_alert(long_one, "long"))
        wall.feed(lambda picture: picture.apply_alert(kit.alert_record("next"), "next"))
        page.goto(wall.url)
        page.wait_for_selector("body.ready", timeout=30_000)
        # No hand scrolls at a wall.
        expect(page.locator('#alerts .alert[data-id="next"] .place')).to_be_in_viewport(timeout=20_000)
        name = f"long-text-{viewport[0]}.png"
        page.screenshot(path=kit.screenshots() / name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.context.close()
