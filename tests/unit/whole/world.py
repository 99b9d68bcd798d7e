"""A small world to judge: two communes side by side, three street sensors at their border, a gauge, and every kind of
rule."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import shapely

from geo.boundaries import Commune, boundary_set
from geo.registry import Registry
from geo.succession import Succession
from streams.atlas import Atlas

STREET = """\
  - id: street-water
    title: {{vi: Ngập đường, en: Water on the street}}
    hazard: flood
    stream: flood
    measure: road_depth_m
    unit: m
    direction: above
    limit: {{alerts: 2, window: 5m}}
    levels:
      - {{severity: minor, raise: {raised}, clear: {cleared}}}
"""
#: Every other kind of rule. `fusion` goes without the street's rule where that is not there.
RULES = """\
  - id: water-level
    title: {vi: Mực nước, en: Water level}
    hazard: flood
    stream: flood
    measure: level_m
    unit: m
    direction: above
    hold: 2m
    citation: made for the test
    levels:
      - {severity: minor, raise: {threshold: bd3, offset: -0.1}, clear: {threshold: bd3, offset: -0.15}}
      - {severity: severe, raise: {threshold: bd3}, clear: {threshold: bd3, offset: -0.05}}
  - id: rising
    kind: rate
    title: {vi: Nước lên nhanh, en: Rising water}
    hazard: flood
    stream: flood
    measure: level_m
    unit: m
    direction: above
    window: 10m
    levels:
      - {severity: moderate, raise: 0.4, clear: 0.1}
  - id: silent
    kind: silence
    title: {vi: Mất tín hiệu, en: Silent}
    hazard: device
    stream: flood
    levels:
      - {severity: minor, after: 5m}
      - {severity: moderate, after: 12m}
  - id: reports
    kind: count
    title: {vi: Người dân báo ngập, en: Reports of flooding}
    hazard: flood
    of: {stream: report, where: {category: flooded_street}}
    radius_m: 300
    window: 10m
    levels:
      - {severity: minor, raise: 2, clear: 1}
      - {severity: severe, raise: 4, clear: 3}
  - id: communal
    kind: commune
    title: {vi: Cả xã ngập, en: A commune under water}
    hazard: flood
    stream: flood
    measure: road_depth_m
    unit: share
    statistic: share
    beyond: 0.2
    direction: above
    window: 2m
    least_sources: 1
    levels:
      - {severity: severe, raise: 0.9, clear: 0.5}
"""
FUSION = """\
  - id: agreed
    kind: fusion
    title: {vi: Nhiều nguồn cùng báo, en: Several agree}
    hazard: flood
    inputs:
      - {name: street, rule: street-water}
      - {name: reports, of: {stream: report, where: {category: flooded_street}}}
    radius_m: 300
    window: 10m
    levels:
      - {severity: severe, least: 2, certainty: likely}
"""
REST = """\
escalations:
  - {severity: minor, after: 4m, to: supervisor}
inhibitions:
  - {id: whole-commune, by: [communal], of: [street-water], same: commune}
incidents:
  - {id: tide, title: {vi: Triều, en: Tide}, hazard: flood, rules: [water-level], same: province, gap: 30h, peaks: 3h}
  - {id: street, title: {vi: Ngập, en: Flood}, hazard: flood, radius_m: 300, gap: 30m}
"""


@dataclass(frozen=True)
class WorldRules:
    """The rules, with the street's bounds; None: without that rule."""

    street: tuple[float, float] | None

    def text(self) -> str:
        if self.street is None:
            rest = REST.replace(
                "  - {id: whole-commune, by: [communal], of: [street-water], same: commune}\n", ""
            )
            return f"version: 1\nrules:\n{RULES}{rest.replace('inhibitions:', 'inhibitions: []')}"
        raised, cleared = self.street
        return f"version: 1\nrules:\n{STREET.format(raised=raised, cleared=cleared)}{RULES}{FUSION}{REST}"


def inventory(sources: tuple[str, ...]) -> str:
    """The inventory of these sources: streets 30 m apart across the border, the gauge in the west."""
    lines = ["version: 1", "sources:"]
    for source in sources:
        kind, number = source.split("-")
        lon = 105.5 if kind == "gauge" else 106 + (int(number) - 2) * 30 / 109_000 + 0.0001
        more = (
            ", thresholds: [{name: bd3, value: 2.0, citation: made for the test}]" if kind == "gauge" else ""
        )
        lines.append(
            f"  - {{id: {source}, stream: flood, name: {{vi: {source}, en: {source}}}, kind: {kind}, "
            f"lon: {lon}, lat: 10.5, interval: 1m{more}}}"
        )
    return "\n".join(lines) + "\n"


@cache  # building a locator takes a while
def atlas_with_border_at(lon: float) -> Atlas:
    """Two communes, 1 in the west and 2 in the east, with their border at a longitude."""
    communes = boundary_set(
        id=f"two-{lon}",
        approximate=False,
        source="made for the test",
        licence="",
        communes=[Commune("1", "Tây", "92"), Commune("2", "Đông", "92")],
        geometries=np.array([shapely.box(105, 10, lon, 11), shapely.box(lon, 10, 107, 11)], dtype=object),
    )
    return Atlas(Registry([communes]), Succession({}))
