"""The scenario of Cần Thơ: the shipped files are the program's, and the readings fit the plan."""

from __future__ import annotations

import ast
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import yaml
from shapely import Point

import alerts
from alerts.agencies.subscriptions import parse_subscriptions
from alerts.rules.kinds import CommuneRule, CountRule, FusionRule, LadderRule, RateRule, SilenceRule
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.policy import RuleSet
from alerts.rules.written import parse_rules
from geo.approximate import approximate_set
from geo.distance import metres
from streams.inventory import parse_inventory
from streams.recording import ClockLine, EventLine, RawLine, read_recording
from streams.scenarios import can_tho_spring_tide
from streams.scenarios.can_tho_spring_tide import stated
from streams.scenarios.can_tho_spring_tide.day import NETWORK, plan
from streams.scenarios.can_tho_spring_tide.make import MIDNIGHT, make
from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.plan import QUEUE, STREET, TRAFFIC, Ladder, Source, water_level
from streams.scenarios.curves import Curve
from streams.schemas import EVENTS, MEASURES

FOLDER = Path(can_tho_spring_tide.__file__).parent
RULES = Path(alerts.__file__).parent / "rules" / "default.yaml"
MEASURE = {"gauge": "level_m", "street": "road_depth_m", "traffic": "speed_kmh", "camera": "count"}

files = cache(make)


@cache
def lines() -> list[ClockLine | EventLine | RawLine]:
    return list(read_recording(FOLDER / "scenario.ndjson.gz"))


@cache
def expected() -> dict[str, Any]:
    return json.loads((FOLDER / "expected.json").read_text())


@cache
def produced() -> dict[str, list[tuple[float, float]]]:
    """(seconds after midnight, value) of each fixed source, those that are planned only."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines():
        if isinstance(line, EventLine) and line.stream != "report":
            event = json.loads(line.event)
            if event["id"].startswith("n-"):
                when = (line.time - MIDNIGHT).total_seconds()
                found[line.source].append((when, event[MEASURE[line.source.split("-")[0]]]))
    return found


def series(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Positions (numbers of readings) and values, signed so that more is worse.

    Duplicates are left out, and what was measured above another zero.
    """
    when, value = np.array(sorted(set(produced()[source.id]))).T
    sign = source.ladder.sign if source.ladder else 1
    position = (when - when[0]) / 300
    other_zero = [position_ for position_, wrong in source.wrong.items() if wrong.datum]
    kept = ~np.isin(position, other_zero)
    return position[kept], sign * value[kept]


def test_shipped_files_are_what_the_program_makes() -> None:
    """The program makes exactly the shipped files. Compressed bytes depend on zlib too."""
    for name, content in files().items():
        shipped = (FOLDER / name).read_bytes()
        if name.endswith(".gz"):
            content, shipped = gzip.decompress(content), gzip.decompress(shipped)
        assert content == shipped, f"{name} is stale: run python -m {can_tho_spring_tide.__name__}.make"


@pytest.mark.long
def test_same_bytes_each_time() -> None:
    """Two runs give the same bytes, compressed ones included: no time and no chance outside the seed."""
    assert make() == files()


def test_planned_ladders_are_those_of_the_rules() -> None:
    """The plan speaks of the bounds and holds of the rules that ship, threshold for threshold."""
    rules = {rule["id"]: rule for rule in yaml.safe_load(RULES.read_text())["rules"]}
    thresholds = {"bd1": 1.8, "bd2": 1.9, "bd3": 2.0}

    def value(bound: Any) -> float:
        if isinstance(bound, dict):
            return thresholds[bound["threshold"]] + bound.get("offset", 0.0)
        return float(bound)

    ladders: list[Ladder] = [STREET, TRAFFIC, QUEUE, water_level(**thresholds)]
    for ladder in ladders:
        rule = rules[ladder.rule]
        assert rule["hold"] == f"{ladder.hold // 60}m"
        assert rule["direction"] == ("above" if ladder.sign == 1 else "below")
        assert [tuple(rung) for rung in ladder.rungs] == [
            (level["severity"], value(level["raise"]), value(level["clear"])) for level in rule["levels"]
        ]


def stands() -> Iterator[tuple[Source, int, int, float, float]]:
    """Source, `up`, `down`, and signed raise and clear values, of every planned stand."""
    for source in plan().values():
        for episode in source.episodes:
            assert source.ladder is not None
            for stand in episode.stands:
                rung = source.ladder.rungs[stand.level]
                yield source, stand.up, stand.down, *(source.ladder.sign * bound for bound in rung[1:])


def test_each_planned_crossing_is_where_the_plan_says() -> None:
    """A stand begins at `up` (the reading before is short of `raise`), is beyond it for the whole hold, never
    short of `clear` before `down`, and short of it at `down`."""
    for source, up, down, raise_at, clear_at in stands():
        assert source.ladder is not None
        position, value = series(source)
        hold = source.ladder.hold / 300
        where = f"{source.id} from {up} to {down}"
        assert value[position < up][-1] < raise_at, where
        assert (value[(position >= up) & (position <= up + hold)] >= raise_at).all(), where
        assert (value[(position >= up) & (position < down)] >= clear_at).all(), where
        assert value[position == down] < clear_at, where


def test_nothing_unplanned_stands_beyond_a_bound() -> None:
    """Outside the planned stands no source is at or beyond `raise` for as long as the hold."""
    for source in plan().values():
        if source.ladder is None or not source.heard:
            continue
        position, value = series(source)
        for level, rung in enumerate(source.ladder.rungs):
            inside = np.zeros(len(position), bool)
            for episode in source.episodes:
                for stand in episode.stands:
                    if stand.level == level:
                        inside |= (position >= stand.up) & (position < stand.down)
            beyond = (value >= source.ladder.sign * rung.raise_at) & ~inside
            for first in np.flatnonzero(beyond):
                after = np.flatnonzero(~beyond[first:])
                # The next reading short of the bound comes before the hold is complete.
                lasts = position[first + after[0]] - position[first]
                assert lasts < source.ladder.hold / 300, f"{source.id} at {position[first]}"


def test_near_misses_are_in_the_day() -> None:
    """The day holds what a careless rule gets wrong: a spike, an interrupted hold, trembling, silence."""

    def beyond(source: str, first: float, last: float, bound: float) -> list[bool]:
        position, value = series(plan()[source])
        return list(value[(position >= first) & (position <= last)] >= bound)

    assert beyond("street-cai-khe-4", 222, 225, 0.15) == [False, True, False, False, False]
    assert beyond("street-binh-thuy-2", 219, 220, 0.15) == [True, False, True]
    assert beyond("traffic-ninh-kieu-3", 200, 202, -15) == [True, False, True]
    trembling = beyond("street-ninh-kieu-3", 232, 240, 0.15)
    assert True in trembling[:-1]
    assert False in trembling
    position, _ = series(plan()["street-tan-an-1"])
    assert np.diff(position).max() > 25
    _, unjudged = series(plan()["gauge-dai-ngai"])
    assert unjudged.max() > 2.2
    _, exact = series(plan()["gauge-can-tho"])
    assert exact.max() > 2.0


def of_rule(*rules: str) -> list[dict[str, Any]]:
    """The alerts of these rules that must come."""
    return [alert for alert in expected()["alerts"] if alert["rule"] in rules]


def moments(alert: dict[str, Any], *names: str) -> list[datetime]:
    """When changes of these names must come; all of them without a name."""
    return [
        datetime.fromisoformat(change["time"])
        for change in alert["changes"]
        if not names or change["change"] in names
    ]


def test_expected_alerts() -> None:
    """One alert for each episode of a ladder; every alert begins with raised, and all but one have ended.

    The one is that of a sensor that is never heard.
    """
    listed = expected()["alerts"]
    ladders = of_rule("water-level", "street-water", "slow-traffic", "vehicle-queue")
    assert len(ladders) == sum(len(source.episodes) for source in plan().values())
    firsts = [alert["changes"][0]["time"] for alert in listed]
    assert firsts == sorted(firsts)
    kinds = Counter(change["change"] for alert in listed for change in alert["changes"])
    assert kinds["raised"] == len(listed)
    assert kinds["cleared"] + kinds["closed"] == len(listed) - 1
    assert kinds["escalated"] >= 10
    assert kinds["lowered"] >= 10
    codes = {commune.code for commune in COMMUNES.values()}
    for alert in listed:
        times = moments(alert)
        assert times == sorted(times)
        assert times[-1] < MIDNIGHT + timedelta(days=1)
        assert alert["changes"][0]["change"] == "raised"
        assert alert["changes"][-1]["change"] in ("cleared", "closed") or alert["subject"] == NEVER
        assert set(alert["communes"]) <= codes
    assert {alert["rule"] for alert in listed} == {rule.id for rule in ruleset().rules} - RAISE_NOTHING | {
        "limit"
    }


#: A sensor of the inventory that never reports.
NEVER = "street-my-xuyen-1"
#: Rules that the day gives no reason to raise anything.
RAISE_NOTHING = {"rising-water", "salinity"}


@cache
def ruleset() -> RuleSet:
    return parse_rules(RULES.read_text(encoding="utf-8"), RULES.name, MEASURES)


def test_what_the_truth_knows_of_the_rules_is_what_ships() -> None:
    """Windows, bounds, limits, escalations and groupings that the truth is told with are those of the rules."""
    rules = {rule.id: rule for rule in ruleset().rules}
    hazards = {rule.id: rule.hazard for rule in rules.values() if rule.id not in RAISE_NOTHING}
    assert hazards == stated.HAZARDS

    silence = rules["silent-source"]
    assert isinstance(silence, SilenceRule)
    assert [(level.severity, 300 * (level.intervals or 0)) for level in silence.levels] == list(
        stated.SILENCE
    )
    assert silence.limit is not None
    assert (silence.limit.alerts, silence.limit.window.total_seconds()) == (
        stated.SILENCE_LIMIT,
        stated.SILENCE_WINDOW,
    )
    count = rules["flooded-street-reports"]
    assert isinstance(count, CountRule)
    assert count.of.where == {"category": ("flooded_street",)}
    assert [
        (level.severity, level.raise_at.offset, level.clear_at.offset, level.certainty)
        for level in count.levels
    ] == list(stated.COUNT)
    fusion = rules["flooded-street-agreed"]
    assert isinstance(fusion, FusionRule)
    assert [one.name for one in fusion.inputs] == ["sensor", "camera", "reports"]
    assert {
        level.raise_at.offset: (level.severity, level.certainty) for level in fusion.levels
    } == stated.AGREED
    for rule in (count, fusion):
        assert (rule.radius_m, rule.window.total_seconds()) == (stated.RADIUS, stated.WINDOW)
    jam = rules["commune-traffic"]
    assert isinstance(jam, CommuneRule)
    [level] = jam.levels
    assert (level.severity, level.raise_at.offset, level.clear_at.offset) == (
        stated.JAM_SEVERITY,
        stated.JAM_RAISE,
        stated.JAM_CLEAR,
    )
    assert (jam.statistic, jam.direction, jam.beyond, jam.least_sources) == (
        *("share", "below"),
        *(stated.JAM_SPEED, stated.JAM_LEAST),
    )
    assert (jam.window.total_seconds(), jam.hold.total_seconds()) == (stated.JAM_WINDOW, stated.JAM_HOLD)
    assert [(one.by, one.of, one.same) for one in ruleset().inhibitions] == [
        (("commune-traffic",), stated.HIDDEN_BY_JAM, "commune")
    ]
    assert (
        tuple((one.severity, one.after.total_seconds()) for one in ruleset().escalations)
        == stated.ESCALATIONS
    )
    assert [
        (one.id, one.rules, one.gap.total_seconds(), one.peaks and one.peaks.total_seconds())
        for one in ruleset().groupings
    ] == [(one.id, one.rules, one.gap, one.peaks) for one in stated.GROUPINGS]
    assert [(one.same, one.radius_m) for one in ruleset().groupings] == [
        ("province", None),
        ("place", stated.RADIUS),
        ("commune", None),
    ]
    known = (LadderRule, RateRule, SilenceRule, CountRule, CommuneRule, FusionRule)
    assert all(isinstance(rule, known) for rule in rules.values())


def test_the_truth_knows_nothing_of_how_alerts_are_judged() -> None:
    """No module of the scenario imports anything of `alerts`: what is expected was not made by what is tested."""
    modules = [*FOLDER.glob("*.py"), FOLDER.parent / "curves.py"]
    assert len(modules) > 8
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert not name.startswith("alerts"), f"{path.name} imports {name}"
                assert not name.startswith("streams") or name.startswith("streams.scenarios"), path.name


def test_one_spring_tide_with_two_high_waters() -> None:
    """All alerts of gauges are one incident, which tells the morning's and the evening's high water."""
    [tide] = [one for one in expected()["incidents"] if one["grouping"] == "spring-tide"]
    assert len(tide["members"]) == len(of_rule("water-level")) == 4
    morning, evening = tide["high_waters"]
    assert (morning["subject"], morning["severity"], morning["value"]) == ("gauge-can-tho", "minor", 1.882)
    assert (evening["subject"], evening["severity"], evening["value"]) == ("gauge-can-tho", "severe", 2.124)
    assert evening["alerts"] == 3
    for high_water in (morning, evening):
        readings = {
            round(value, 3)
            for when, value in produced()["gauge-can-tho"]
            if high_water["since"] <= (MIDNIGHT + timedelta(seconds=when)).isoformat() <= high_water["until"]
        }
        assert max(readings) == high_water["value"], "no reading is higher than the planned peak"


def test_twenty_reports_across_a_border_are_one_alert_and_one_incident() -> None:
    """On both sides of a border, within 300 m and half an hour: one count, one fusion, one incident."""
    communes = approximate_set(["92"])
    shapes = {one.code: shape for one, shape in zip(communes.communes, communes.geometries, strict=True)}
    both = {COMMUNES["ninh-kieu"].code, COMMUNES["cai-khe"].code}
    [count] = [alert for alert in of_rule("flooded-street-reports") if len(alert["communes"]) > 1]
    [fusion] = [alert for alert in of_rule("flooded-street-agreed") if len(alert["communes"]) > 1]
    assert set(count["communes"]) == set(fusion["communes"]) == both
    assert "severe" in {change["severity"] for change in count["changes"]}
    assert [change.get("certainty", "observed") for change in fusion["changes"]][:2] == ["likely", "observed"]

    first = datetime.fromisoformat(count["started"])
    inventory = parse_inventory((FOLDER / "inventory.yaml").read_text(), "inventory.yaml")
    sensor, camera = inventory["street-ninh-kieu-5"], inventory["camera-cai-khe-5"]
    reports = [
        event
        for event in flooded_reports()
        if metres(event["lon"], event["lat"], sensor.lon, sensor.lat) < 300
        and first <= datetime.fromisoformat(event["time"]) < first + timedelta(minutes=30)
    ]
    assert len(reports) == 20
    places = [(one["lon"], one["lat"]) for one in reports] + [(one.lon, one.lat) for one in (sensor, camera)]
    assert max(metres(*a, *b) for a, b in combinations(places, 2)) < 300
    sides = Counter(
        next(code for code, shape in shapes.items() if shape.contains(Point(place))) for place in places
    )
    assert sides == dict.fromkeys(both, 11)
    [incident] = [one for one in expected()["incidents"] if set(one["communes"]) == both]
    assert incident["members"] == sorted(
        [f"{one['rule']} {one['subject']}" for one in (count, fusion)] + ["street-water street-ninh-kieu-5"]
    )


def flooded_reports() -> list[dict[str, Any]]:
    """The reports of flooded streets that have a place."""
    events = (json.loads(line.event) for line in lines() if isinstance(line, EventLine))
    return [one for one in events if one.get("category") == "flooded_street" and "lon" in one]


def test_other_reports_agree_with_nothing() -> None:
    """A report outside the planned clusters lies more than 300 m from all other reports and from every sensor."""
    street = [
        (one.lon, one.lat)
        for one in parse_inventory((FOLDER / "inventory.yaml").read_text(), "inventory.yaml").values()
        if one.kind in ("street_water", "camera")
    ]
    reports = [(one["lon"], one["lat"]) for one in flooded_reports()]
    near = [
        sum(metres(*place, *other) <= stated.RADIUS for other in reports)
        - 1
        + sum(metres(*place, *other) <= stated.RADIUS for other in street)
        for place in reports
    ]
    assert near.count(0) == len(reports) - (3 + 6 + 20 + 8 + 4)
    assert near.count(0) > 50


def test_a_jammed_commune_hides_its_sensors() -> None:
    """In Tân An each sensor and camera is hidden to its end once the whole commune is jammed."""
    [jam] = of_rule("commune-traffic")
    code = COMMUNES["tan-an"].code
    hidden = [
        alert
        for alert in of_rule("slow-traffic", "vehicle-queue")
        if alert["communes"] == [code] and moments(alert)[-1] > moments(jam)[0]
    ]
    assert len(hidden) == 5
    for alert in hidden:
        reasons = [change.get("reason") for change in alert["changes"]]
        assert "inhibited" in reasons
        assert not moments(alert, "resumed")
    assert sum("suppressed" in (c["change"] for c in alert["changes"]) for alert in hidden) == 1


def test_a_network_that_is_down_is_one_alert_more() -> None:
    """Of nine gauges on one network five are shown, and one alert says that there are more."""
    silent = [alert for alert in of_rule("silent-source") if alert["subject"] in NETWORK]
    held_back = [alert for alert in silent if alert["changes"][0].get("reason") == "limit:silent-source"]
    assert (len(silent), len(held_back)) == (9, 4)
    [overflow] = of_rule("limit")
    assert moments(overflow)[0] == moments(held_back[0])[0]


def test_a_sensor_that_never_reports_is_missed() -> None:
    """It is listed and sends nothing all day: silent from a quarter of an hour after midnight on, to the end."""
    [alert] = [one for one in of_rule("silent-source") if one["subject"] == NEVER]
    assert NEVER not in produced()
    assert moments(alert, "raised") == [MIDNIGHT + timedelta(minutes=15)]
    assert alert["changes"][-1]["change"] == "overdue"


def test_readings_that_cannot_be_believed_are_in_the_day() -> None:
    """A spike, a broken device, a float that hangs, another zero: beyond bounds, and no alert of these sources."""
    assert expected()["doubts"] == {"datum": 6, "range": 1, "spike": 3, "stuck": 12}
    sources = plan()
    assert max(value for _, value in produced()["gauge-vi-thanh"]) > 0.75 + 2
    assert max(value for _, value in produced()["street-vi-thanh-1"]) > 0.5
    zero = [value for _, value in produced()["gauge-phung-hiep"] if value > 1.8]
    assert len(zero) * 300 > 1200, "above BĐ3 for longer than the hold, by another zero"
    raised = {alert["subject"] for alert in of_rule("water-level", "street-water", "rising-water")}
    faulty = {id_ for id_, source in sources.items() if source.wrong}
    assert faulty & raised == {"gauge-vi-thanh", "gauge-phung-hiep"}
    for id_ in faulty & raised:
        [alert] = [one for one in of_rule("water-level") if one["subject"] == id_]
        assert moments(alert)[0].hour >= 18, "the evening's tide, not the fault"


def test_agencies_are_told_what_they_asked_for() -> None:
    """Those that ship are for an exercise; what each must be told is of its hazards, from alert to cancel."""
    shipped = parse_subscriptions((FOLDER / "subscriptions.yaml").read_text(), "subscriptions.yaml")
    assert [one.agency for one in shipped] == list(expected()["messages"])
    assert all(one.exercise for one in shipped)
    [works] = parse_maintenance((FOLDER / "maintenance.yaml").read_text(), "maintenance.yaml")
    assert works.sources == (stated.WORKS.source,)
    for subscription in shipped:
        told = [line.split() for line in expected()["messages"][subscription.agency]]
        kinds = Counter(kind for _, kind, *_ in told)
        assert kinds["alert"] == kinds["cancel"] > 0
        assert {stated.HAZARDS[rule] for _, _, rule, _ in told} <= set(subscription.hazards)
    traffic = [line.split() for line in expected()["messages"]["traffic-police"]]
    assert {time[11:13] for time, kind, *_ in traffic if kind == "alert"} <= {
        f"{hour:02}" for hour in range(6, 20)
    }
    night = [one for one in of_rule("slow-traffic") if moments(one)[0].hour not in range(6, 20)]
    assert len(night) == 4, "what happens outside of their hours"


def test_counts_are_those_of_the_recording() -> None:
    """The counts agree with the lines: events by stream, records that decode or not, duplicates."""
    counts = expected()["counts"]
    events = [line for line in lines() if not isinstance(line, ClockLine)]
    assert counts["events"] == Counter(line.stream for line in events)
    assert 25_000 <= len(events) <= 40_000
    assert sum(counts["located"].values()) + sum(counts["dead"].values()) == len(events)
    raw = [line for line in events if isinstance(line, RawLine)]
    assert counts["dead"]["undecodable"] == len(raw)
    for bad in raw:
        with pytest.raises(msgspec.MsgspecError):
            msgspec.json.decode(bad.raw, type=EVENTS[bad.stream])
    before: dict[str, str] = {}
    repeated = late = future = 0
    clock = MIDNIGHT
    for line in lines():
        if isinstance(line, ClockLine):
            clock = line.clock
        elif isinstance(line, EventLine):
            event = msgspec.json.decode(line.event, type=EVENTS[line.stream])
            assert event.simulated
            repeated += before.get(line.source) == event.id
            before[line.source] = event.id
            late += clock - event.time > timedelta(hours=1)
            future += event.time - clock > timedelta(minutes=5)
    assert counts["unjudged"] == {"late": late, "duplicate": repeated}
    assert counts["dead"]["future"] == future


def test_events_of_a_source_come_in_order() -> None:
    """Apart from the planned late and early ones, a source's events are in the order of their times."""
    last: dict[str, datetime] = {}
    for line in lines():
        if isinstance(line, EventLine) and b'"late-' not in line.event and b'"early-' not in line.event:
            assert line.time >= last.get(line.source, line.time)
            last[line.source] = line.time


def test_clocks_are_every_ten_seconds() -> None:
    """The whole day has a clock line every ten seconds, the first and the last line among them."""
    clocks = [line.clock for line in lines() if isinstance(line, ClockLine)]
    assert clocks == [MIDNIGHT + timedelta(seconds=10 * i) for i in range(8641)]
    assert isinstance(lines()[0], ClockLine)
    assert isinstance(lines()[-1], ClockLine)


def test_inventory_holds_every_fixed_source_in_its_commune() -> None:
    """Every fixed source is listed as simulated, within 100 m of its commune's point, with its thresholds."""
    found = parse_inventory((FOLDER / "inventory.yaml").read_text(), "inventory.yaml")
    assert set(found) == set(plan())
    for id_, source in found.items():
        planned = plan()[id_]
        point = COMMUNES["ninh-kieu" if planned.commune == "can-tho" else planned.commune]
        if planned.point is None:
            assert metres(source.lon, source.lat, point.lon, point.lat) < 100
        else:
            assert (source.lon, source.lat) == planned.point
        assert source.simulated
        assert source.interval == 300
        assert {threshold.name: threshold.value for threshold in source.thresholds} == planned.thresholds


def test_no_real_person_is_in_it() -> None:
    """Every reporter is recognisably made up."""
    people = [
        json.loads(line.event)["reporter"] for line in lines() if getattr(line, "source", "") == "citizen-app"
    ]
    assert len(people) > 100
    assert all(
        p["name"].startswith("Người Không Có Thật ") and p["phone"].startswith("0000 000") for p in people
    )


def test_size_that_can_ship() -> None:
    """The recording stays small enough for a package."""
    assert len(files()["scenario.ndjson.gz"]) < 1_200_000


def test_curve_is_monotone_between_its_points() -> None:
    """Between two points a curve never leaves their values: a crossing can only be at a planned point."""
    knots = [(0.0, 0.0), (1.0, 5.0), (10.0, 5.1), (12.0, 1.0), (13.0, 1.0), (20.0, -3.0)]
    curve = Curve(knots)
    for (x0, y0), (x1, y1) in pairwise(knots):
        values = np.array([curve(x) for x in np.linspace(x0, x1, 50)])
        assert ((values >= min(y0, y1)) & (values <= max(y0, y1))).all()
        assert (np.diff(values) * np.sign(y1 - y0) >= -1e-12).all()
