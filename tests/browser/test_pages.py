"""Snapshot and report opened from a file, as from a mail: they ask nobody and nothing in them runs but ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ioc.settings import load_settings
from maps.report import report_page, shift_of
from maps.snapshot import snapshot_page
from tests import pastkit as kit
from tests import wallkit
from tests.browserkit import Browsing

SHIFT = shift_of(f"{kit.at(0).isoformat()}..{kit.at(kit.MINUTES).isoformat()}")


@pytest.mark.parametrize("name", ["snapshot", "report"])
def test_a_page_opens_from_a_file(name: str, browsing: Browsing, tmp_path: Path) -> None:
    """One request, that for the file; no message on the console; hostile texts stand there letter by letter."""
    past, settings, path = kit.past(kit.HOSTILE), load_settings(wall_title="THỬ"), tmp_path / "page.html"
    if name == "snapshot":
        path.write_text(snapshot_page(past, settings, None, "vi"), encoding="utf-8")
    else:
        path.write_text(report_page(past, settings, SHIFT, "vi"), encoding="utf-8")
    page = browsing.page
    page.goto(path.as_uri())
    page.evaluate("document.fonts.ready.then(() => true)")
    expect(page.locator("table").first).to_contain_text("window.ran = true")
    if name == "snapshot":
        expect(page.locator("#map_snapshot path").first).to_be_attached()
        expect(page.locator("#map_snapshot .name").first).to_contain_text("window.ran = true")
        for dot in page.locator("#map_snapshot .leaflet-interactive").all():
            dot.dispatch_event("mouseover")  # they lie on each other: no pointer reaches all of them
        expect(page.locator(".leaflet-tooltip").filter(has_text="window.ran = true")).to_have_count(2)
    page.screenshot(path=wallkit.screenshots() / f"page-{name}.png", full_page=True)
    page.emulate_media(media="print")
    page.screenshot(path=wallkit.screenshots() / f"page-{name}-print.png", full_page=True)
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert [url for url in browsing.requests if not url.startswith("data:")] == [path.as_uri()]
    assert browsing.console == []
    assert browsing.errors == []


@pytest.mark.parametrize("name", ["snapshot", "report"])
def test_a_page_prints(name: str, browsing: Browsing, tmp_path: Path) -> None:
    """On A4 nothing is cut off at the right, no row of a table is torn in two, and the map is on the first sheet."""
    past, settings, path = (
        kit.past("Ngập đường Nguyễn Văn Cừ"),
        load_settings(wall_title="THỬ"),
        tmp_path / "page.html",
    )
    made = (
        snapshot_page(past, settings, None, "vi")
        if name == "snapshot"
        else report_page(past, settings, SHIFT, "vi")
    )
    path.write_text(made, encoding="utf-8")
    page = browsing.page
    page.goto(path.as_uri())
    page.evaluate("document.fonts.ready.then(() => true)")
    pdf = wallkit.screenshots() / f"page-{name}.pdf"
    page.pdf(path=pdf, format="A4", print_background=True)
    assert pdf.read_bytes().startswith(b"%PDF-")
    page.emulate_media(media="print")
    page.set_viewport_size(
        {"width": 718, "height": 1046}
    )  # A4 within a centimetre of margin, at 96 pixels an inch
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    torn = page.locator("tr").evaluate_all(
        "all => all.filter((one) => getComputedStyle(one).breakInside !== 'avoid').length"
    )
    assert torn == 0
    if name == "snapshot":
        # Printed the moment it is there, the map must not be half way through zooming in.
        drawn = page.locator("#map_snapshot .leaflet-overlay-pane svg").evaluate("one => one.style.transform")
        assert re.search(r"scale\((?!1\))", drawn) is None, drawn
        box = page.locator("#map_snapshot").bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= 1046
