"""The files that ship with the recording: its sources, who is told of it, and what is worked at during it."""

from __future__ import annotations

from random import Random
from typing import Any

import yaml

from streams.scenarios.can_tho_spring_tide.day import STUCK
from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.plan import Source, commune_of
from streams.scenarios.can_tho_spring_tide.reports import near
from streams.scenarios.can_tho_spring_tide.stated import AGENCIES, WORKS

_CITATION = "Decision 05/2020/QĐ-TTg of 31 January 2020, level as printed in bulletins"
_KINDS = {
    "gauge": ("water_level", "Trạm đo mực nước", "Water level gauge"),
    "street": ("street_water", "Cảm biến ngập đường", "Street water sensor"),
    "traffic": ("traffic_counter", "Cảm biến giao thông", "Traffic sensor"),
    "camera": ("camera", "Camera giao thông", "Traffic camera"),
}
#: What holds for all sources of a kind.
_PLAUSIBLE: dict[str, dict[str, Any]] = {
    "water_level": {
        "interval": "5m",
        "datum": "Hon Dau",
        "plausible": {"level_m": {"least": -1, "greatest": 4, "step": 0.5, "stuck": f"{STUCK // 3600}h"}},
    },
    "street_water": {
        "interval": "5m",
        "plausible": {"road_depth_m": {"least": 0, "greatest": 3, "step": 0.4}},
    },
    "traffic_counter": {"interval": "5m"},
    "camera": {"interval": "5m"},
}


def inventory(sources: dict[str, Source], random: Random) -> str:
    """The fixed sources."""
    listed = []
    for source in sources.values():
        commune = COMMUNES[commune_of(source)]
        kind, vi, en = _KINDS[source.kind]
        number = f" {source.number}" if source.number else ""
        near_it = near(commune, random)
        lon, lat = near_it if source.point is None else source.point
        entry: dict[str, Any] = {
            "id": source.id,
            "stream": source.stream,
            "name": {"vi": f"{vi}{number}, {commune.vi}", "en": f"{en}{number}, {commune.en}"},
            "kind": kind,
            "lon": lon,
            "lat": lat,
            "simulated": True,
        }
        if source.commune == "can-tho":
            entry["name"] = {"vi": "Trạm Cần Thơ (sông Hậu)", "en": "Cần Thơ station (Hậu river)"}
        if source.thresholds:
            entry["thresholds"] = [
                {"name": name, "value": value, "citation": _CITATION}
                for name, value in source.thresholds.items()
            ]
        listed.append(entry)
    head = (
        "# Made by streams/scenarios/can_tho_spring_tide/make.py. Every source is simulated, and its place\n"
        "# is approximate: a point of its commune from the Python package vietnamadminunits 1.0.4 (MIT\n"
        "# licence), moved by less than 100 m. Only the warning levels of the three stations are real.\n"
    )
    return head + _yaml({"version": 1, "kinds": _PLAUSIBLE, "sources": listed})


def subscriptions() -> str:
    """Agencies of an exercise: they are told of what is simulated, and of nothing else."""
    listed = []
    for agency in AGENCIES:
        entry: dict[str, Any] = {
            "id": agency.id,
            "name": {"vi": agency.vi, "en": agency.en},
            "hazards": list(agency.hazards),
            "severity": agency.severity,
            "exercise": True,
        }
        if agency.hours is not None:
            entry["hours"] = {
                name: _clock(time) for name, time in zip(("since", "until"), agency.hours, strict=True)
            }
        listed.append(entry)
    head = "# Made by streams/scenarios/can_tho_spring_tide/make.py. Agencies of an exercise.\n"
    return head + _yaml({"version": 1, "agencies": listed})


def maintenance(since: str, until: str) -> str:
    """The works of the day, between two times with their zone."""
    window = {
        "id": WORKS.id,
        "since": since,
        "until": until,
        "reason": {"vi": WORKS.vi, "en": WORKS.en},
        "sources": [WORKS.source],
    }
    head = "# Made by streams/scenarios/can_tho_spring_tide/make.py. The works are made up.\n"
    return head + _yaml({"version": 1, "windows": [window]})


def _clock(seconds: int) -> str:
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}"


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, allow_unicode=True, sort_keys=False, default_flow_style=None, width=200)
