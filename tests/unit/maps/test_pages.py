"""Pages that stand for themselves: nothing from elsewhere, nothing that runs but what is ours, the right content."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ioc.errors import UserError
from ioc.settings import Settings, load_settings
from maps.pages import embedded, write_page
from maps.past import Past
from maps.report import report_page, shift_of
from maps.snapshot import snapshot_page
from tests import pastkit as kit

SHIFT = shift_of(f"{kit.at(0).isoformat()}..{kit.at(kit.MINUTES).isoformat()}")


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load_settings(wall_title="THỬ")


def pages(past: Past, settings: Settings) -> list[str]:
    return [
        page
        for lang in ("vi", "en")
        for page in (snapshot_page(past, settings, None, lang), report_page(past, settings, SHIFT, lang))
    ]  # type: ignore[arg-type]


class _Elements(HTMLParser):
    """The elements of a page, and the text of those that hold code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.code: list[tuple[str, str]] = []
        self._code = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._code = tag in ("script", "style") and "type" not in dict(attrs)
        if self._code:
            self.code.append((tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self._code = False

    def handle_data(self, data: str) -> None:
        if self._code:
            tag, before = self.code[-1]
            self.code[-1] = tag, before + data


def test_a_page_is_one_file_that_asks_nobody(settings: Settings) -> None:
    """No element refers to another file or host, and the policy would refuse it."""
    for html in pages(kit.past(), settings):
        for tag, attrs in _Elements(html).found:
            assert attrs.get("src") is None, tag
            assert tag != "link" or attrs.get("href") == "data:,"
            assert "style" not in attrs, f"{tag}: the policy allows no style of its own"
            assert not [name for name in attrs if name.startswith("on")]
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
        assert policy is not None
        assert policy[1].startswith("default-src &#39;none&#39;;")
        assert "unsafe" not in policy[1]


def test_only_what_is_ours_may_run(settings: Settings) -> None:
    """Each script and style stands in the policy with its hash; the report has no script at all."""
    past = kit.past(kit.HOSTILE)
    for html in pages(past, settings):
        for tag, code in _Elements(html).code:
            digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
            assert f"sha256-{digest}" in html, f"a {tag} that the policy does not name: {code[:80]}"
    report = report_page(past, settings, SHIFT, "vi")
    assert not [tag for tag, _ in _Elements(report).found if tag == "script"]
    assert "script-src &#39;none&#39;" in report


def test_hostile_text_is_text(settings: Settings) -> None:
    """Whatever a text holds, the page has the same elements as with a harmless one."""
    for harmless, hostile in zip(
        pages(kit.past("x"), settings), pages(kit.past(kit.HOSTILE), settings), strict=True
    ):
        names = [[tag for tag, _ in _Elements(html).found] for html in (harmless, hostile)]
        assert names[0] == names[1]
        assert "{{ 7 * 7 }}" in hostile, "a template ran"


def test_signs_that_turn_or_hide_a_text_show(settings: Settings) -> None:
    """Neither a direction override nor a pile of marks reaches the page, in its text or in its data."""
    for html in pages(kit.past("a\u202eb\x00c" + "e" + "\u0301" * 50), settings):
        assert "a\ufffdb\ufffdc" in html
        assert not re.search("[\x00\u202e]|\u0301{5}", html)


def test_embedded_json_cannot_end_its_element() -> None:
    assert "<" not in embedded({"a": "</script><!--<script>\u2028"})


def test_the_report_tells_the_shift(settings: Settings) -> None:
    """Open, overdue, shelved, suppressed, silent, incidents, ended and commands, each where it belongs."""
    html = report_page(kit.past("Ngập"), settings, SHIFT, "en")
    sections = dict(re.findall(r"<h2>([^<]+?) <span class=\"count\">\((\d+)\)</span></h2>", html))
    assert sections == {
        "Open": "1",
        "Overdue": "1",
        "Shelved": "1",
        "Suppressed": "1",
        "Silent sources": "1",
        "Incidents": "1",
        "Ended in the shift": "1",
        "Operators&#39; commands": "2",
    }
    assert "refused: the alert has changed meanwhile" in html
    assert "never heard" in html
    assert html.count('class="chart"') == 2
    assert "2.04" in html


def test_a_shift_begins_and_ends_where_it_is_said(settings: Settings) -> None:
    """What happened before it or after it is not in it; a shift before the records begin says so."""
    early = shift_of(f"{kit.at(0).isoformat()}..{kit.at(20).isoformat()}")
    html = report_page(kit.past("Ngập"), settings, early, "en")
    assert 'Ended in the shift <span class="count">(0)' in html
    assert ">2<" in html.split("</ul>")[0], "two severe alerts were open by then"
    before = shift_of(f"{(kit.START - timedelta(hours=3)).isoformat()}..{kit.at(20).isoformat()}")
    assert "There are data only from" in report_page(kit.past("Ngập"), settings, before, "en")


def test_last_is_the_last_eight_hours(settings: Settings) -> None:
    assert shift_of("last") is None
    assert "09:30 28/10/2026 – 17:30 28/10/2026" in report_page(kit.past(), settings, None, "en")


def test_a_time_without_a_zone_is_local() -> None:
    shift = shift_of("2025-10-08T06:00..2025-10-08T14:00")
    assert shift is not None
    assert shift.since.isoformat() == "2025-10-08T06:00:00+07:00"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-10-08T06:00", "2025-10-08T06:00..x", "2025-10-08T06:00..2025-10-08T05:00",
             "2025-10-01T06:00..2025-10-08T05:00"],
)  # fmt: skip
def test_a_shift_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        shift_of(text)


def test_a_time_of_which_nothing_is_known_is_refused(settings: Settings) -> None:
    """The error says how far the history goes."""
    with pytest.raises(UserError, match="the history goes from"):
        snapshot_page(kit.past(), settings, kit.at(-100), "vi")


def test_a_page_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        write_page(tmp_path / "none" / "page.html", "x")
