"""The plan of the day: which source stands beyond which bound from when to when, and what must raise nothing.

All levels, places and events are invented for a demonstration, except the warning levels of the three stations.
"""

from __future__ import annotations

from streams.scenarios.can_tho_spring_tide.plan import (
    QUEUE,
    STEP,
    STREET,
    TRAFFIC,
    Episode,
    Ladder,
    Source,
    Wrong,
    episode,
    moment,
    reading,
    water_level,
)


def plan() -> dict[str, Source]:
    """Every fixed source by id. A new plan at each call."""
    sources: dict[str, Source] = {}

    def add(kind: str, stream: str, commune: str, number: int, ladder: Ladder | None) -> None:
        id_ = f"{kind}-{commune}" + (f"-{number}" if number else "")
        sources[id_] = Source(id_, stream, commune, number, ladder, site=_home(commune))

    for commune in _GAUGES:
        add("gauge", "flood", commune, 0, None)
    for kind, stream, counts, ladder in (
        ("street", "flood", _STREETS, STREET),
        ("traffic", "traffic", _TRAFFIC, TRAFFIC),
        ("camera", "camera", _CAMERAS, QUEUE),
    ):
        for commune, count in counts.items():
            for number in range(1, count + 1):
                add(kind, stream, commune, number, ladder)
    _plan_gauges(sources)
    for id_, episodes in _EPISODES.items():
        sources[id_].episodes.extend(episodes)
    _plan_near_misses(sources)
    _plan_border(sources)
    _plan_jam(sources)
    _plan_outages(sources)
    _plan_faults(sources)
    return sources


def _home(commune: str) -> str:
    """The site near the point of a commune: that where most of its sources stand."""
    return "ninh-kieu" if commune == "can-tho" else commune


# "can-tho" is the station Cần Thơ on the Hậu; the others are named for their commune.
_GAUGES = (
    *("can-tho", "vi-thanh", "phung-hiep", "o-mon", "thot-not", "cai-rang", "binh-thuy", "phong-dien"),
    *("vinh-tuong", "nga-bay", "soc-trang", "dai-ngai"),
)
_STREETS = {
    **{"ninh-kieu": 5, "cai-khe": 4, "tan-an": 2, "binh-thuy": 2, "cai-rang": 2, "hung-phu": 1},
    **{"an-binh": 1, "o-mon": 1, "nga-bay": 1, "vi-thanh": 1, "soc-trang": 1, "my-xuyen": 1},
}
_TRAFFIC = {
    **{"ninh-kieu": 6, "cai-khe": 5, "tan-an": 4, "an-binh": 3, "binh-thuy": 3, "long-tuyen": 2},
    **{"cai-rang": 4, "hung-phu": 3, "o-mon": 3, "phuoc-thoi": 2, "thot-not": 3, "trung-nhut": 1},
    **{"vinh-thanh": 1, "co-do": 2, "thoi-lai": 2, "phong-dien": 2, "vi-thanh": 3, "nga-bay": 3},
    **{"chau-thanh": 1, "vinh-tuong": 1, "soc-trang": 3, "phu-loi": 2, "my-xuyen": 1},
}
_CAMERAS = {
    **{"ninh-kieu": 5, "cai-khe": 5, "tan-an": 3, "an-binh": 2, "binh-thuy": 3, "cai-rang": 3},
    **{"hung-phu": 2, "o-mon": 2, "thot-not": 1, "vi-thanh": 2, "nga-bay": 1, "soc-trang": 2},
}


def _plan_gauges(sources: dict[str, Source]) -> None:
    """Tides. Low water and the mornings are part of the curve; the episodes cross the warning levels."""
    for id_, bounds, tide, episodes in (
        (
            "gauge-can-tho",
            {"bd1": 1.8, "bd2": 1.9, "bd3": 2.0},
            {"00:00": 0.72, "00:50": 0.61, "13:00": 0.47, "23:55": 0.98},
            [
                episode("06:00-08:35", 1.882, "07:10"),
                episode("16:45-21:30 17:15-21:00 17:50-20:35", 2.124, "19:10"),
            ],
        ),
        (
            "gauge-vi-thanh",
            {"bd3": 0.75},
            # The morning's peak stays under BĐ3 and above where it would clear.
            {"00:00": 0.41, "02:20": 0.33, "08:40": 0.741, "14:40": 0.35, "23:55": 0.57},
            [episode("19:20-22:20", 0.802, "20:40")],
        ),
        (
            "gauge-phung-hiep",
            {"bd3": 1.4},
            {"00:00": 0.64, "01:40": 0.52, "07:50": 1.352, "13:50": 0.49, "23:55": 0.83},
            [
                # Beyond for one reading at 18:20, short of it at 18:25: the hold begins again at 18:35.
                # At 20:00 it falls under BĐ3, but not to where it would clear.
                episode(
                    "18:35-21:15",
                    1.463,
                    "19:20",
                    {"18:15": 1.388, "18:20": 1.402, "18:25": 1.391, "20:00": 1.372, "20:20": 1.418},
                )
            ],
        ),
    ):
        source = sources[id_]
        source.ladder, source.thresholds = water_level(**bounds), bounds
        source.knots = [(reading(clock), value) for clock, value in tide.items()]
        source.episodes = episodes
    sources["gauge-can-tho"].point = (105.77643, 10.03273)
    for hours, (id_, low, high) in enumerate(_OTHER_TIDES):
        lag = 6 * hours
        sources[id_].knots = [
            (0, low + 0.3 * (high - low)),
            (8 + lag // 2, low),
            (84 + lag, low + 0.88 * (high - low)),
            (158 + lag, low - 0.08),
            (228 + lag, high),
            (287, low + 0.25 * (high - low)),
        ]


#: Gauges without any known warning level: however high, they are never judged. Metres at low and high water.
_OTHER_TIDES = (
    *(("gauge-dai-ngai", 0.31, 2.31), ("gauge-cai-rang", 0.44, 2.03), ("gauge-binh-thuy", 0.5, 2.06)),
    *(("gauge-o-mon", 0.62, 2.1), ("gauge-phong-dien", 0.58, 1.82), ("gauge-thot-not", 0.81, 2.36)),
    *(("gauge-nga-bay", 0.42, 1.55), ("gauge-soc-trang", 0.28, 1.61), ("gauge-vinh-tuong", 0.37, 1.02)),
)

_EPISODES: dict[str, list[Episode]] = {
    # Streets. The evening's water comes with the tide; two burst mains come by night and in the morning.
    "street-ninh-kieu-1": [episode("17:25-21:20 18:00-20:30 18:45-19:50", 0.583, "19:15")],
    # At 19:20 the worse level's water is short of where it is entered, but not of where it is left.
    "street-ninh-kieu-2": [
        episode("17:45-20:50 18:30-20:05", 0.412, "19:00", {"19:20": 0.273, "19:35": 0.334})
    ],
    # Trembles between the two bounds once it is raised.
    "street-ninh-kieu-3": [
        episode(
            "18:10-20:25",
            0.241,
            "18:50",
            {"19:20": 0.121, "19:25": 0.146, "19:30": 0.113, "19:35": 0.163, "19:40": 0.108, "19:50": 0.141},
        )
    ],
    "street-cai-khe-1": [
        episode("06:40-08:10", 0.218, "07:15"),
        episode("17:35-20:55 18:10-20:15", 0.437, "19:05"),
    ],
    # From dry enough straight to the second level.
    "street-cai-khe-2": [episode("18:20-20:35 18:20-19:45", 0.394, "18:55")],
    "street-cai-khe-3": [episode("18:00-20:10", 0.266, "18:45", {"19:10": 0.128, "19:30": 0.209})],
    # Silent from 18:40 to 21:10: it stays open, and clears with the first reading after.
    "street-tan-an-1": [episode("17:55-21:10", 0.231, "18:30")],
    "street-tan-an-2": [episode("06:55-07:50", 0.207, "07:20")],
    "street-binh-thuy-1": [episode("18:05-20:40 18:50-19:55", 0.361, "19:20")],
    # Two minutes after the reading of 18:15 it is short of the bound: the hold begins again at 18:20.
    "street-binh-thuy-2": [episode("18:20-20:00", 0.248, "18:55", {"18:15": 0.158, "18:15+120": 0.137})],
    "street-cai-rang-1": [episode("18:25-20:20", 0.226, "19:10")],
    "street-cai-rang-2": [episode("10:40-11:55", 0.239, "11:10")],
    "street-hung-phu-1": [episode("18:40-20:45", 0.272, "19:30")],
    # At the border of two communes.
    "street-ninh-kieu-5": [episode("17:40-20:25 18:10-19:30", 0.441, "18:55")],
    "street-an-binh-1": [episode("02:20-03:30", 0.221, "02:45")],
    # Traffic. Two rush hours, and accidents at other times.
    "traffic-ninh-kieu-1": [episode("06:50-08:00 07:05-07:30", 5.6, "07:15")],
    "traffic-cai-khe-2": [episode("06:55-07:45", 10.4, "07:20")],
    "traffic-cai-rang-2": [episode("07:00-07:55 07:15-07:35", 6.1, "07:25")],
    "traffic-binh-thuy-1": [episode("07:10-07:50", 11.2, "07:30")],
    "traffic-o-mon-3": [episode("06:45-07:25", 10.7, "07:05")],
    "traffic-an-binh-1": [episode("01:15-01:50", 11.8, "01:30")],
    "traffic-phong-dien-1": [episode("04:10-04:50", 10.9, "04:30")],
    "traffic-thoi-lai-1": [episode("05:20-05:55", 11.5, "05:35")],
    "traffic-thot-not-1": [episode("08:50-09:20", 11.9, "09:05")],
    # From flowing traffic straight to the second level.
    "traffic-soc-trang-1": [episode("11:20-12:10 11:20-11:50", 4.9, "11:35")],
    "traffic-vi-thanh-1": [episode("13:10-13:55", 10.6, "13:30")],
    "traffic-thot-not-2": [episode("14:30-15:05", 11.6, "14:45")],
    "traffic-ninh-kieu-2": [episode("16:45-18:35 17:05-18:05", 5.2, "17:35")],
    # Short of the bound at 16:45: the hold begins again at 16:50.
    "traffic-ninh-kieu-3": [episode("16:50-18:15", 10.1, "17:30", {"16:40": 14.3, "16:45": 16.8})],
    "traffic-cai-khe-1": [episode("17:00-19:10 17:30-18:45", 5.8, "18:05")],
    # All of Tân An is jammed. Slow to the last reading before it ends, so that each of them counts for the commune.
    "traffic-tan-an-1": [episode("16:55-18:20", 9.9, "17:40", {"18:15": 13.6})],
    "traffic-tan-an-2": [episode("17:05-18:15", 10.7, "17:50", {"18:10": 13.9})],
    "traffic-tan-an-3": [episode("17:05-18:15", 9.4, "17:30", {"18:10": 13.2})],
    "traffic-tan-an-4": [episode("17:05-18:15", 11.2, "17:40", {"18:10": 14.1})],
    "traffic-cai-rang-1": [episode("17:10-18:00", 11.1, "17:35")],
    "traffic-an-binh-2": [episode("17:15-18:10", 10.3, "17:45")],
    # Between the two bounds at 17:25 and 17:30.
    "traffic-hung-phu-2": [
        episode("17:05-17:55", 12.1, "17:20", {"17:25": 17.4, "17:30": 18.2, "17:40": 13.3})
    ],
    "traffic-nga-bay-1": [episode("22:35-23:10", 11.4, "22:50")],
    # Cameras.
    "camera-ninh-kieu-1": [
        episode("06:55-07:50", 63, "07:20"),
        episode("16:50-18:30 17:20-17:55", 97, "17:35"),
    ],
    "camera-cai-khe-1": [episode("17:05-18:25", 72, "17:45")],
    "camera-cai-rang-1": [episode("07:05-07:45", 58, "07:25")],
    "camera-tan-an-1": [episode("17:25-18:15 17:25-17:50", 102, "17:35")],
    "camera-o-mon-1": [episode("15:40-16:10", 54, "15:55")],
    "camera-soc-trang-2": [episode("09:50-10:25", 57, "10:05")],
    # The reading of 17:15 never comes: the hold completes without one.
    "camera-hung-phu-1": [episode("17:10-18:05", 66, "17:35")],
    "camera-vi-thanh-1": [episode("12:40-13:15", 52, "12:55")],
}


def _plan_near_misses(sources: dict[str, Source]) -> None:
    """What must raise nothing."""
    # Trembles between where it would clear and where it would be raised.
    sources["street-ninh-kieu-4"].near_misses = [
        (reading("17:50") + i, value)
        for i, value in enumerate(
            (0.062, 0.104, 0.131, 0.109, 0.146, 0.118, 0.149, 0.127, 0.143, 0.112, 0.138, 0.097, 0.071)
        )
    ]
    # Beyond the bound at 18:35 for less than the two minutes to the next reading.
    spike = sources["street-cai-khe-4"]
    spike.near_misses = [
        *((moment("18:30"), 0.092), (moment("18:35"), 0.171), (moment("18:35+120"), 0.124)),
        *((moment("18:40"), 0.103), (moment("18:45"), 0.081)),
    ]
    spike.extra.add(moment("18:35+120"))
    sources["street-binh-thuy-2"].extra.add(moment("18:15+120"))
    # One slow reading between two quick ones.
    sources["traffic-hung-phu-1"].near_misses = [
        *((reading("07:15"), 27.3), (reading("07:20"), 12.6), (reading("07:25"), 25.8))
    ]
    sources["traffic-ninh-kieu-5"].near_misses = [
        *((reading("17:25"), 22.4), (reading("17:30"), 15.8), (reading("17:40"), 17.1)),
        *((reading("17:45"), 15.3), (reading("17:55"), 22.9)),
    ]
    sources["camera-binh-thuy-1"].near_misses = [
        (reading("17:00") + i, value)
        for i, value in enumerate((21, 29, 36, 31, 38, 27, 39, 33, 37, 28, 39, 30, 24, 19))
    ]
    silent = sources["street-tan-an-1"]
    silent.missing.update(range(reading("18:40"), reading("21:10")))
    sources["camera-hung-phu-1"].missing.add(reading("17:15"))


#: The place on the border of Ninh Kiều and Cái Khế, degrees: where the approximate map has that border.
BORDER = (105.7775, 10.0440)
#: At that place these communes' sides are south and north of it.
SOUTH, NORTH = "ninh-kieu", "cai-khe"


def _plan_border(sources: dict[str, Source]) -> None:
    """One flooded street on both sides of a border: its sensor on the one, a camera on the other."""
    lon, lat = BORDER
    sensor, camera = sources["street-ninh-kieu-5"], sources["camera-cai-khe-5"]
    sensor.site = camera.site = "border"
    sensor.point, camera.point = (
        (lon, round(lat - 0.0004, 5)),
        (round(lon + 0.0003, 5), round(lat + 0.0005, 5)),
    )
    # Half-way between two of its regular events.
    camera.sees_water = [moment(f"{clock}+150") for clock in _WATER_SEEN]


_WATER_SEEN = ("18:10", "18:20", "18:30", "18:40", "18:50", "19:00", "19:10", "19:20", "19:30", "19:40")


def _plan_jam(sources: dict[str, Source]) -> None:
    """What a commune's traffic sensors say together is judged where three of them are heard within one minute.

    Those of Tân An are; everywhere else they take turns, two in a minute at most.
    """
    for source in sources.values():
        if source.kind == "traffic":
            minute = 2 if source.commune == "tan-an" else (source.number - 1) % 5
            source.phase = 60 * minute + 4 + 11 * (source.number % 5)


#: Gauges on one mobile network, which is down a little after three in the afternoon: each is silent for 20 minutes.
NETWORK = (
    *("gauge-o-mon", "gauge-thot-not", "gauge-phong-dien", "gauge-binh-thuy", "gauge-cai-rang"),
    *("gauge-vinh-tuong", "gauge-nga-bay", "gauge-soc-trang", "gauge-dai-ngai"),
)


def _plan_outages(sources: dict[str, Source]) -> None:
    """A network that is down, and a sensor that was listed and never reports."""
    for place, id_ in enumerate(NETWORK):
        source = sources[id_]
        source.missing.update(range(reading("15:20"), reading("15:35")))
        # One after the other: which of them comes first is no matter of chance.
        source.phase = 95 + 20 * place
    sources["street-my-xuyen-1"].heard = False


def _plan_faults(sources: dict[str, Source]) -> None:
    """Readings that cannot be believed. None of them raises or clears anything."""
    # Far above BĐ3, for one reading.
    sources["gauge-vi-thanh"].wrong[reading("12:00")] = Wrong(2.94, ("spike",))
    # What the device says when its own sensor is broken.
    sources["gauge-nga-bay"].wrong[reading("08:30")] = Wrong(9.99, ("range", "spike"))
    # Half an hour above another zero, where it would stand over BĐ3.
    gauge = sources["gauge-phung-hiep"]
    for place, value in enumerate((1.897, 1.888, 1.881, 1.875, 1.87, 1.867)):
        gauge.wrong[reading("13:00") + place] = Wrong(value, ("datum",), "gauge zero")
    # Over low water the float hangs for three hours; after two of them that shows.
    gauge = sources["gauge-dai-ngai"]
    first = reading("11:40")
    for position in range(first, reading("14:40")):
        hangs = (position - first) * STEP >= STUCK
        gauge.wrong[position] = Wrong(0.512, ("stuck",) if hangs else ())
    # A wave of a passing lorry; the device looks again a minute later.
    street = sources["street-vi-thanh-1"]
    street.wrong[reading("10:00")] = Wrong(0.62, ("spike",))
    street.extra.add(moment("10:00+60"))


#: Seconds for which a water level may stay the same, as the inventory says.
STUCK = 7200
