"""The truth about the day: the alerts that must come, told from the plan and never by applying rules to readings.

This part tells what each source, each cluster of reports and each commune brings about by itself; `aftermath`
tells what follows for alerts from each other and from time. The plan keeps moments of different sources at one
place further apart than clock records are, so that their order is theirs; where it does not, `PlanError` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, pairwise

from streams.scenarios.can_tho_spring_tide.day import NETWORK
from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.plan import (
    STEP,
    Episode,
    Ladder,
    Source,
    commune_of,
    positions,
    seconds,
)
from streams.scenarios.can_tho_spring_tide.reports import FLOODED, Report
from streams.scenarios.can_tho_spring_tide.reports import SOURCE as CHANNEL
from streams.scenarios.can_tho_spring_tide.stated import (
    AGREED,
    CLOCK,
    COUNT,
    JAM_CLEAR,
    JAM_HOLD,
    JAM_LEAST,
    JAM_RAISE,
    JAM_SEVERITY,
    JAM_SPEED,
    MINUTE,
    SILENCE,
    SILENCE_LIMIT,
    SILENCE_WINDOW,
    WINDOW,
)


class PlanError(Exception):
    """The plan leaves open what must come of it."""


@dataclass
class Change:
    """One change of an alert; `time` in seconds after midnight."""

    time: int
    change: str
    severity: str
    certainty: str = "observed"
    #: Why it ended, or is not shown.
    reason: str = ""


@dataclass
class Told:
    """An alert that must come."""

    rule: str
    subject: str
    #: Keys of its commune and of all that it lies in; none where it lies nowhere.
    communes: tuple[str, ...]
    started: int
    changes: list[Change]
    site: str = ""
    #: The worst value and when it was, where the plan says so.
    peak: tuple[float, int] | None = None
    #: Why it is not shown, from when to when.
    hidden: list[tuple[int, int, str]] = field(default_factory=list)

    @property
    def raised(self) -> int:
        return self.changes[0].time

    @property
    def ended(self) -> int | None:
        """None where it is still open at the end of the day."""
        last = self.changes[-1]
        return last.time if last.change in ("cleared", "closed") else None


def alerts(sources: dict[str, Source], phases: dict[str, int], reports: list[Report]) -> list[Told]:
    """All alerts with the changes that their own conditions bring about."""
    found = [
        _of_episode(source, episode, source.ladder, phases[source.id])
        for source in sources.values()
        for episode in source.episodes
        if source.ladder is not None
    ]
    clusters = _clusters(reports)
    found += [
        _of_count(site, cluster) for site, cluster in clusters.items() if len(cluster) >= COUNT[0].raise_at
    ]
    for site, cluster in clusters.items():
        floods = [told for told in found if told.rule == "street-water" and told.site == site]
        found += _of_agreement(site, cluster, floods, sources, phases)
    found += _of_jam(sources, phases)
    silences = list(_of_silence(sources, phases))
    return [*found, *silences, *_of_overflow(silences)]


# One source


def _of_episode(source: Source, episode: Episode, ladder: Ladder, phase: int) -> Told:
    """A level is entered a hold after the reading `up` and left at the reading `down`."""
    moments: dict[int, list[tuple[int, bool]]] = {}
    for stand in episode.stands:
        moments.setdefault(seconds(stand.up, phase) + ladder.hold, []).append((stand.level, True))
        moments.setdefault(seconds(stand.down, phase), []).append((stand.level, False))
    changes, held = [], set[int]()
    for moment in sorted(moments):
        before = max(held, default=-1)
        for level, entered in moments[moment]:
            (held.add if entered else held.discard)(level)
        after = max(held, default=-1)
        # What happens at one instant is one change. Once cleared, the severity is the last that it had.
        if after != before:
            changes.append(
                Change(moment, _step(before, after), ladder.rungs[after if held else before].severity)
            )
    start = episode.stands[0].up
    return Told(
        ladder.rule,
        source.id,
        (commune_of(source),),
        seconds(start, phase),
        changes,
        source.site,
        (episode.peak[1], seconds(episode.peak[0], phase)),
    )


def _step(before: int, after: int) -> str:
    if before < 0:
        return "raised"
    return "cleared" if after < 0 else "escalated" if after > before else "lowered"


def _of_silence(sources: dict[str, Source], phases: dict[str, int]) -> Iterator[Told]:
    """Silence is reached so long after the last event (never heard: after midnight), and ends with the next."""
    for source in sources.values():
        if source.stream != "flood":
            continue
        heard = [seconds(position, phases[source.id]) for position in positions(source)]
        pauses = list(pairwise(heard)) if heard else [(0, None)]
        for last, again in pauses:
            reached = [
                (last + level.after, level.severity)
                for level in SILENCE
                if again is None or again > last + level.after
            ]
            if not reached:
                continue
            changes = [
                Change(time, "escalated" if number else "raised", severity)
                for number, (time, severity) in enumerate(reached)
            ]
            if again is not None:
                changes.append(Change(again, "cleared", reached[-1][1]))
            yield Told("silent-source", source.id, (commune_of(source),), last, changes)


def _of_overflow(silences: list[Told]) -> Iterator[Told]:
    """Of the silences of one network those beyond the limit wait behind one alert that says that there are more."""
    down = sorted((told for told in silences if told.subject in NETWORK), key=lambda told: told.raised)
    known = [told.raised for told in down]
    ends = known[-SILENCE_LIMIT] + SILENCE_WINDOW
    if known[-1] - known[0] >= SILENCE_WINDOW or any((told.ended or 0) > ends - CLOCK for told in down):
        raise PlanError("the network's silences are not one burst that is over before its overflow is")
    for told in down[SILENCE_LIMIT:]:
        told.hidden.append((told.raised, told.ended or 0, "limit:silent-source"))
    first = known[SILENCE_LIMIT]
    changes = [Change(first, "raised", "minor"), Change(ends, "cleared", "minor")]
    yield Told("limit", "silent-source/simulated", (), first, changes)


# Many reports of one place


def _clusters(reports: list[Report]) -> dict[str, list[Report]]:
    """The reports of each cluster, by its site. Those that belong to none agree with nothing: see `reports`."""
    found: dict[str, list[Report]] = {}
    for report in reports:
        if report.site:
            assert report.event["category"] == FLOODED
            found.setdefault(report.site, []).append(report)
    return found


def _of_count(site: str, cluster: list[Report]) -> Told:
    """Each report counts for half an hour; the alert is about the first."""
    steps = sorted([(one.second, 1) for one in cluster] + [(one.second + WINDOW, -1) for one in cluster])
    if cluster[COUNT[0].raise_at - 1].second >= cluster[0].second + WINDOW:
        raise PlanError(f"{site}: the first report is forgotten when there are many")
    changes, count, at = [], 0, -1
    for time, step in steps:
        count += step
        # Going down a level is kept until there are fewer than `clear_at`.
        bounds = [level.clear_at if number <= at else level.raise_at for number, level in enumerate(COUNT)]
        after = max((number for number, bound in enumerate(bounds) if count >= bound), default=-1)
        if after != at:
            level = COUNT[max(after, 0)]
            name, reason = _step(at, after), ""
            if name == "cleared":
                # Nobody said that the water has gone.
                name, reason = "closed", "expired"
            changes.append(Change(time, name, level.severity, level.certainty, reason))
        at = after
    first = cluster[0]
    early = {one.commune for one in cluster[: COUNT[0].raise_at]}
    if early != {one.commune for one in cluster}:
        raise PlanError(f"{site}: a commune that the first reports do not name")
    communes = (first.commune, *sorted(early - {first.commune}))
    return Told(
        "flooded-street-reports",
        _report_id(first),
        communes,
        first.second,
        changes,
        site,
    )


def _report_id(report: Report) -> str:
    return f"report/{CHANNEL}/{report.event['id']}"


@dataclass(frozen=True)
class _Witness:
    """Something that agrees: from when to when, and what it is."""

    since: int
    until: int
    kind: str
    #: When it happened, and its id as stream/source/event.
    time: int
    id: str
    commune: str


def _of_agreement(
    site: str, cluster: list[Report], floods: list[Told], sources: dict[str, Source], phases: dict[str, int]
) -> Iterator[Told]:
    """Sensor, camera and reports agree while two of them stand: a sensor while its alert does, the others so long."""
    witnesses = [
        _Witness(
            one.second,
            one.second + WINDOW,
            "reports",
            one.second,
            f"report/{CHANNEL}/{one.event['id']}",
            one.commune,
        )
        for one in cluster
    ]
    for told in floods:
        source = sources[told.subject]
        event = f"n-{positions(source).index(float((told.started - phases[source.id]) // STEP))}"
        assert told.ended is not None
        witnesses.append(
            _Witness(
                told.raised,
                told.ended,
                "sensor",
                told.started,
                f"flood/{source.id}/{event}",
                told.communes[0],
            )
        )
    for source in sources.values():
        if source.site == site:
            for number, position in enumerate(source.sees_water):
                time = seconds(position, phases[source.id])
                name = f"camera/{source.id}/w-{number}"
                witnesses.append(_Witness(time, time + WINDOW, "camera", time, name, commune_of(source)))
    yield from _agreements(site, witnesses)


def _agreements(site: str, witnesses: list[_Witness]) -> Iterator[Told]:
    moments = sorted({moment for one in witnesses for moment in (one.since, one.until)})
    told: Told | None = None
    silent: set[str] = set()
    for moment in moments:
        before = {one.kind for one in witnesses if one.since < moment <= one.until}
        standing = [one for one in witnesses if one.since <= moment < one.until]
        kinds = {one.kind for one in standing}
        # A sensor says that the water has gone; reports and cameras only fall silent.
        silent = (silent | (before - kinds - {"sensor"})) - kinds
        severity, certainty = AGREED.get(len(kinds), ("", ""))
        if told is None and certainty:
            _apart(site, moment, witnesses)
            first = min(standing, key=lambda one: (one.time, one.id))
            # The place is that of what came first of all that is still there.
            anchor = min(standing, key=lambda one: one.since)
            others = sorted({one.commune for one in standing} - {anchor.commune})
            told = Told("flooded-street-agreed", first.id, (anchor.commune, *others), first.time, [], site)
            told.changes.append(Change(moment, "raised", severity, certainty))
            silent = set()
        elif told is not None and not certainty:
            _apart(site, moment, witnesses)
            last = told.changes[-1]
            reason = "expired" if silent else ""
            told.changes.append(
                Change(moment, "closed" if reason else "cleared", last.severity, last.certainty, reason)
            )
            yield told
            told = None
        elif told is not None and certainty != told.changes[-1].certainty:
            _apart(site, moment, witnesses)
            told.changes.append(Change(moment, "updated", severity, certainty))
        if told is not None and not {one.commune for one in standing} <= set(told.communes):
            raise PlanError(f"{site}: another commune is reached later")
    assert told is None, f"{site}: it does not end"


def _apart(site: str, moment: int, witnesses: Iterable[_Witness]) -> None:
    """Nothing else happens at the site within a clock record's time of a moment that changes something."""
    near = {
        time for one in witnesses for time in (one.since, one.until) if 0 < abs(time - moment) <= CLOCK + 2
    }
    if near:
        raise PlanError(f"{site}: {near} too near to {moment}")


# A whole commune


def _of_jam(sources: dict[str, Source], phases: dict[str, int]) -> Iterator[Told]:
    """The share of what a commune's sensors said in ten minutes that was slow, judged at the end of each minute in
    which three of them or more are heard."""
    by_commune = groupby(
        sorted((one for one in sources.values() if one.kind == "traffic"), key=commune_of), key=commune_of
    )
    for commune, group in by_commune:
        sensors = list(group)
        minutes = {phases[one.id] // MINUTE for one in sensors}
        if len(sensors) < JAM_LEAST or len(minutes) > 1:
            together = max(sum(phases[one.id] // MINUTE == minute for one in sensors) for minute in minutes)
            if together >= JAM_LEAST:
                raise PlanError(f"{commune}: some of its traffic sensors report within one minute")
            continue
        yield from _jams(commune, sensors, minutes.pop())


def _jams(commune: str, sensors: list[Source], minute: int) -> Iterator[Told]:
    """Of a commune all of whose sensors report in this minute of every five: the window holds two rounds."""
    slow = [set[int]() for _ in sensors]
    for rounds, sensor in zip(slow, sensors, strict=True):
        for episode in sensor.episodes:
            last = dict([*episode.wiggles, episode.peak])
            up, down = episode.stands[0].up, episode.stands[0].down
            if last.get(down - 1, JAM_SPEED + 1) > JAM_SPEED or max(last.values()) > JAM_SPEED:
                raise PlanError(f"{sensor.id}: it is not planned which of its readings are slow")
            rounds.update(range(up, down))
    began: int | None = None
    told: Told | None = None
    for number in range(1, 24 * 3600 // STEP):
        end = number * STEP + (minute + 1) * MINUTE
        share = sum((number in one) + (number - 1 in one) for one in slow) / (2 * len(sensors))
        if told is None:
            if began is not None and end >= began + JAM_HOLD:
                told = Told(
                    "commune-traffic",
                    f"{COMMUNES[commune].code}/simulated",
                    (commune,),
                    began,
                    [Change(began + JAM_HOLD, "raised", JAM_SEVERITY)],
                )
            began = None if share < JAM_RAISE else began if began is not None else end
        if told is not None and share < JAM_CLEAR:
            told.changes.append(Change(end, "cleared", JAM_SEVERITY))
            yield told
            told, began = None, None
    assert told is None, f"{commune}: its jam does not end"
