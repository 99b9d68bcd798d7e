"""The page: made by Folium, asking nobody but us, and running nothing that came from a file of boundaries."""

from __future__ import annotations

import json
import re

import folium
import pytest

from maps.assets import Asset, make_asset
from maps.shell import LAYERS, BoundaryNote, build_shell, check_own_host, drawing_bounds
from tests import wallkit as kit

ALLOWED = {
    "http://www.w3.org/2000/svg",
    "https://leafletjs.com",
    "https://bugzilla.mozilla.org/show_bug.cgi?id=888319",
}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> ${alert(3)} `"


def texts(shell) -> dict[str, str]:
    files = {"/": shell.page, **{f"/assets/{name}": asset for name, asset in shell.assets.items()}}
    return {name: asset.body.decode() for name, asset in files.items() if "text/" in asset.kind}


def test_the_page_names_no_other_host() -> None:
    """Every address in markup, styles and scripts is ours, apart from a namespace, a banner and a comment."""
    for name, text in texts(kit.small_shell()).items():
        if name.endswith(".txt"):
            continue  # the licences: text to read, which a browser never follows
        assert set(re.findall(r"(?:https?|wss?)://[^\s\"'<>)]+", text)) <= ALLOWED, name
        assert not re.search(r"(?:src|href)\s*=\s*[\"']?//|url\(\s*[\"']?//", text), name


def test_everything_the_page_asks_for_is_there() -> None:
    """What page, styles and scripts refer to is a file that we have."""
    shell = kit.small_shell()
    known = {f"/assets/{name}" for name in shell.assets} | {"/boundaries.geojson", "/licences"}
    asked = set()
    for name, text in texts(shell).items():
        folder = name.rpartition("/")[0]
        if name == "/":
            asked |= {
                link.partition("?")[0] for link in re.findall(r'(?:src|href|data-boundaries)="([^"]+)"', text)
            }
        elif name.endswith(".css"):
            references = re.findall(r"url\([\"']?([^\"')]+)", text)
            asked |= {f"{folder}/{link}" for link in references if not link.startswith("#")}
        elif name.endswith(".js"):
            asked |= {f"{folder}/{link[2:]}" for link in re.findall(r"from '(\./[^']+)'", text)}
    assert "/assets/leaflet/leaflet.js" in asked
    assert "/assets/fonts/BeVietnamPro-Bold.woff2" in asked
    assert asked <= known


def test_nothing_runs_inline() -> None:
    """No script, style or handler inside the markup: the policy would refuse it."""
    page = texts(kit.small_shell())["/"]
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert all(re.search(r"src=\"/assets/", tag) for tag in re.findall(r"<script[^>]*>", page))


def test_folium_builds_the_map_and_forgets_nothing() -> None:
    """The map is Folium's, with its panes, layers and bounds; other maps keep Folium's own links."""
    shell = kit.small_shell()
    script = texts(shell)["/assets/map.js"]
    assert "var map_wall = L.map(" in script
    assert "[[9.9, 105.5], [10.2, 105.8]]" in script
    for layer in LAYERS:
        assert f"var feature_group_{layer} = L.featureGroup(" in script
    assert "var dots_wall = L.dots(" in script
    assert "/assets/dots.js" in texts(shell)["/"]
    assert 'id="legend"' in texts(shell)["/"]
    assert any("cdn" in url for _, url in folium.Map().default_js)


def test_the_same_input_gives_the_same_page() -> None:
    """A restart of the wall is no reason for browsers to load the page again."""
    assert kit.small_shell().page.tag == kit.small_shell().page.tag


def test_names_and_metadata_of_boundaries_are_text() -> None:
    """Hostile names, sources and licences reach neither the markup nor the script as code."""
    drawing = kit.squares()
    drawing["features"][0]["properties"]["name"] = HOSTILE
    title = {"vi": HOSTILE, "en": HOSTILE}
    shell = build_shell(drawing, BoundaryNote(True, HOSTILE, HOSTILE, HOSTILE), title)
    page, script = texts(shell)["/"], texts(shell)["/assets/map.js"]
    assert "<script>alert" not in page
    assert "<img" not in page
    assert "alert(" not in script
    assert json.loads(shell.boundaries.body)["features"][0]["properties"]["name"] == HOSTILE


@pytest.mark.parametrize("approximate", [True, False])
def test_approximate_boundaries_say_so(approximate: bool) -> None:
    """The note is there exactly when the set is an approximation."""
    page = texts(kit.small_shell(note=BoundaryNote(approximate, "s", "l", "r")))["/"]
    assert ('id="approximate"' in page) is approximate


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.html", '<script src="https://cdn.example/x.js">'),
        ("x.html", '<img src="//cdn.example/x.png">'),
        ("x.css", "a { background: url(//cdn.example/x.png) }"),
        ("x.css", '@import "//cdn.example/x.css";'),
        ("x.js", "new WebSocket('wss://example.test/')"),
        ("x.js", "L.tileLayer('HTTPS://tile.example/{z}')"),
    ],
)
def test_another_host_is_refused(name: str, text: str) -> None:
    """A page that would ask another host is not served at all."""
    asset: Asset = make_asset(name, text.encode())
    with pytest.raises(ValueError, match="another host"):
        check_own_host(asset)


def test_an_empty_drawing_is_refused() -> None:
    """A map without communes has no place to look at."""
    with pytest.raises(ValueError, match="empty"):
        drawing_bounds({"type": "FeatureCollection", "features": []})


def test_the_words_exist_in_both_languages() -> None:
    """Each key of the one language is there in the other, and each that the page names is there."""
    files = texts(kit.small_shell())
    keys: list[set[str]] = [set(), set()]
    for name in ("texts.js", "mapwords.js", "history.js", "opening.js"):
        blocks = re.findall(r"^  (?:vi|en): \{(.*?)^  \},", files[f"/assets/{name}"], re.M | re.S)
        assert len(blocks) == 2
        for known, words in zip(keys, blocks, strict=True):
            known |= set(re.findall(r"(?:^|, )\s*(\w+): '", words, re.M))
    assert keys[0] == keys[1]
    assert len(keys[0]) > 40
    named = set(re.findall(r'data-(?:text|label)=\\?"(\w+)', files["/"] + files["/assets/map.js"]))
    assert named <= keys[0]
