"""Citizens' reports of the day: most about flooded streets, some hostile. Every person in them is made up.

Where many report one street is planned: `CLUSTERS`. All other reports of flooded streets lie more than 300 m from
each other, from every cluster and from every sensor, so that they agree with nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import cos, hypot, pi, radians, sin
from random import Random
from typing import Any, NamedTuple

from streams.scenarios.can_tho_spring_tide.day import BORDER, NORTH, SOUTH
from streams.scenarios.can_tho_spring_tide.places import COMMUNES, Commune
from streams.scenarios.can_tho_spring_tide.plan import STEP, Source

SOURCE = "citizen-app"
FLOODED = "flooded_street"

_FLOODED = (
    "Nước ngập tới nửa bánh xe, xe máy chết máy nhiều",
    "Đường ngập sâu, không qua được",
    "Nước tràn vào nhà, cần người giúp",
    "Triều cường dâng cao, nước lên nhanh quá",
    "Ngập hết cả đoạn đường trước trường học",
    "Cống trào ngược lên mặt đường",
)
_OTHERS = (
    ("traffic_jam", "Kẹt xe cứng ngắc, chưa thấy ai điều tiết"),
    ("traffic_jam", "Hai xe va chạm, xe ùn dài"),
    ("street_light", "Đèn đường không sáng mấy hôm nay"),
    ("fallen_tree", "Cây ngã chắn ngang đường"),
    ("drain_blocked", "Miệng cống đầy rác, nước không thoát"),
    ("garbage", "Rác chất đống ở góc đường"),
)
#: What must come out as it went in: as text.
_HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(document.domain)>',
    "'; DROP TABLE reports; --",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "ngập \u202egnuv gnàoh\u202c nặng",
    "</text><svg onload=alert(2)>",
    "<a href='javascript:alert(3)'>xem ảnh</a>",
    "ngập " * 600,
    "nước\u0000ngập\r\n\tđường\u200b",
)
#: Degrees: far out at sea, in no commune.
_AT_SEA = (107.31, 8.62)

#: Metres: a report that agrees with nothing is further than this from everything that it could agree with.
APART = 350
#: Circles around the point of a commune on which such reports lie: metres, and how many on each.
_CIRCLES = ((470, 8), (830, 12))


class Cluster(NamedTuple):
    """So many reports of one flooded street, the first at a time such as 18:04:10, `every` so many seconds."""

    site: str
    first: str
    reports: int
    every: int


CLUSTERS = (
    # Two neighbours and a third, while a sensor stands in the water.
    Cluster("cai-khe", "07:02:10", 3, 280),
    # A cloudburst where there is no sensor.
    Cluster("thot-not", "14:05:20", 6, 170),
    # Both sides of a border.
    Cluster("border", "18:04:10", 20, 80),
    Cluster("ninh-kieu", "18:53:40", 8, 200),
    # One fewer than would be many.
    Cluster("binh-thuy", "19:02:50", 4, 230),
)


class Report(NamedTuple):
    """A report as it is delivered."""

    second: int
    event: dict[str, Any]
    #: The cluster's site, and the commune it lies in; empty where it is in none of the clusters.
    site: str = ""
    commune: str = ""


class _Draft(NamedTuple):
    when: float
    category: str
    text: str
    place: tuple[float, float] | None
    site: str = ""
    commune: str = ""


def reports(sources: dict[str, Source], random: Random) -> Iterator[Report]:
    """Each report, in order; no two in the same second.

    Beside those inside a commune, one lies at sea and one has no place.
    """
    drafts = sorted(_drafts(sources, random), key=lambda draft: draft.when)
    last = -1
    for number, draft in enumerate(drafts, 1):
        last = max(int(draft.when), last + 1)
        event: dict[str, Any] = {
            "id": f"r-{number:03}",
            "source": SOURCE,
            "category": draft.category,
            "text": draft.text,
        }
        if draft.place is not None:
            event["lon"], event["lat"] = draft.place
        if random.random() < 0.3:
            event["attachments"] = [f"photo-{number:03}.jpg"]
        event["reporter"] = {"name": f"Người Không Có Thật {number:03}", "phone": f"0000 000 {number:03}"}
        yield Report(last, event, draft.site, draft.commune)


def _drafts(sources: dict[str, Source], random: Random) -> Iterator[_Draft]:
    for cluster in CLUSTERS:
        yield from _clustered(cluster, random)
    lonely = {name: _lonely(commune) for name, commune in COMMUNES.items()}
    for source in sources.values():
        if source.kind == "street":
            for flood in source.episodes:
                start, end = flood.stands[0].up * STEP + 240, flood.stands[0].down * STEP
                for _ in range(2 + len(flood.stands)):
                    # More of them soon after the water comes.
                    when = start + (end - start) * random.random() ** 1.5
                    text = _FLOODED[int(random.random() * len(_FLOODED))]
                    yield _Draft(when, FLOODED, text, lonely[source.commune].pop())
    for text in _HOSTILE:
        when = 6 * 3600 + 16 * 3600 * random.random()
        yield _Draft(when, FLOODED, text, lonely["hung-phu"].pop())
    communes = list(COMMUNES.values())
    for _ in range(64):
        category, text = _OTHERS[int(random.random() * len(_OTHERS))]
        when = 5.5 * 3600 + 17 * 3600 * random.random()
        yield _Draft(when, category, text, near(communes[int(random.random() * len(communes))], random))
    yield _Draft(15.2 * 3600, "other", "Tàu cá gặp sự cố ngoài khơi", _AT_SEA)
    yield _Draft(18.9 * 3600, FLOODED, "Ngập trước nhà tôi, không biết ghi ở đâu", None)


def _clustered(cluster: Cluster, random: Random) -> Iterator[_Draft]:
    for number in range(cluster.reports):
        hours, minutes, late = map(int, cluster.first.split(":"))
        when = hours * 3600 + minutes * 60 + late + number * cluster.every
        text = _FLOODED[int(random.random() * len(_FLOODED))]
        if cluster.site == "border":
            # The two sides in turn, the first on the side where the sensor is not.
            commune = SOUTH if number % 2 else NORTH
            lon = BORDER[0] + 0.0016 * (random.random() - 0.5)
            lat = BORDER[1] + (-1 if number % 2 else 1) * (0.0002 + 0.0005 * random.random())
            place = round(lon, 5), round(lat, 5)
        else:
            commune, place = cluster.site, near(COMMUNES[cluster.site], random)
        yield _Draft(when, FLOODED, text, place, cluster.site, commune)


def _lonely(commune: Commune) -> list[tuple[float, float]]:
    """Places around a commune's point, `APART` from each other, from all sites and from those of other communes."""
    here = (commune.lon, commune.lat)
    others = [(other.lon, other.lat) for other in COMMUNES.values() if other != commune]
    widest = max(radius for radius, _ in _CIRCLES)
    found = []
    for radius, count in _CIRCLES:
        for number in range(count):
            angle = 2 * pi * (number + radius / 1000) / count
            place = shifted(here, radius * cos(angle), radius * sin(angle))
            clear = all(metres(place, other) > widest + APART for other in others)
            if clear and metres(place, BORDER) > 150 + APART:
                found.append(place)
    return found


def near(commune: Commune, random: Random) -> tuple[float, float]:
    """A point at most 95 m from the commune's, degrees with five decimals."""
    shifts = [0.0012 * (random.random() - 0.5) for _ in range(2)]
    return round(commune.lon + shifts[0], 5), round(commune.lat + shifts[1], 5)


def shifted(place: tuple[float, float], east: float, north: float) -> tuple[float, float]:
    """A place so many metres further east and north, degrees with five decimals."""
    lon, lat = place
    return round(lon + east / (111_195 * cos(radians(lat))), 5), round(lat + north / 111_195, 5)


def metres(place: tuple[float, float], other: tuple[float, float]) -> float:
    """How far two places of one city are from each other."""
    across = (other[0] - place[0]) * cos(radians(place[1]))
    return 111_195 * hypot(across, other[1] - place[1])
