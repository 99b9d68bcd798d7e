"""What other rules would have made of the same events: alerts that come, go or change, and the alarm rate.

An alert's id follows from its run, rule, subject and first event. So the same alert has the same id under both; one
whose condition is begun by another event has another id, and is told as moved where it overlaps in time with one of
the same rule and subject, for to an operator it is the same alert, earlier or later.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from msgspec import Struct

from alerts.alert import Alert, ChangeName
from alerts.model import SEVERITIES, AwareTime, Certainty, Severity, Text

#: Changes that call for an operator's attention: what the alarm rate counts, where they are not suppressed.
ALARMS: tuple[ChangeName, ...] = ("raised", "escalated")

#: What can differ of one alert.
Aspect = Literal["changes", "severities", "times", "certainty", "suppression"]


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change, as far as it is compared: no value, bound or version, which differ wherever a rule does."""

    change: ChangeName
    severity: Severity
    time: AwareTime
    certainty: Certainty = "observed"
    suppressed: str = ""


class Course(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alert from its first change to its last."""

    id: str
    rule: str
    title: Text
    subject: str
    subject_name: Text = {}
    commune_name: str = ""
    #: The worst severity that it had.
    severity: Severity
    since: AwareTime
    #: None where it was still open at the end.
    until: AwareTime | None = None
    changes: list[Told]


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert that differs. `before` is None where it is added, `after` where it is removed."""

    kind: Literal["added", "removed", "changed", "moved"]
    before: Course | None = None
    after: Course | None = None
    #: What differs, where there is one before and one after.
    differs: list[Aspect] = []


class Rate(Struct, frozen=True, kw_only=True):
    """How often alarms came: alerts raised or escalated, and not suppressed."""

    alarms: int
    #: Mean over the whole time.
    per_hour: float
    #: The most within 10 minutes and within an hour, and when the first of those came.
    worst_ten_minutes: int
    worst_ten_minutes_at: AwareTime | None
    worst_hour: int
    worst_hour_at: AwareTime | None


class RuleCounts(Struct, frozen=True, kw_only=True):
    """Alerts and alarms of one rule."""

    rule: str
    alerts_before: int
    alerts_after: int
    alarms_before: int
    alarms_after: int


class Comparison(Struct, frozen=True, kw_only=True):
    """All that differs, in the order of time."""

    since: AwareTime
    until: AwareTime
    before: Rate
    after: Rate
    rules: list[RuleCounts]
    #: Alerts that are the same under both.
    unchanged: int
    differences: list[Difference]

    def count(self, kind: str) -> int:
        """How many differences of a kind there are."""
        return sum(difference.kind == kind for difference in self.differences)


def compare(before: Sequence[Alert], after: Sequence[Alert], since: datetime, until: datetime) -> Comparison:
    """Compare the alert changes that two sets of rules made of the same events, from `since` to `until`."""
    old, new = courses(before), courses(after)
    differences = [
        Difference(kind="changed", before=old[id_], after=new[id_], differs=differs)
        for id_ in old.keys() & new.keys()
        if (differs := _differs(old[id_], new[id_]))
    ]
    unchanged = len(old.keys() & new.keys()) - len(differences)
    removed = [old[id_] for id_ in old.keys() - new.keys()]
    added = [new[id_] for id_ in new.keys() - old.keys()]
    differences += _moved(removed, added)
    return Comparison(
        since=since,
        until=until,
        before=rate(before, since, until),
        after=rate(after, since, until),
        rules=_by_rule(before, after),
        unchanged=unchanged,
        differences=sorted(differences, key=_order),
    )


def courses(changes: Iterable[Alert]) -> dict[str, Course]:
    """Each alert with its changes, by id. Changes of one alert are in their order."""
    grouped: dict[str, list[Alert]] = defaultdict(list)
    for alert in changes:
        grouped[alert.id].append(alert)
    return {id_: _course(of_alert) for id_, of_alert in grouped.items()}


def _course(changes: list[Alert]) -> Course:
    first, last = changes[0], changes[-1]
    return Course(
        id=last.id,
        rule=last.rule,
        title=last.title,
        subject=last.subject,
        subject_name=last.subject_name,
        commune_name=last.where.commune_name or "",
        severity=max((alert.worst for alert in changes), key=SEVERITIES.index),
        since=first.time,
        until=None if last.open else last.time,
        changes=[
            Told(
                change=alert.change,
                severity=alert.severity,
                time=alert.time,
                certainty=alert.certainty,
                suppressed=alert.suppressed,
            )
            for alert in changes
        ],
    )


def _differs(before: Course, after: Course) -> list[Aspect]:
    """What differs between two courses; empty where an operator would see no difference.

    Where one has more changes than the other, of severity, certainty and suppression only the steps are compared,
    and of the times the beginning and the end.
    """
    same_changes = _names(before) == _names(after)
    if same_changes:
        same_times = [told.time for told in before.changes] == [told.time for told in after.changes]
    else:
        same_times = (before.since, before.until) == (after.since, after.until)
    same: dict[Aspect, bool] = {
        "changes": same_changes,
        "severities": _steps(before, "severity") == _steps(after, "severity"),
        "times": same_times,
        "certainty": _steps(before, "certainty") == _steps(after, "certainty"),
        "suppression": _steps(before, "suppressed") == _steps(after, "suppressed"),
    }
    return [aspect for aspect, is_same in same.items() if not is_same]


def _names(course: Course) -> list[ChangeName]:
    return [told.change for told in course.changes]


def _steps(course: Course, field: str) -> list[str]:
    """The values of a field in their order, each once as long as it stays."""
    return [value for value, _ in groupby(getattr(told, field) for told in course.changes)]


def _moved(removed: list[Course], added: list[Course]) -> list[Difference]:
    """Pair alerts of the same rule and subject that overlap, each with the earliest; what is left came or went."""
    waiting: dict[tuple[str, str], list[Course]] = defaultdict(list)
    for course in sorted(added, key=_begin):
        waiting[course.rule, course.subject].append(course)
    differences = []
    for course in sorted(removed, key=_begin):
        candidates = waiting[course.rule, course.subject]
        match = next((other for other in candidates if _overlap(course, other)), None)
        if match is None:
            differences.append(Difference(kind="removed", before=course))
        else:
            candidates.remove(match)
            differences.append(
                Difference(kind="moved", before=course, after=match, differs=_differs(course, match))
            )
    differences += [Difference(kind="added", after=course) for left in waiting.values() for course in left]
    return differences


def _overlap(one: Course, other: Course) -> bool:
    return (one.until is None or other.since <= one.until) and (
        other.until is None or one.since <= other.until
    )


def _begin(course: Course) -> tuple[datetime, str]:
    return course.since, course.id


def _order(difference: Difference) -> tuple[datetime, str]:
    course = difference.before or difference.after
    assert course is not None
    return _begin(course)


def is_alarm(alert: Alert) -> bool:
    """Whether this change calls for an operator's attention."""
    return alert.change in ALARMS and not alert.suppressed


def rate(changes: Iterable[Alert], since: datetime, until: datetime) -> Rate:
    """The alarm rate of these changes over the time from `since` to `until`."""
    times = sorted(alert.time for alert in changes if is_alarm(alert))
    hours = (until - since) / timedelta(hours=1)
    ten, ten_at = _worst(times, timedelta(minutes=10))
    hour, hour_at = _worst(times, timedelta(hours=1))
    return Rate(
        alarms=len(times),
        per_hour=round(len(times) / hours, 3) if hours > 0 else 0.0,
        worst_ten_minutes=ten,
        worst_ten_minutes_at=ten_at,
        worst_hour=hour,
        worst_hour_at=hour_at,
    )


def _worst(times: Iterable[datetime], window: timedelta) -> tuple[int, datetime | None]:
    """The most of these times, which go forward, within a window (its end is outside), and the first of them."""
    within: deque[datetime] = deque()
    most, at = 0, None
    for time in times:
        within.append(time)
        while within[0] + window <= time:
            within.popleft()
        if len(within) > most:
            most, at = len(within), within[0]
    return most, at


def _by_rule(before: Iterable[Alert], after: Iterable[Alert]) -> list[RuleCounts]:
    old_alerts, old_alarms = _counts(before)
    new_alerts, new_alarms = _counts(after)
    return [
        RuleCounts(
            rule=rule,
            alerts_before=old_alerts[rule],
            alerts_after=new_alerts[rule],
            alarms_before=old_alarms[rule],
            alarms_after=new_alarms[rule],
        )
        for rule in sorted(old_alerts.keys() | new_alerts.keys())
    ]


def _counts(changes: Iterable[Alert]) -> tuple[Counter[str], Counter[str]]:
    """Alerts and alarms by rule."""
    alerts: dict[str, str] = {}
    alarms: Counter[str] = Counter()
    for alert in changes:
        alerts[alert.id] = alert.rule
        alarms[alert.rule] += is_alarm(alert)
    return Counter(alerts.values()), alarms
