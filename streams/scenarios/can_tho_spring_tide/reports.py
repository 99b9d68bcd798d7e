"""Citizens' reports of the day: most about flooded streets, some hostile. Every person in them is made up."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from streams.scenarios.can_tho_spring_tide.places import COMMUNES, Commune
from streams.scenarios.can_tho_spring_tide.plan import STEP, Source

SOURCE = "citizen-app"

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


def reports(sources: dict[str, Source], random: Random) -> Iterator[tuple[int, dict[str, Any]]]:
    """(second of the day, event) of each report, in order; no two in the same second.

    Beside those inside a commune, one lies at sea and one has no place.
    """
    found: list[tuple[float, str, str, tuple[float, float] | None]] = []
    for source in sources.values():
        if source.id.startswith("street-"):
            for flood in source.episodes:
                start, end = flood.stands[0].up * STEP + 240, flood.stands[0].down * STEP
                for _ in range(6 + 2 * len(flood.stands)):
                    # More of them soon after the water comes.
                    when = start + (end - start) * random.random() ** 1.5
                    text = _FLOODED[int(random.random() * len(_FLOODED))]
                    found.append((when, "flooded_street", text, near(COMMUNES[source.commune], random)))
    communes = list(COMMUNES.values())
    for _ in range(32):
        category, text = _OTHERS[int(random.random() * len(_OTHERS))]
        when = 5.5 * 3600 + 17 * 3600 * random.random()
        found.append((when, category, text, near(communes[int(random.random() * len(communes))], random)))
    for text in _HOSTILE:
        when = 6 * 3600 + 16 * 3600 * random.random()
        found.append((when, "flooded_street", text, near(COMMUNES["ninh-kieu"], random)))
    found.append((15.2 * 3600, "other", "Tàu cá gặp sự cố ngoài khơi", _AT_SEA))
    found.append((18.9 * 3600, "flooded_street", "Ngập trước nhà tôi, không biết ghi ở đâu", None))

    last = -1
    for number, (when, category, text, place) in enumerate(sorted(found, key=lambda report: report[0]), 1):
        last = max(int(when), last + 1)
        event: dict[str, Any] = {"id": f"r-{number:03}", "source": SOURCE, "category": category, "text": text}
        if place is not None:
            event["lon"], event["lat"] = place
        if random.random() < 0.3:
            event["attachments"] = [f"photo-{number:03}.jpg"]
        event["reporter"] = {"name": f"Người Không Có Thật {number:03}", "phone": f"0000 000 {number:03}"}
        yield last, event


def near(commune: Commune, random: Random) -> tuple[float, float]:
    """A point at most 95 m from the commune's, degrees with five decimals."""
    shifts = [0.0012 * (random.random() - 0.5) for _ in range(2)]
    return round(commune.lon + shifts[0], 5), round(commune.lat + shifts[1], 5)
