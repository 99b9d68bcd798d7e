"""Readings that fit the plan: for each source a curve through its points, and the events its device sends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from streams.scenarios.can_tho_spring_tide.plan import READINGS, Episode, Ladder, Source, positions
from streams.scenarios.curves import Curve, Knot, Sampler

#: Readings between two points of the usual curve, and how far it keeps from what is planned.
_USUAL, _CLEARANCE = 6, 3

#: A gauge without warning levels is read like one that has them.
_GAUGE = Ladder("", 1, 0, (), 0.008, 3, 0.006)


def readings(source: Source, random: Random) -> Iterator[tuple[float, float]]:
    """(position, value) of each reading that the source sends, in order; positions count readings."""
    ladder = source.ladder or _GAUGE
    bounds = [ladder.sign * bound for rung in ladder.rungs for bound in rung[1:]]
    # No reading is worse than the one that is planned as the worst.
    bounds += [ladder.sign * episode.peak[1] for episode in source.episodes]
    knots = _knots(source, ladder, random)
    sampler = Sampler(Curve(knots), bounds, _floor(source), ladder.noise, ladder.decimals)
    for position in positions(source):
        value = ladder.sign * sampler(position, random)
        wrong = source.wrong.get(position)
        yield position, value if wrong is None else wrong.value


def measures(source: Source, position: float, value: float, random: Random) -> dict[str, Any]:
    """The fields of the event that tells one reading."""
    kind = source.kind
    if kind == "gauge":
        wrong = source.wrong.get(position)
        return {"level_m": value, "datum": wrong.datum} if wrong and wrong.datum else {"level_m": value}
    if kind == "street":
        return {"road_depth_m": value}
    if kind == "camera":
        return {
            "kind": "vehicle_queue",
            "confidence": round(0.8 + 0.17 * random.random(), 2),
            "count": int(value),
        }
    flow = (90 + 1100 * _bustle(position)) * (0.85 + 0.3 * random.random()) * min(1.0, 0.3 + value / 30)
    return {
        "speed_kmh": value,
        "flow_vph": int(flow),
        "occupancy": round(min(0.95, 0.02 + flow / max(value, 3) / 160), 2),
    }


def _knots(source: Source, ladder: Ladder, random: Random) -> list[Knot]:
    """All points of the curve, signed so that more is worse."""
    groups = [_episode_knots(episode, ladder, random) for episode in source.episodes]
    if source.near_misses:
        groups.append({x: ladder.sign * y for x, y in source.near_misses})
    planned = {x: y for group in groups for x, y in group.items()}
    if source.knots:
        usual = source.knots
    else:
        usual_value = _usual(source, random)
        usual = [
            (k, ladder.sign * usual_value(k)) for k in [*range(0, READINGS - _USUAL, _USUAL), READINGS - 1]
        ]
        spans = [(min(group) - _CLEARANCE, max(group) + _CLEARANCE) for group in groups]
        usual = [(k, y) for k, y in usual if not any(low < k < high for low, high in spans)]
    return sorted({**dict(usual), **planned}.items())


def _episode_knots(episode: Episode, ladder: Ladder, random: Random) -> dict[float, float]:
    """The points that make an episode's readings cross each bound exactly where it says."""
    sign, unit, rungs = ladder.sign, ladder.unit, ladder.rungs
    knots: dict[float, float] = {episode.peak[0]: sign * episode.peak[1]}
    knots |= {x: sign * y for x, y in episode.wiggles}
    for up in sorted({stand.up for stand in episode.stands}):
        levels = [stand.level for stand in episode.stands if stand.up == up]
        # At a bound counts as beyond it: one in four stands exactly there.
        beyond = 0.0 if random.random() < 0.25 else unit * (0.2 + 0.8 * random.random())
        knots[up] = sign * rungs[max(levels)].raise_at + beyond
        # The reading before is short of the bound; well short where several levels are reached at once.
        knots.setdefault(up - 1, sign * rungs[min(levels)].raise_at - unit * (6 if len(levels) > 1 else 0.5))
    for down in sorted({stand.down for stand in episode.stands}):
        levels = [stand.level for stand in episode.stands if stand.down == down]
        knots.setdefault(down - 1, sign * rungs[max(levels)].clear_at + unit)
        knots[down] = sign * rungs[min(levels)].clear_at - unit
    return knots


def _floor(source: Source) -> float:
    """The least value of a reading, signed: a dry street, nobody in view, traffic at 90 km/h."""
    return {"street": 0.0, "camera": 0.0, "traffic": -90.0}.get(source.kind, -5.0)


def _usual(source: Source, random: Random) -> Callable[[int], float]:
    """What a source measures when nothing happens, by position; always milder than the mildest bound."""
    kind = source.kind
    if kind == "traffic":
        free = 38 + 12 * random.random()
        # The slowest that flowing traffic gets, above 20 km/h where a jam ends.
        slowest = 24 + 4 * random.random()
        return lambda k: free - (free - slowest) * _bustle(k) ** 2 + 1.5 * random.random()
    if kind == "camera":
        busiest = 13 + 7 * random.random()
        return lambda k: 1 + busiest * _bustle(k) + random.random()
    # Streets near the river are wet at high water in the evening.
    wet = 0.06 * random.random() if source.commune in ("ninh-kieu", "cai-khe", "tan-an", "hung-phu") else 0.0
    return lambda k: wet * max(0.0, 1 - abs(k - 228) / 30)


_DAY: Curve = Curve(
    [
        *((0, 0.05), (36, 0.02), (60, 0.25), (74, 0.7), (84, 1.0), (96, 0.75), (120, 0.5), (140, 0.55)),
        *((168, 0.45), (192, 0.7), (204, 0.95), (212, 1.0), (222, 0.8), (246, 0.4), (276, 0.15), (288, 0.07)),
    ]
)


def _bustle(position: float) -> float:
    """How busy the city is, 0 to 1: rush hours about 06:30 to 08:00 and 16:30 to 18:30."""
    return _DAY(position)
