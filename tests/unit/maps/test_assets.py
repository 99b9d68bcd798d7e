"""Every file that the wall serves: whose it is, its licence, its SHA-256; and that none of them asks another host."""

from __future__ import annotations

import importlib.metadata
import re
from html.parser import HTMLParser
from pathlib import Path

import branca.element
import folium
import pytest

from ioc.errors import UserError
from maps import assets as assets_module
from maps.assets import LEAFLET, OWN, WORKS, make_asset, sha256_of_packages, shipped_assets, works_of
from maps.licences import asset_table
from maps.shell import BoundaryNote, Shell, build_map, build_shell, no_address
from tests import wallkit as kit

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = "</td></table><script>alert(1)</script><img src=x onerror=alert(2)> HTTPS://other.example/x //other.example"


def served(shell: Shell) -> dict[str, bytes]:
    """All that the wall serves as files, by address."""
    files = {"/": shell.page, "/licences": shell.licences, "/boundaries.geojson": shell.boundaries}
    files |= {f"/assets/{name}": asset for name, asset in shell.assets.items()}
    return {address: asset.body for address, asset in files.items()}


def test_the_table_is_that_of_the_installed_packages() -> None:
    """Each file of others that we name is in its package, with the SHA-256 that the table has."""
    shipped = shipped_assets()
    installed = sha256_of_packages()
    assert installed
    for name, sha256 in installed.items():
        assert shipped[name].sha256 == sha256
        assert works_of(name) != (OWN,)


def test_another_file_in_a_package_stops_the_wall(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A Leaflet that somebody changed is not served: the error names the file and both sums."""
    for name in sha256_of_packages():
        copy = tmp_path / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(assets_module._package_path(name).read_bytes())
    monkeypatch.setattr(assets_module, "_package_path", lambda name: tmp_path / name)
    shipped_assets()
    changed = tmp_path / "leaflet" / "leaflet.js"
    changed.write_bytes(changed.read_bytes() + b"\n")
    with pytest.raises(UserError, match=r"leaflet\.js is not the file") as error:
        shipped_assets()
    assert "SHA-256" in error.value.where
    changed.unlink()
    with pytest.raises(UserError, match="lacks a file"):
        shipped_assets()


def test_every_file_has_its_line() -> None:
    """The table names all that is served, whose it is, and its sum; nobody's file is taken for ours."""
    shell = kit.small_shell()
    files = [shell.page, *shell.assets.values()]
    lines = {line.name: line for line in asset_table(files)}
    assert set(lines) == {file.name for file in files}
    for file in files:
        assert lines[file.name].sha256 == file.sha256
        assert lines[file.name].size == len(file.body)
        assert lines[file.name].works
    own = {name for name, line in lines.items() if line.works == (OWN,)}
    static = {path.name for path in assets_module.STATIC.iterdir()}
    assert own <= static | {OWN.notice}
    page = shell.licences.body.decode()
    for line in lines.values():
        assert f"<td>{line.name}</td>" in page
        assert line.sha256 in page


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name)
def test_the_text_of_each_licence_is_served(work: assets_module.Work) -> None:
    """With the licence's own words, linked from the page."""
    shell = kit.small_shell()
    text = shell.assets[work.notice].body.decode()
    words = {
        "MIT": "Permission is hereby granted, free of charge",
        "BSD-2-Clause": "Redistributions in binary form must reproduce the above copyright notice",
        "OFL-1.1": "SIL OPEN FONT LICENSE Version 1.1",
        "Apache-2.0": "Apache License",
    }
    assert words[work.licence] in text
    assert f'href="{shell.assets[work.notice].url}"' in shell.licences.body.decode()
    assert work.version == importlib.metadata.version(work.package)


def test_our_licence_is_the_projects() -> None:
    """What the wall shows is the file at the top of the project."""
    assert shipped_assets()[OWN.notice].body == (ROOT / "LICENSE").read_bytes()


def test_leaflets_licence_names_who_the_script_names() -> None:
    """Leaflet's package has no text of its licence: ours names the same people and years as the script does."""
    shipped = shipped_assets()
    banner = shipped["leaflet/leaflet.js"].body.decode()[:300]
    notice = shipped[LEAFLET.notice].body.decode()
    holders = re.findall(r"\(c\) (\d{4}-\d{4}),? ([A-Z]\w+(?: [A-Z]\w+)?)", banner)
    assert len(holders) == 2
    for years, name in holders:
        assert f"Copyright (c) {years}, {name}" in notice


def test_what_boundaries_say_of_themselves_is_text() -> None:
    """A hostile source or licence of a set is neither markup nor an address, and the wall starts."""
    shell = build_shell(kit.squares(), BoundaryNote(True, HOSTILE, HOSTILE, HOSTILE), kit.TITLE)
    for page in (shell.page, shell.licences):
        text = page.body.decode()
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "://" not in text.replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://x.example/a", "x.example/a"),
        ("HTTP://x.example", "x.example"),
        ("hthttps://tps://x", "https:/x"),
        ("src=//x", "src=/x"),
        ("CC BY 4.0", "CC BY 4.0"),
    ],
)
def test_addresses_lose_their_scheme(text: str, shown: str) -> None:
    """What is left can be read and not followed."""
    assert no_address(text) == shown


class _Asks(HTMLParser):
    """Everything in markup that a browser would ask for, or go to."""

    NAMES = (
        "src",
        "href",
        "srcset",
        "data",
        "action",
        "formaction",
        "poster",
        "background",
        "ping",
        "manifest",
    )

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in self.NAMES or name.endswith(":href"):
                self.found.append(value or "")
            if tag == "meta" and name == "http-equiv":
                assert (value or "").lower() == "content-type", "a page that goes elsewhere by itself"
            assert not name.startswith("on"), "a handler in the markup"
            assert name != "style", "a style in the markup"


def asked_by(address: str, body: bytes) -> list[str]:
    """The addresses that a browser asks for because of this file."""
    text = body.decode()
    if address in ("/", "/licences"):
        parser = _Asks()
        parser.feed(text)
        parser.close()
        return parser.found
    if ".css" in address:
        return re.findall(r"url\(\s*[\"']?([^\"')]+)", text) + re.findall(r"@import\s+[\"']([^\"']+)", text)
    if ".js" in address and "leaflet" not in address:
        return [
            found
            for pattern in (
                r"^(?:import|export\b[^;=]*?\bfrom)\b[^;=]*?['\"`]([^'\"`]+)['\"`];",
                r"\bimport\(\s*['\"`]([^'\"`]+)",
                r"\b(?:fetch|EventSource|WebSocket|Worker|sendBeacon)\(\s*['\"`]([^'\"`]+)",
            )
            for found in re.findall(pattern, text, re.M)
        ]
    return []


def test_no_file_asks_another_host() -> None:
    """Markup, styles and scripts are read as a browser reads them: every address is a path of ours."""
    asked: dict[str, list[str]] = {
        address: asked_by(address, body)
        for address, body in served(kit.small_shell()).items()
        if not address.endswith((".png", ".woff2", ".txt", ".geojson"))
    }
    assert {"/events", "./texts.js"} <= set(asked["/assets/wall.js"])
    assert any(link.startswith("/assets/leaflet/") for link in asked["/"])
    for address, links in asked.items():
        for link in links:
            assert re.match(r"/(?!/)|\./|[a-z]+/[\w./-]+$|#", link), f"{address} asks for {link}"


def test_no_element_of_folium_brings_a_file_of_its_own() -> None:
    """Folium's elements name files of content networks by class; those that the map uses have none left but ours."""
    wall = build_map(kit.squares(), kit.NOTE)
    elements, found = [wall.get_root()], []
    while elements:
        element = elements.pop()
        found.append(element)
        elements += element._children.values()
    ours = {type(element).__module__.partition(".")[0] for element in found}
    assert ours <= {"folium", "branca", "maps"}
    there = [url for element in found for _, url in getattr(element, "default_js", []) if "://" in url]
    assert there, "Folium names other hosts: what follows is about nothing otherwise"
    shell = kit.small_shell()
    for address, body in served(shell).items():
        for url in there:
            assert url.encode() not in body, f"{address} has {url}"


def test_an_element_that_brings_files_along_does_not_get_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that would be added to the map without its files does not ask another host: the links are dropped."""
    import maps.shell

    original = maps.shell.build_map

    def with_plugin(*arguments: object) -> folium.Map:
        wall = original(*arguments)
        element = branca.element.MacroElement()
        element.default_js = [("plugin", "https://cdn.example/plugin.js")]  # type: ignore[attr-defined]
        wall.add_child(element)
        return wall

    monkeypatch.setattr(maps.shell, "build_map", with_plugin)
    shell = kit.small_shell()
    assert all(b"cdn.example" not in body for body in served(shell).values())


def test_a_kind_of_file_that_nobody_serves_is_an_error() -> None:
    """Nothing is sent without its type."""
    with pytest.raises(KeyError):
        make_asset("x.exe", b"")


def test_no_script_of_ours_makes_markup_of_a_text() -> None:
    """What turns a text into elements or into a script is in none of our files; what Folium made is not ours."""
    makes = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|DOMParser|document\.write|srcdoc"
        r"|\beval\(|\bFunction\(|setContent|bindPopup|bindTooltip|divIcon|setTimeout\(\s*['\"`]"
    )
    scripts = sorted(assets_module.STATIC.glob("*.js"))
    assert scripts
    for script in scripts:
        assert not makes.findall(script.read_text(encoding="utf-8")), script.name
