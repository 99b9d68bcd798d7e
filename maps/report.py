"""The report for handing over a shift: what is open, put aside, overdue or silent, what happened, and who did what.

A page without any script, to read, to mail or to print.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup

from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.explain.words import ACTIONS, Language
from alerts.incident import HighWater, Incident
from alerts.model import SEVERITIES
from alerts.refusals import REASONS
from alerts.storms.rates import FLOOD, MANAGEABLE, is_alarm
from ioc.errors import UserError
from ioc.settings import Settings
from maps.pages import Page, clock, moment, own_file
from maps.past import Past, local
from maps.picture import LOCAL, Picture
from maps.sensors import Sensor
from maps.title import wall_title

#: A shift is no longer than this.
LONGEST = timedelta(hours=48)
#: What a shift lasts where only `last` is said.
SHIFT = timedelta(hours=8)
TEN_MINUTES = timedelta(minutes=10)
#: Rows of a table; beyond, they are counted.
ROWS_MAX = 300


@dataclass(frozen=True)
class Shift:
    """From when to when, event time."""

    since: datetime
    until: datetime


def shift_of(text: str) -> Shift | None:
    """The shift that FROM..TO says; None for `last`. Raises `UserError` for anything else."""
    if text == "last":
        return None
    since, dots, until = text.partition("..")
    try:
        began, ended = datetime.fromisoformat(since), datetime.fromisoformat(until)
        shift = Shift(_zoned(began), _zoned(ended))
    except ValueError:
        raise UserError(
            "--shift is not understood", text, "write it as 2025-10-08T06:00..2025-10-08T14:00, or last"
        ) from None
    if not dots or not timedelta(0) < shift.until - shift.since <= LONGEST:
        raise UserError(
            "--shift is no shift",
            text,
            f"its end is after its begin, by {LONGEST // timedelta(hours=1)} hours at most",
        )
    return shift


def _zoned(time: datetime) -> datetime:
    """A time without a zone is local: operators write it so."""
    return time.replace(tzinfo=LOCAL) if time.tzinfo is None else time


def report_page(past: Past, settings: Settings, shift: Shift | None, language: Language) -> str:
    """The report on a shift, by default the last eight hours that there are.

    Raises `UserError` where nothing is known of its end.
    """
    end = past.moment(shift.until if shift else None)
    until = datetime.fromtimestamp(end.time_ms / 1000, LOCAL)
    shift = shift or Shift(until - SHIFT, until)
    span = past.history.span
    assert span is not None, "there is a moment"
    picture = past.picture(end)
    alerts = sorted((alert for alert in end.alerts if alert.open), key=_importance)
    calling = [alert for alert in alerts if not alert.suppressed and alert.shelved_until is None]
    changes = past.history.changes(_ms(shift.since), _ms(shift.until))
    page = Page("report.html", language)
    words = page.words
    outcomes = [one for one in past.outcomes if _within(one.time or one.command.issued, shift)]
    return page.render(
        styles=[own_file("page.css"), own_file("report.css")],
        scripts=[],
        title=wall_title(settings)[language],
        since=shift.since,
        until=shift.until,
        at=until,
        known_since=local(span[0]) if span[0] > _ms(shift.since) + 60_000 else "",
        simulated=bool(picture.snapshot()["simulated"]),
        counts=picture.open_counts(),
        figures=_figures(changes, shift),
        flood=FLOOD,
        manageable=MANAGEABLE,
        chart=_alarm_chart(changes, shift, words.say("cảnh báo trong 10 phút", "alarms in 10 minutes")),
        course=_open_chart(past, shift, words.say("cảnh báo đang mở", "open alerts")),
        calling=calling[:ROWS_MAX],
        overdue=[alert for alert in calling if alert.overdue][:ROWS_MAX],
        shelved=[alert for alert in alerts if alert.shelved_until is not None][:ROWS_MAX],
        suppressed_alerts=[alert for alert in alerts if alert.suppressed and alert.shelved_until is None][
            :ROWS_MAX
        ],
        silent=_silent(picture),
        incidents=_incidents(past.incidents, shift),
        ended=_ended(changes),
        outcomes=sorted(outcomes, key=_when)[:ROWS_MAX],
        about=lambda outcome: _about(past, outcome),
        actions=ACTIONS,
        reasons={reason: texts[0 if language == "vi" else 1] for reason, texts in REASONS.items()},
        origin=past.origin,
        at_ms=lambda ms: moment(datetime.fromtimestamp(ms / 1000, LOCAL)),
        rows_max=ROWS_MAX,
    )


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _within(time: datetime, shift: Shift) -> bool:
    return shift.since <= time < shift.until


def _when(outcome: CommandOutcome) -> datetime:
    return outcome.time or outcome.command.issued


def _importance(alert: Alert) -> tuple[int, float, str]:
    return -SEVERITIES.index(alert.severity), -alert.started.timestamp(), alert.id


def _about(past: Past, outcome: CommandOutcome) -> Alert | None:
    """The alert that a command was about, if it is still known."""
    return past.history.alert(outcome.alert or outcome.command.alert)


# Figures and charts


def _figures(changes: Sequence[Alert], shift: Shift) -> dict[str, Any]:
    alarms = [alert for alert in changes if is_alarm(alert)]
    hours = (shift.until - shift.since) / timedelta(hours=1)
    tens = _by_ten_minutes(alarms, shift)
    kinds = Counter(alert.change for alert in changes)
    return {
        "alarms": len(alarms),
        "per_hour": round(len(alarms) / hours, 1),
        "worst": max(tens, default=0),
        "floods": sum(count > FLOOD for count in tens),
        **{
            name: kinds[name]
            for name in ("raised", "escalated", "cleared", "closed", "overdue", "acknowledged")
        },
    }


def _by_ten_minutes(alarms: Iterable[Alert], shift: Shift) -> list[int]:
    counts = [0] * -(-(shift.until - shift.since) // TEN_MINUTES)
    for alert in alarms:
        counts[(alert.time - shift.since) // TEN_MINUTES] += 1
    return counts


#: Size of a chart, and of the space for its numbers, in its own units.
_WIDTH, _HEIGHT, _LEFT, _BELOW = 900, 150, 34, 18


def _alarm_chart(changes: Sequence[Alert], shift: Shift, name: str) -> Markup:
    """Bars of ten minutes each, those that are a flood marked by a stripe on top; and the bound."""
    counts = _by_ten_minutes([alert for alert in changes if is_alarm(alert)], shift)
    top = max([FLOOD + 2, *counts])
    step = (_WIDTH - _LEFT) / max(len(counts), 1)
    parts = []
    for index, count in enumerate(counts):
        if count:
            x, y = _LEFT + index * step, _y(count, top)
            kind = "bar flood" if count > FLOOD else "bar"
            parts.append(
                f'<rect class="{kind}" x="{x + 0.5:.1f}" y="{y:.1f}" width="{max(step - 1, 0.5):.1f}" '
                f'height="{_HEIGHT - y:.1f}"/>'
            )
            if count > FLOOD:
                parts.append(f'<text class="over" x="{x + step / 2:.1f}" y="{y - 3:.1f}">{count}</text>')
    bound = _y(FLOOD, top)
    parts.append(f'<line class="bound" x1="{_LEFT}" x2="{_WIDTH}" y1="{bound:.1f}" y2="{bound:.1f}"/>')
    parts.append(f'<text class="bound" x="{_LEFT - 4}" y="{bound + 4:.1f}">{FLOOD}</text>')
    return _chart(parts, shift, name)


def _open_chart(past: Past, shift: Shift, name: str) -> Markup:
    """Open alerts that ask for attention, minute by minute, one upon the other by severity."""
    rows = past.history.timeline(_ms(shift.since), _ms(shift.until))["frames"]
    top = max([4, *(sum(row[1:5]) for row in rows)])
    length = _ms(shift.until) - _ms(shift.since)
    parts = []
    for index, severity in enumerate(reversed(SEVERITIES)):
        # The worst lies at the bottom, where every height can be read from the line.
        points = []
        for row in rows:
            x = _LEFT + (_WIDTH - _LEFT) * (row[0] * 60_000 - _ms(shift.since)) / length
            points.append((x, _y(sum(row[1 : index + 2]), top), _y(sum(row[1 : index + 1]), top)))
        if points and any(upper != lower for _, upper, lower in points):
            outline = [f"{x:.1f},{upper:.1f}" for x, upper, _ in points]
            outline += [f"{x:.1f},{lower:.1f}" for x, _, lower in reversed(points)]
            parts.append(f'<polygon class="area {severity}" points="{" ".join(outline)}"/>')
    parts.append(f'<text class="bound" x="{_LEFT - 4}" y="{_y(top, top) + 8:.1f}">{top}</text>')
    return _chart(parts, shift, name)


def _y(value: float, top: float) -> float:
    return _HEIGHT - (_HEIGHT - 14) * value / top


def _chart(parts: list[str], shift: Shift, name: str) -> Markup:
    length = shift.until - shift.since
    hours = max(1, round(length / timedelta(hours=1) / 12))
    tick = shift.since.astimezone(LOCAL).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    while tick < shift.until:
        x = _LEFT + (_WIDTH - _LEFT) * ((tick - shift.since) / length)
        parts.append(f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEIGHT}" y2="{_HEIGHT + 4}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT + 15}">{clock(tick)}</text>')
        tick += timedelta(hours=hours)
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>')
    return Markup(
        f'<svg class="chart" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT + _BELOW}">'
        f"<title>{Markup.escape(name)}</title>{''.join(parts)}</svg>"
    )


# Rows


def _silent(picture: Picture) -> list[Sensor]:
    """Sources of the inventory that are silent, those that were never heard last."""
    found = [sensor for sensor in picture.sensors if sensor.silent and sensor.listed is not None]
    return sorted(found, key=lambda sensor: (sensor.time_ms is None, sensor.time_ms or 0, sensor.id))[
        :ROWS_MAX
    ]


def _ended(changes: Sequence[Alert]) -> list[Alert]:
    """Alerts that ended in the shift, as they ended."""
    last = {alert.id: alert for alert in changes}
    return sorted(
        (alert for alert in last.values() if not alert.open), key=lambda alert: (alert.time, alert.id)
    )[-ROWS_MAX:]


def _incidents(incidents: Iterable[Incident], shift: Shift) -> list[tuple[Incident, list[HighWater]]]:
    """Incidents of the shift, each with its high waters of the shift."""
    found = [
        (
            one,
            [
                peak
                for peak in one.peaks
                if peak.since < shift.until and (peak.until or shift.until) >= shift.since
            ],
        )
        for one in incidents
        if one.started < shift.until and (one.ended is None or one.ended >= shift.since)
    ]
    return sorted(found, key=lambda row: (row[0].started, row[0].id))[-ROWS_MAX:]
