"""The wall at one moment as a page of its own: Folium's map, the open alerts, everything in one file.

Nothing from events passes through Folium: it builds the map, its panes and its scale. The communes, sources and
reports are JSON in the page, which `pages/snapshot.js` draws.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import folium

from alerts.alert import Alert
from alerts.explain.words import Language
from alerts.model import SEVERITIES, Severity
from geo.drawing import drawing
from ioc.settings import Settings
from maps.history import Moment
from maps.pages import Page, embedded, own_file
from maps.past import Past
from maps.picture import LOCAL, Picture
from maps.sensors import SILENT
from maps.server import note_of
from maps.shell import drawing_bounds, named, no_address, take_apart
from maps.title import wall_title

#: The kinds of things that are drawn, from below.
LAYERS = ("communes", "sources", "reports", "labels")
#: Alerts and reports that the page lists; beyond, they are counted.
ROWS_MAX = 200


def snapshot_page(past: Past, settings: Settings, time: datetime | None, language: Language) -> str:
    """The page for a time, by default the last that there is. Raises `UserError` where nothing is known of it."""
    moment = past.moment(time)
    picture = past.picture(moment)
    snapshot = picture.snapshot()
    page = Page("snapshot.html", language)
    words = page.words
    shapes = drawing(past.boundaries)
    parts = take_apart(_map(shapes), page.assets)
    leaflet = [page.assets[f"leaflet/leaflet.{kind}"].body.decode() for kind in ("css", "js")]
    alerts = [alert for alert in moment.alerts if alert.open]
    calling = [alert for alert in alerts if not _aside(alert)]
    note = note_of(past.boundaries)
    return page.render(
        styles=[leaflet[0], parts.styles, own_file("page.css"), own_file("snapshot.css")],
        scripts=[leaflet[1], parts.script, own_file("snapshot.js")],
        map=parts.html,
        data=embedded(
            {
                "shapes": shapes,
                "communes": _communes(calling),
                "sources": _sources(picture),
                "reports": [_report(report) for report in snapshot["reports"]],
                "layers": {
                    "communes": words.say("Phường, xã", "Communes"),
                    "sources": words.say("Trạm đo", "Sensors"),
                    "reports": words.say("Phản ánh", "Reports"),
                    "labels": words.say("Tên", "Names"),
                },
            }
        ),
        title=wall_title(settings)[language],
        time=datetime.fromtimestamp(moment.time_ms / 1000, LOCAL),
        simulated=snapshot["simulated"],
        approximate=note.approximate,
        credit=" · ".join(no_address(part) for part in (note.source, note.licence, note.ref) if part) or "–",
        counts=snapshot["counts"],
        calling=sorted(calling, key=_importance)[:ROWS_MAX],
        aside=sorted((alert for alert in alerts if _aside(alert)), key=_importance)[:ROWS_MAX],
        more=_more(moment, len(alerts)),
        reports=sorted(snapshot["reports"], key=lambda report: -report["time"])[:ROWS_MAX],
        local=lambda ms: datetime.fromtimestamp(ms / 1000, LOCAL),
    )


def _more(moment: Moment, shown: int) -> int:
    return sum(frame.unnamed for frame in moment.frames) + max(0, shown - 2 * ROWS_MAX)


def _map(shapes: dict[str, Any]) -> folium.Map:
    """The map: `map_snapshot` and `feature_group_...` to the page's script."""
    bounds = drawing_bounds(shapes)
    (south, west), (north, east) = bounds
    made = folium.Map(
        location=[(south + north) / 2, (west + east) / 2],
        tiles=None,
        prefer_canvas=False,  # vectors, which print sharp
        control_scale=True,
        zoom_snap=0.125,
        zoom_animation=False,  # a page that is printed while it zooms would print what is half way
        attribution_control=False,
    )
    named(made, "snapshot")
    for layer in LAYERS:
        named(folium.FeatureGroup(name=layer, control=False), layer).add_to(made)
    made.fit_bounds(bounds, padding=(12, 12))
    return made


def _aside(alert: Alert) -> bool:
    return bool(alert.suppressed) or alert.shelved_until is not None


def _importance(alert: Alert) -> tuple[int, float, str]:
    return -SEVERITIES.index(alert.severity), -alert.started.timestamp(), alert.id


def _communes(alerts: list[Alert]) -> dict[str, Severity]:
    """The worst severity by commune."""
    worst: dict[str, Severity] = {}
    for alert in sorted(alerts, key=_importance):
        for code in alert.area:
            worst.setdefault(code, alert.severity)
    return worst


def _sources(picture: Picture) -> list[list[Any]]:
    """Rows of [longitude, latitude, id, severity or none, silent]."""
    return [
        [
            round(sensor.lon, 5),
            round(sensor.lat, 5),
            sensor.id,
            SEVERITIES[sensor.severity - 1] if sensor.severity else None,
            bool(sensor.state & SILENT),
        ]
        for sensor in picture.sensors
    ]


def _report(report: dict[str, Any]) -> list[Any]:
    return [report["lon"], report["lat"], report["text"] or report["category"]]
