"""Ways in which a text that passed through Folium ran as a script, each with a text that does it.

`build` makes a Folium map that has the text where Folium does not escape it. The wall shows the same texts, and there
none of them may run. A script that runs leaves its name in `window.ran`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import folium
from folium.utilities import JsCode

_POINT = (10.05, 105.65)
_IMAGE = '<img src="data:," onerror="{run}">'
_CLOSING = "</script><script>{run}</script>"
_TEMPLATE = "${{run}}"
_BACKTICK = "`+({run})+`"


@dataclass(frozen=True)
class Way:
    """A place in Folium's output where text is code, and a text that becomes it."""

    name: str
    #: `{run}` is the script.
    template: str
    build: Callable[[str], folium.Map]

    def text(self, where: str) -> str:
        """The text; what it leaves in `window.ran` says how it came to run, and from where."""
        # Without quotes, and without what HTML escapes: some of the ways escape those, and run all the same.
        return self.template.replace("{run}", f"(window.ran??=[]).push(/{self.name} {where}/.source)")


def _map(*parts: Any) -> folium.Map:
    made = folium.Map(_POINT, zoom_start=12, tiles=None)
    for part in parts:
        part.add_to(made)
    return made


def _geojson(text: str, **options: Any) -> folium.Map:
    feature = {
        "type": "Feature",
        "properties": {"text": text},
        "geometry": {"type": "Point", "coordinates": [_POINT[1], _POINT[0]]},
    }
    return _map(folium.GeoJson({"type": "FeatureCollection", "features": [feature]}, **options))


def _marker(**options: Any) -> folium.Map:
    return _map(folium.Marker(_POINT, **options))


def _named(layer: Any) -> folium.Map:
    return _map(layer, folium.LayerControl(collapsed=False))


def _tiles(**options: Any) -> Any:
    return folium.TileLayer(tiles="data:,{z}", **{"attr": "-", **options})


_BIND = JsCode("(feature, at) => L.circleMarker(at).bindTooltip(feature.properties.text)")

WAYS = [
    Way("tooltip-value", _IMAGE, lambda t: _geojson(t, tooltip=folium.GeoJsonTooltip(["text"]))),
    Way(
        "tooltip-alias", _IMAGE, lambda t: _geojson("-", tooltip=folium.GeoJsonTooltip(["text"], aliases=[t]))
    ),
    Way("popup-value", _IMAGE, lambda t: _geojson(t, popup=folium.GeoJsonPopup(["text"]))),
    Way("popup-alias", _IMAGE, lambda t: _geojson("-", popup=folium.GeoJsonPopup(["text"], aliases=[t]))),
    Way("marker-popup", _IMAGE, lambda t: _marker(popup=t)),
    Way("marker-popup-template", _TEMPLATE, lambda t: _marker(popup=t)),
    Way("marker-popup-closing", _CLOSING, lambda t: _marker(popup=t)),
    Way("marker-tooltip", _IMAGE, lambda t: _marker(tooltip=t)),
    Way("marker-tooltip-backtick", _BACKTICK, lambda t: _marker(tooltip=t)),
    Way("marker-tooltip-template", _TEMPLATE, lambda t: _marker(tooltip=t)),
    Way("marker-tooltip-closing", _CLOSING, lambda t: _marker(tooltip=t)),
    Way("div-icon", _IMAGE, lambda t: _marker(icon=folium.DivIcon(html=t))),
    Way("overlay-name", _IMAGE, lambda t: _named(folium.FeatureGroup(name=t))),
    Way("base-layer-name", _IMAGE, lambda t: _named(_tiles(name=t))),
    Way("attribution", _IMAGE, lambda t: _map(_tiles(attr=t))),
    Way("point-to-layer", _IMAGE, lambda t: _geojson(t, point_to_layer=_BIND)),
    Way("parsed-popup-backtick", "`${{run}}`", lambda t: _marker(popup=folium.Popup(t, parse_html=True))),
    Way("parsed-popup-template", _TEMPLATE, lambda t: _marker(popup=folium.Popup(t, parse_html=True))),
]
#: Texts that are hostile in other ways: they break out of attributes, comments, styles and JSON, go to another host,
#: turn the direction of what follows, or end a text for whoever counts to a NUL.
OTHERS = [
    Way(
        "attribute", "' onmouseover='{run}' x=\" onfocus=\"{run}\" autofocus tabindex=1 y=", lambda t: _map()
    ),
    Way("comment", "--><svg onload={run}><!--", lambda t: _map()),
    Way("style", "</style><style>@import '//other.example/x';</style><svg/onload={run}>", lambda t: _map()),
    Way("frame", '<iframe srcdoc="<script>parent.{run}</script>"></iframe>', lambda t: _map()),
    Way(
        "link", '<a href="javascript:{run}" id="title">x</a><base href="//other.example/">', lambda t: _map()
    ),
    Way(
        "other-host",
        '<img src="//other.example/x"><link rel=stylesheet href="//other.example/y">',
        lambda t: _map(),
    ),
    Way("words", "{alert} {{ title }} {% raw %} {n} $& $1 %s", lambda t: _map()),
    Way("separators", "a\u2028b\u2029c\r\nd: {run}\n\nevent: snapshot\ndata: {}\n\n", lambda t: _map()),
    Way("direction", "\u202eđảo\u2066 \u200f\u061c{run}", lambda t: _map()),
    Way("nul", "trước\x00sau\x1b[31m\x7f\x85 {run}", lambda t: _map()),
    Way("piled", "Z" + "\u0301\u0323" * 90 + " {run}", lambda t: _map()),
    Way("prototype", "__proto__", lambda t: _map()),
]
