"""Limits: when a rule raises too many alerts, one more alert says so, and the others wait behind it.

Of a rule with a limit at most `alerts` raises within `window` are admitted. The first beyond begins the rule's
overflow, a condition of its own: rule `limit`, subject the limited rule. While it lasts every further raise is
refused. It ends when fewer raises than the limit lie within the window, refused ones included: a storm that goes on
keeps it open, and a rule that raises just as many as it may does not begin and end it again and again.

Windows are of the time in which raises become known, which is the log's: a gauge that hands in a day of alerts at
once is a storm too. A raise counts while `window` has not passed since it. Simulated alerts have counts and an
overflow of their own: an exercise hides no real alert.

The overflow's alert is as severe as the worst alert refused. It is told again when that gets worse and when the
number of refused ones has doubled since it was last told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from alerts.alert import Alert
from alerts.model import SEVERITIES, AwareTime, Where
from alerts.rules.kinds import Limit, Rule
from alerts.signals import Signal
from alerts.state import Tables

#: The rule of the alerts that stand for a rule's further alerts.
RULE = "limit"


class Raises(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of the raises of one rule."""

    #: When the latest of them were: one more than the limit at most.
    times: tuple[AwareTime, ...] = ()
    #: How many overflow signals there have been: numbers them.
    signals: int = 0
    #: How many raises were refused since the overflow began; 0 where there is none.
    refused: int = 0
    #: The overflow as it was last told; None where there is none.
    told: Signal | None = None


class Limits:
    """The limits of one province's rules. A limit is of one alert at least."""

    def __init__(self, tables: Tables) -> None:
        #: By subject of the overflow.
        self._raises = tables.table("raises", Raises)
        self._rules: dict[str, Rule] = {}

    def configure(self, rules: Iterable[Rule], now: datetime) -> list[Signal]:
        """Other rules hold from `now` on: the overflow of one that went, or has no limit any more, ends.

        The same rules again, as after a restoration, change nothing.
        """
        self._rules = {rule.id: rule for rule in rules}
        ended: list[Signal] = []
        for subject, raises in self._raises.items():
            limit = self._limit(subject)
            if limit is None:
                ended += self._end(subject, raises, now, "rule-removed")
                self._raises.pop(subject)
            elif len(raises.times) > limit.alerts + 1:
                self._raises[subject] = replace(raises, times=raises.times[-limit.alerts - 1 :])
        # A limit may be wider now. What is due at this very moment is left to `pass_time`, as after a restoration.
        return [*ended, *self._pass(lambda due: due < now, now)]

    def admit(self, alert: Alert, now: datetime) -> bool:
        """Count an alert that is raised; whether the limit of its rule lets it through."""
        subject = subject_of(alert)
        limit = self._limit(subject)
        if limit is None:
            return True
        raises = self._raises.get(subject) or Raises()
        times = (*raises.times, now)[-limit.alerts - 1 :]
        self._raises[subject] = replace(raises, times=times)
        within = sum(time > now - limit.window for time in times)
        # While the overflow lasts as many as the limit are there already: none is let through.
        return within <= limit.alerts

    def refused(self, alert: Alert, now: datetime) -> list[Signal]:
        """The overflow of a rule whose alert `admit` has just refused; none where there is nothing new to tell."""
        subject = subject_of(alert)
        rule, raises = self._rules[alert.rule], self._raises[subject]
        assert rule.limit is not None, "only a rule with a limit refuses"
        raises = replace(raises, refused=raises.refused + 1)
        told, severity = raises.told, alert.severity
        if told is not None and told.severity is not None:
            severity = max(severity, told.severity, key=SEVERITIES.index)
            if severity == told.severity and raises.refused < 2 * told.value:
                self._raises[subject] = raises
                return []
        number = float(raises.refused)
        signal = Signal(
            rule=RULE,
            rule_version=rule.version,
            subject=subject,
            subject_name=rule.title,
            change="changed" if told else "began",
            severity=severity,
            hazard=rule.hazard,
            title=_title(rule),
            measure="refused",
            unit="alerts",
            time=now,
            order=now,
            number=raises.signals + 1,
            start_event=told.start_event if told else alert.id,
            start_time=told.start_time if told else now,
            value=number,
            observed=now,
            event=alert.id,
            bound=float(rule.limit.alerts),
            peak=number,
            peaked=now,
            where=Where(province=alert.where.province),
            simulated=alert.simulated,
            run=alert.run,
        )
        self._raises[subject] = replace(raises, signals=signal.number, told=signal)
        return [signal]

    def over(self, rule: str, simulated: bool = False) -> bool:
        """Whether the overflow of a rule is open: of its real alerts, or of its simulated ones."""
        raises = self._raises.get(_subject(rule, simulated))
        return raises is not None and raises.told is not None

    def next_due(self) -> datetime | None:
        """When the next overflow ends if nothing more is raised; None where none is open."""
        dues = (self._due(subject, raises) for subject, raises in self._raises.items())
        return min((due for due in dues if due is not None), default=None)

    def pass_time(self, due: datetime) -> list[Signal]:
        """The overflows that end at or before `due`."""
        return self._pass(lambda own: own <= due, due)

    def _pass(self, is_due: Callable[[datetime], bool], now: datetime) -> list[Signal]:
        ended: list[Signal] = []
        for subject, raises in self._raises.items():
            due = self._due(subject, raises)
            if due is not None and is_due(due):
                ended += self._end(subject, raises, now)
        return ended

    def _limit(self, subject: str) -> Limit | None:
        rule = self._rules.get(subject.removesuffix(_SIMULATED))
        return rule.limit if rule is not None else None

    def _due(self, subject: str, raises: Raises) -> datetime | None:
        limit = self._limit(subject)
        if raises.told is None or limit is None:
            return None
        if len(raises.times) < limit.alerts:
            return raises.times[-1]  # under a limit that is wider than the one it began under
        # From then on one fewer than the limit lie in the window.
        return raises.times[-limit.alerts] + limit.window

    def _end(self, subject: str, raises: Raises, now: datetime, reason: str = "") -> list[Signal]:
        if raises.told is None:
            return []
        number = raises.signals + 1
        self._raises[subject] = replace(raises, signals=number, refused=0, told=None)
        return [
            replace(
                raises.told,
                change="ended",
                severity=None,
                time=now,
                order=now,
                number=number,
                value=float(raises.refused),
                observed=raises.times[-1],
                peak=float(raises.refused),
                peaked=raises.times[-1],
                reason=reason,
            )
        ]


#: What the subject of a simulated overflow ends with; no rule's id does.
_SIMULATED = "/simulated"


def subject_of(alert: Alert) -> str:
    """The subject of the overflow that an alert would be counted under."""
    return _subject(alert.rule, alert.simulated)


def _subject(rule: str, simulated: bool) -> str:
    return rule + _SIMULATED if simulated else rule


def _title(rule: Rule) -> dict[str, str]:
    beginnings = {"vi": "Quá nhiều cảnh báo", "en": "Too many alerts"}
    return {
        language: f"{words}: {rule.title.get(language, rule.id)}" for language, words in beginnings.items()
    }
