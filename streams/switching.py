"""What another configuration changes for the sources of one raw partition, at the clock record that names it.

Sources that left the inventory are forgotten and those that are new in it are listed; conditions whose rule went or
changed end; those of a source that now lies in another commune end there and begin anew here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from alerts.conditions.source import SourceRules
from alerts.conditions.subject import SourceState, Subject
from alerts.model import Source
from alerts.rules.kinds import CommuneRule
from alerts.signals import Signal
from streams.configuration import Configuration
from streams.sensed import where_of


@dataclass
class Switched:
    """The signals of a switch, in order, and the sources whose state it changed."""

    signals: list[Signal] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Side:
    """A configuration and its rules for the stream."""

    configuration: Configuration
    rules: SourceRules

    def subject(self, name: str, state: SourceState) -> Subject:
        """A source as this configuration knows it."""
        return Subject(name, self.configuration.sources.get(name), state)


def switch(
    sources: dict[str, SourceState],
    before: Side | None,
    after: Side,
    owned: list[Source],
    now: datetime,
    run: str,
) -> Switched:
    """Change the states in `sources` as the configuration `after` demands from `now` on.

    `owned` are the sources of its inventory whose events belong into this partition, in their order.
    """
    done = Switched()
    if before is not None:
        _forget(sources, before, after, now, done)
        carried = _carried(before, after)
        for name in sorted(sources):
            state = sources[name]
            if state.ladders or state.rates or state.silences or not carried.issuperset(state.said):
                done.signals += after.rules.take_over(
                    before.rules,
                    before.subject(name, state),
                    after.configuration.sources.get(name),
                    now,
                    after.configuration.hash,
                )
                state.said = {rule: said for rule, said in state.said.items() if rule in carried}
                done.touched.append(name)
        _relocate(sources, before, after, now, done)
    _list(sources, after, owned, now, run, done)
    return done


def _forget(
    sources: dict[str, SourceState], before: Side, after: Side, now: datetime, done: Switched
) -> None:
    gone = before.configuration.sources.keys() - after.configuration.sources.keys()
    for name in sorted(gone & sources.keys()):
        done.signals += before.rules.remove(before.subject(name, sources[name]), now)
        del sources[name]
        done.touched.append(name)


def _carried(before: Side, after: Side) -> set[str]:
    """Ids of the rules about communes that ask the sources for the same values as before."""

    def asked(side: Side) -> Iterator[tuple]:
        for rule in side.configuration.rules:
            if isinstance(rule, CommuneRule):
                yield rule.id, rule.stream, rule.measure, tuple(sorted(rule.where.items()))

    return {id_ for id_, *_ in set(asked(before)) & set(asked(after))}


def _relocate(
    sources: dict[str, SourceState], before: Side, after: Side, now: datetime, done: Switched
) -> None:
    """Find out where each source lies now, if the maps or its place have changed."""
    maps = _maps(before.configuration) != _maps(after.configuration)
    concerned: list[Subject] = []
    for name in sorted(sources):
        subject = after.subject(name, sources[name])
        source, former = subject.source, before.configuration.sources.get(name)
        moved = source is not None and (
            former is None or (source.lon, source.lat) != (former.lon, former.lat)
        )
        if maps or moved:
            concerned.append(subject)
    points = [
        (subject.source.lon, subject.source.lat)
        if subject.source is not None
        else (subject.state.where.lon, subject.state.where.lat)
        for subject in concerned
    ]
    places = after.configuration.atlas.places([(now, *point) for point in points])
    for subject, point, place in zip(concerned, points, places, strict=True):
        where, was = where_of(*point, place), subject.state.where
        if (where.commune, where.province) != (was.commune, was.province):
            done.signals += after.rules.move(subject, where, now)
        elif where != was:
            subject.state.where = where
        else:
            continue
        done.touched.append(subject.id)


def _maps(configuration: Configuration) -> list[tuple]:
    return [(sheet.ref, sheet.valid_from, sheet.valid_until) for sheet in configuration.atlas.registry.sets]


def _list(
    sources: dict[str, SourceState],
    after: Side,
    owned: list[Source],
    now: datetime,
    run: str,
    done: Switched,
) -> None:
    """Note since when each source of the inventory is listed that was never heard: it may be silent from then on."""
    new = [source for source in owned if source.id not in sources]
    places = after.configuration.atlas.places([(now, source.lon, source.lat) for source in new])
    for source, place in zip(new, places, strict=True):
        sources[source.id] = SourceState(
            where=where_of(source.lon, source.lat, place),
            listed=now,
            listed_by=after.configuration.inventory or after.configuration.hash,
            # What a replay's clock brings about is as simulated as its events.
            simulated=source.simulated or bool(run),
            run=run,
        )
        done.touched.append(source.id)
