"""The page of the wall: the map that Folium builds, in our frame, with every file served by us.

Folium does not escape text, so nothing that comes from events passes through it: it builds the map itself,
its panes, layers and controls, and a legend made of fixed words and escaped metadata of the boundary set. Its
output is taken apart into markup, styles and script, so that a Content-Security-Policy without inline code
holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, ClassVar

import folium
from branca.element import CssLink, Element, JavascriptLink, MacroElement
from folium.elements import JSCSSMixin
from folium.map import Layer
from folium.template import Template
from jinja2 import Environment, FileSystemLoader

from maps.assets import STATIC, Asset, make_asset, shipped_assets
from maps.licences import licences_page

#: Layers above the communes, by the name of their pane: stacking order and whether they take the pointer.
_PANES = {"communes": (410, False), "dots": (420, False), "labels": (430, False)}
#: What can be shown and hidden. Folium's groups are the switches; the page's script draws.
LAYERS = ("communes", "blind", "labels", "traffic", "flood", "camera", "reports", "alerts", "incidents")
_ADDRESS = re.compile(rb"(?:https?|wss?)://[^\s\"'<>)]*", re.IGNORECASE)
#: An address without a scheme, where a page or style would follow it.
_SCHEMELESS = re.compile(rb"(?:src|href|url|@import)\s*[=(]?\s*[\"']?//[^\s\"'<>)]*", re.IGNORECASE)
#: Not requests: the namespace that leaflet.js makes SVG elements in, its home page in its banner and in the
#: attribution that is switched off, and a bug report in a comment of leaflet.css.
_NOT_REQUESTS = {
    b"http://www.w3.org/2000/svg",
    b"https://leafletjs.com",
    b"https://bugzilla.mozilla.org/show_bug.cgi?id=888319",
}


@dataclass(frozen=True)
class BoundaryNote:
    """What the wall says about the boundaries it draws."""

    #: The set is an approximation, not the official map.
    approximate: bool = False
    source: str = ""
    licence: str = ""
    #: `id@version` of the set.
    ref: str = ""


@dataclass(frozen=True)
class Shell:
    """The page and everything it asks for."""

    page: Asset
    boundaries: Asset
    #: By name below /assets/.
    assets: dict[str, Asset]
    licences: Asset


class Legend(MacroElement):
    """What the signs on the map mean, and whose boundaries they are drawn on."""

    _template = Template(
        """
        {% macro html(this, kwargs) %}
        <aside class="legend" id="legend">
            <ul class="legend-looks" id="legend-looks"></ul>
            {% if this.note.approximate %}
            <p class="approximate" id="approximate" data-text="approximate"></p>
            {% endif %}
            <p class="credit"><span data-text="boundaries"></span>:
                {{ this.credit|e }}</p>
        </aside>
        {% endmacro %}
        """
    )

    def __init__(self, note: BoundaryNote) -> None:
        super().__init__()
        self._name = "Legend"
        self.note = note
        parts = [no_address(part) for part in (note.source, note.licence, note.ref) if part]
        self.credit = " · ".join(parts) or "–"


def no_address(text: str) -> str:
    """A text without schemes of addresses: something to read, nothing to follow from a control room."""
    return re.sub(r"/{2,}", "/", re.sub(r"(?:https?|wss?)://", "", text, flags=re.IGNORECASE))


class Dots(JSCSSMixin, Layer):
    """The layer of small signs: `L.Dots` of static/dots.js, one canvas for tens of thousands of them.

    It has no data of its own: the page's script puts signs into the layer that `get_name` names.
    """

    _template = Template(
        """
        {% macro script(this, kwargs) %}
        var {{ this.get_name() }} = L.dots({{ this.options|tojavascript }});
        {{ this.get_name() }}.addTo({{ this._parent.get_name() }});
        {% endmacro %}
        """
    )
    default_js: ClassVar = [("dots", "dots.js")]

    def __init__(self, pane: str) -> None:
        super().__init__(control=False)
        self._name = "Dots"
        self.options = {"pane": pane}


class Details(MacroElement):
    """Where the page's script tells what is known of the one that is chosen."""

    _template = Template(
        """
        {% macro html(this, kwargs) %}
        <aside class="chosen" id="details" aria-live="polite" data-label="details" hidden>
            <button class="chosen-close" id="details-close" type="button" data-text="closeDetails"></button>
            <div class="chosen-parts" id="details-parts" tabindex="0" data-label="details"></div>
        </aside>
        {% endmacro %}
        """
    )

    def __init__(self) -> None:
        super().__init__()
        self._name = "Details"


class Filters(MacroElement):
    """Which severities, streams and commune list and map show, the map's layers, and a way to a source by its id."""

    _template = Template(
        """
        {% macro html(this, kwargs) %}
        <details class="filters" id="filters">
            <summary data-text="filters"></summary>
            <div class="filters-parts">
                <div class="filter-boxes" id="filter-severities" role="group" data-label="filterSeverities">
                    <p data-text="filterSeverities"></p></div>
                <div class="filter-boxes" id="filter-streams" role="group" data-label="filterStreams">
                    <p data-text="filterStreams"></p></div>
                <label><span data-text="filterCommune"></span><select id="filter-commune"></select></label>
                <label><span data-text="find"></span>
                    <input id="filter-find" autocomplete="off" spellcheck="false"></label>
                <ul class="filter-found" id="filter-found"></ul>
                <button id="filter-reset" type="button" data-text="filterReset" hidden></button>
                <div class="filter-boxes" id="filter-layers" role="group" data-label="layers">
                    <p data-text="layers"></p></div>
            </div>
        </details>
        {% endmacro %}
        """
    )

    def __init__(self) -> None:
        super().__init__()
        self._name = "Filters"


def drawing_bounds(drawing: dict[str, Any]) -> list[list[float]]:
    """South-west and north-east corner of a FeatureCollection as (lat, lon), degrees.

    Raises `ValueError` where there is nothing to draw.
    """
    points = [
        point for feature in drawing["features"] for point in _points(feature["geometry"]["coordinates"])
    ]
    if not points:
        raise ValueError("the drawing of the communes is empty")
    lons, lats = [point[0] for point in points], [point[1] for point in points]
    return [[min(lats), min(lons)], [max(lats), max(lons)]]


def _points(coordinates: Any) -> Iterator[Any]:
    if coordinates and isinstance(coordinates[0], (int, float)):
        yield coordinates
    else:
        for part in coordinates:
            yield from _points(part)


def named(element: Element, name: str) -> Element:
    # Folium's own names are random: the page's scripts could not find them, and each start of the wall would
    # make another page, which every browser had to load again.
    element._id = name
    return element


def build_map(drawing: dict[str, Any], note: BoundaryNote) -> folium.Map:
    """The Folium map of the wall: `map_wall`, `dots_wall` and `feature_group_...` to the page's scripts."""
    bounds = drawing_bounds(drawing)
    (south, west), (north, east) = bounds
    wall = folium.Map(
        location=[(south + north) / 2, (west + east) / 2],
        tiles=None,
        prefer_canvas=True,
        zoom_control="topleft",
        control_scale=True,
        zoom_snap=0.125,  # exact in binary: the same view each time
        zoom_delta=0.5,
        wheel_px_per_zoom_level=120,
        attribution_control=False,
        max_bounds=True,
        min_lat=2 * south - north,
        max_lat=2 * north - south,
        min_lon=2 * west - east,
        max_lon=2 * east - west,
    )
    named(wall, "wall")
    for pane, (order, pointer) in _PANES.items():
        named(folium.map.CustomPane(pane, z_index=order, pointer_events=pointer), pane).add_to(wall)
    for layer in LAYERS:
        # The name is markup to Leaflet: a fixed key, which the page's script turns into words.
        group = folium.FeatureGroup(name=f'<span data-text="layer_{layer}"></span>')
        named(group, layer).add_to(wall)
    named(folium.LayerControl(position="topright", collapsed=False), "wall").add_to(wall)
    named(Dots("dots"), "wall").add_to(wall)
    for part in (Legend(note), Details(), Filters()):
        part.add_to(wall)
    wall.fit_bounds(bounds, padding=(24, 24))
    return wall


def build_shell(drawing: dict[str, Any], note: BoundaryNote, title: dict[str, str]) -> Shell:
    """Build the page for a drawing: a GeoJSON FeatureCollection of communes.

    Each feature has the properties `code`, `name` and `label`, the (lon, lat) where its name goes. `title` is
    the heading by language, vi and en. Raises `ValueError` where the page would ask another host.
    """
    assets = shipped_assets()
    boundaries = make_asset("boundaries.geojson", json.dumps(drawing, ensure_ascii=False).encode())
    parts = take_apart(build_map(drawing, note), assets)
    for name, text in (("map.css", parts.styles), ("map.js", parts.script)):
        assets[name] = make_asset(name, text.encode())
    environment = Environment(loader=FileSystemLoader(STATIC), autoescape=True)
    html = environment.get_template("wall.html").render(
        title={language: no_address(text) for language, text in title.items()},
        metas=parts.metas,
        styles=[
            *parts.css_links,
            assets["map.css"].url,
            assets["wall.css"].url,
            *(assets[name].url for name in ("city.css", "history.css")),
        ],
        scripts=[*parts.js_links, assets["map.js"].url],
        module=assets["wall.js"].url,
        icon=assets["icon.svg"].url,
        map=parts.html,
        boundaries=f"/boundaries.geojson?v={boundaries.tag}",
        version=_version(assets),
    )
    page = make_asset("wall.html", html.encode())
    licences = licences_page(
        [page, *assets.values()], assets, boundaries, no_address(note.source), no_address(note.licence)
    )
    for asset in (page, licences, *assets.values()):
        check_own_host(asset)
    return Shell(page, boundaries, assets, licences)


def _version(assets: dict[str, Asset]) -> str:
    """Changes with any file of the page, also with a module that only other modules name."""
    tags = "".join(assets[name].tag for name in sorted(assets))
    return hashlib.sha256(tags.encode()).hexdigest()[:16]


def check_own_host(asset: Asset) -> None:
    """Raise `ValueError` where a page, script or style names another host."""
    if asset.kind.startswith(("text/html", "text/css", "text/javascript")):
        for address in _ADDRESS.findall(asset.body):
            if address not in _NOT_REQUESTS:
                raise ValueError(f"{asset.name} names another host: {address.decode(errors='replace')}")
        if found := _SCHEMELESS.search(asset.body):
            raise ValueError(f"{asset.name} names another host: {found.group().decode(errors='replace')}")


@dataclass(frozen=True)
class _Parts:
    metas: list[str]
    js_links: list[str]
    css_links: list[str]
    styles: str
    script: str
    html: str


def _elements(root: Element) -> Iterator[Element]:
    yield root
    for child in root._children.values():
        yield from _elements(child)


def take_apart(wall: folium.Map, assets: dict[str, Asset]) -> _Parts:
    """Render a map into links, styles, script and markup of their own; its links point at our files."""
    figure = wall.get_root()
    # Set on the instances: add_js_link and add_css_link would change the lists of the class, and so every map
    # that is made later.
    for element in _elements(figure):
        if hasattr(element, "default_js"):
            own = [(name, assets[file].url) for name, file in element.default_js if file in assets]
            element.default_js, element.default_css = own, []
    wall.default_js = [("leaflet", assets["leaflet/leaflet.js"].url)]
    wall.default_css = [("leaflet_css", assets["leaflet/leaflet.css"].url)]
    for child in list(figure._children.values()):
        child.render()
    header = _Header()
    js_links, css_links = [], []
    for element in figure.header._children.values():
        if isinstance(element, JavascriptLink):
            js_links.append(element.url)
        elif isinstance(element, CssLink):
            css_links.append(element.url)
        else:
            header.feed(element.render())
    header.close()
    script = "\n".join([*header.scripts, figure.script.render()])
    return _Parts(header.metas, js_links, css_links, "\n".join(header.styles), script, figure.html.render())


class _Header(HTMLParser):
    """Sorts what Folium puts into the head of a page: metas, styles, scripts. Anything else is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.metas: list[str] = []
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self._inside: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "meta":
            self.metas.append(self.get_starttag_text() or "")
        elif tag in ("style", "script") and not attrs:
            self._inside = self.styles if tag == "style" else self.scripts
        else:
            raise ValueError(f"Folium put <{tag}> into the head of the page, which nothing here knows")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside is not None:
            self._inside.append(data)
        elif data.strip():
            raise ValueError(f"Folium put text into the head of the page: {data.strip()[:80]}")
