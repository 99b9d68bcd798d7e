"""The scenario's truth: told from the plan, by the figures of the rules that ship, and of what the day must show."""

from __future__ import annotations

import ast
from collections import Counter
from datetime import datetime, timedelta
from itertools import combinations

from shapely import Point

from alerts.agencies.subscriptions import parse_subscriptions
from alerts.rules.kinds import CommuneRule, CountRule, FusionRule, LadderRule, RateRule, SilenceRule
from alerts.rules.maintenance import parse_maintenance
from geo.approximate import approximate_set
from geo.distance import metres
from streams.inventory import parse_inventory
from streams.scenarios.can_tho_spring_tide import stated
from streams.scenarios.can_tho_spring_tide.day import NETWORK, plan
from streams.scenarios.can_tho_spring_tide.make import MIDNIGHT
from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from tests.planned import expected
from tests.scenariokit import (
    FOLDER,
    flooded_reports,
    moments,
    of_rule,
    produced,
    ruleset,
)

#: A sensor of the inventory that never reports.
NEVER = "street-my-xuyen-1"
#: Rules that the day gives no reason to raise anything.
RAISE_NOTHING = {"rising-water", "salinity"}


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
