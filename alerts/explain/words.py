"""The words of an explanation, in Vietnamese and English, and how values are written among them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Literal

from alerts.agencies.wording import DOUBT_WORDS, SEVERITY_WORDS, number, text
from alerts.alert import Alert, ChangeName
from alerts.commands import Action
from alerts.model import Doubt, Text

Language = Literal["vi", "en"]
LANGUAGES: tuple[Language, ...] = ("vi", "en")

STATES: dict[str, Text] = {
    "open": {"vi": "đang mở", "en": "open"},
    "cleared": {"vi": "đã hết", "en": "cleared"},
    "closed": {"vi": "đã đóng", "en": "closed"},
}

CERTAINTY_WORDS: dict[str, Text] = {
    "possible": {"vi": "Mới là khả năng, chưa được xác nhận", "en": "Possible, and not confirmed"},
    "likely": {"vi": "Nhiều khả năng là đúng", "en": "Likely, and not certain"},
    "observed": {"vi": "Đã quan sát được", "en": "Observed"},
}

CHANGES: dict[ChangeName, Text] = {
    "raised": {"vi": "phát cảnh báo", "en": "raised"},
    "escalated": {"vi": "nâng mức", "en": "escalated"},
    "lowered": {"vi": "hạ mức", "en": "lowered"},
    "updated": {"vi": "cập nhật", "en": "updated"},
    "cleared": {"vi": "kết thúc", "en": "cleared"},
    "closed": {"vi": "đóng", "en": "closed"},
    "reopened": {"vi": "mở lại", "en": "reopened"},
    "acknowledged": {"vi": "xác nhận", "en": "acknowledged"},
    "assigned": {"vi": "giao việc", "en": "assigned"},
    "commented": {"vi": "ghi chú", "en": "commented"},
    "shelved": {"vi": "gác lại", "en": "shelved"},
    "unshelved": {"vi": "thôi gác", "en": "unshelved"},
    "released": {"vi": "phát hành", "en": "released"},
    "overdue": {"vi": "quá hạn xác nhận", "en": "overdue"},
    "suppressed": {"vi": "bị ẩn", "en": "suppressed"},
    "resumed": {"vi": "hiện lại", "en": "resumed"},
}

ACTIONS: dict[Action, Text] = {
    "acknowledge": {"vi": "xác nhận", "en": "acknowledge"},
    "assign": {"vi": "giao việc", "en": "assign"},
    "shelve": {"vi": "gác lại", "en": "shelve"},
    "unshelve": {"vi": "thôi gác", "en": "unshelve"},
    "comment": {"vi": "ghi chú", "en": "comment"},
    "close": {"vi": "đóng", "en": "close"},
    "open": {"vi": "mở", "en": "open"},
    "release": {"vi": "phát hành", "en": "release"},
}

#: Measures by their names in the events; one that is not here goes by its name.
MEASURES: dict[str, Text] = {
    "level_m": {"vi": "Mực nước", "en": "Water level"},
    "road_depth_m": {"vi": "Nước trên mặt đường", "en": "Water on the road"},
    "rain_mm": {"vi": "Mưa", "en": "Rain"},
    "salinity_permille": {"vi": "Độ mặn", "en": "Salinity"},
    "speed_kmh": {"vi": "Tốc độ", "en": "Speed"},
    "flow_vph": {"vi": "Lưu lượng", "en": "Flow"},
    "occupancy": {"vi": "Độ chiếm dụng", "en": "Occupancy"},
    "count": {"vi": "Số lượng", "en": "Count"},
}

#: What an agency was told, by the type of its message.
TOLD: dict[str, Text] = {
    "alert": {"vi": "báo lần đầu", "en": "told"},
    "update": {"vi": "báo thay đổi", "en": "told of a change"},
    "cancel": {"vi": "báo kết thúc", "en": "told of the end"},
}

#: By what an alert's `suppressed` begins with; `of` is what stands behind the colon.
SUPPRESSION_WORDS: dict[str, Text] = {
    "maintenance": {"vi": "Bị ẩn do bảo trì {of}", "en": "Suppressed by the maintenance {of}"},
    "inhibited": {"vi": "Bị ẩn vì cảnh báo {of}", "en": "Suppressed because of {of}"},
    "limit": {
        "vi": "Bị ẩn vì quy tắc {of} có quá nhiều cảnh báo",
        "en": "Suppressed because the rule {of} has too many alerts",
    },
}

_UNITS = (
    (timedelta(days=1), {"vi": "ngày", "en": "d"}),
    (timedelta(hours=1), {"vi": "giờ", "en": "h"}),
    (timedelta(minutes=1), {"vi": "phút", "en": "min"}),
    (timedelta(seconds=1), {"vi": "giây", "en": "s"}),
)


def duration(time: timedelta, language: str) -> str:
    """A length of time in its two greatest units, such as 1 h 30 min."""
    parts = []
    left = timedelta(seconds=round(time.total_seconds()))
    for unit, names in _UNITS:
        count, left = divmod(left, unit)
        if count:
            parts.append(f"{count} {names[language]}")
    return " ".join(parts[:2]) or f"0 {_UNITS[-1][1][language]}"


class Words:
    """One language."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def say(self, vietnamese: str, english: str) -> str:
        """The one that is in this language."""
        return vietnamese if self.language == "vi" else english

    def of(self, texts: Mapping[str, str], otherwise: str = "") -> str:
        """A text in this language, else in another that it has."""
        return text(dict(texts), self.language, otherwise)

    def value(self, value: float, unit: str) -> str:
        """A value with its unit; seconds as a length of time."""
        if unit == "s":
            return self.span(timedelta(seconds=value))
        return number(value, unit, self.language)

    def span(self, time: timedelta) -> str:
        """A length of time."""
        return duration(time, self.language)

    def level(self, alert: Alert) -> str:
        """The level that an alert stands at."""
        severity = SEVERITY_WORDS[alert.severity][self.language]
        label = self.of(alert.label)
        return f"{label}, {severity}" if label else severity

    def doubted(self, doubts: tuple[Doubt, ...]) -> str:
        """Why a reading is doubted, in brackets; nothing where it is believed."""
        if not doubts:
            return ""
        words = ", ".join(DOUBT_WORDS[doubt][self.language] for doubt in doubts)
        return self.say(f" (đáng ngờ: {words})", f" (doubted: {words})")
