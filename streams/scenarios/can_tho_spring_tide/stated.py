"""What the truth must know of the rules that ship. A test holds every figure here to them.

Seconds throughout.
"""

from __future__ import annotations

from typing import NamedTuple

MINUTE = 60
#: Seconds between two clock records. What follows from several sources is taken in the order in which clock records
#: make it known: moments nearer to each other than that have no order that can be told from the plan.
CLOCK = 10

HAZARDS = {
    "water-level": "flood",
    "street-water": "flood",
    "flooded-street-reports": "flood",
    "flooded-street-agreed": "flood",
    "slow-traffic": "traffic",
    "vehicle-queue": "traffic",
    "commune-traffic": "traffic",
    "silent-source": "equipment",
}

#: From least to worst.
SEVERITIES = ("minor", "moderate", "severe", "extreme")


class Silence(NamedTuple):
    """A level of silence: severity and seconds without an event, of a source that reports every five minutes."""

    severity: str
    after: int


SILENCE = (Silence("minor", 3 * 300), Silence("moderate", 12 * 300))
#: Of silences at most so many are shown that begin within so many seconds.
SILENCE_LIMIT, SILENCE_WINDOW = 5, 600


class CountLevel(NamedTuple):
    """A level of a count: entered at `raise_at` reports, left with fewer than `clear_at`."""

    severity: str
    raise_at: int
    clear_at: int
    certainty: str


COUNT = (
    CountLevel("minor", 5, 3, "possible"),
    CountLevel("moderate", 10, 7, "likely"),
    CountLevel("severe", 20, 15, "likely"),
)
#: How long a report or a camera's sight counts, and how far around.
WINDOW, RADIUS = 1800, 300

#: Of sensor, camera and reports so many agree: severity and certainty.
AGREED = {2: ("moderate", "likely"), 3: ("moderate", "observed")}

#: A commune is jammed when this share of what its sensors said in the window was at or below this speed, for so long;
#: and no longer when it is below the other share.
JAM_SPEED, JAM_WINDOW, JAM_HOLD, JAM_LEAST = 15, 600, 300, 3
JAM_RAISE, JAM_CLEAR, JAM_SEVERITY = 0.6, 0.4, "moderate"
#: Rules whose alerts it hides.
HIDDEN_BY_JAM = ("slow-traffic", "vehicle-queue")

#: Unacknowledged alerts of this severity and worse are overdue after so long.
ESCALATIONS = (("severe", 300), ("moderate", 1800))


class Grouping(NamedTuple):
    """Alerts of these rules at one place are one incident, while no gap between them is longer than this."""

    id: str
    rules: tuple[str, ...]
    #: What one place is: site, commune, or everywhere.
    same: str
    gap: int
    #: High waters no further apart than this are one; None: not told.
    peaks: int | None = None


GROUPINGS = (
    Grouping("spring-tide", ("water-level",), "everywhere", 30 * 3600, 3 * 3600),
    Grouping(
        "street-flood", ("street-water", "flooded-street-reports", "flooded-street-agreed"), "site", 1800
    ),
    Grouping("traffic-jam", ("slow-traffic", "vehicle-queue", "commune-traffic"), "commune", 1800),
)


class Agency(NamedTuple):
    """Who is told of what. `hours`: seconds after midnight between which it is told for the first time."""

    id: str
    vi: str
    en: str
    hazards: tuple[str, ...]
    severity: str
    hours: tuple[int, int] | None = None


AGENCIES = (
    Agency("rescue", "Cảnh sát PCCC và cứu nạn cứu hộ", "Fire and rescue police", ("flood",), "severe"),
    Agency(
        "water-management", "Chi cục Thủy lợi", "Water management office", ("flood", "salinity"), "moderate"
    ),
    Agency(
        "traffic-police",
        "Cảnh sát giao thông",
        "Traffic police",
        ("traffic",),
        "minor",
        (6 * 3600, 20 * 3600),
    ),
)


class Works(NamedTuple):
    """A maintenance window."""

    id: str
    source: str
    since: int
    until: int
    vi: str
    en: str


WORKS = Works(
    "camera-works", "camera-cai-khe-1", 16 * 3600, 18 * 3600, "Bảo trì camera", "Maintenance of the camera"
)
