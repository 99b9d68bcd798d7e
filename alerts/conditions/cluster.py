"""One cluster: events and open conditions near one place, as a record, and what follows from it.

A cluster keeps the latest `KEPT` of its events; of those before it only knows how many there were in each minute and
when the last of these was. Such a group leaves the window as a whole when its last event does, so beyond `KEPT`
events the count may be too high by what came in one minute, never too low. A repetition of an event that is no longer
kept by itself is counted again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from alerts.conditions.ladder import bound_value
from alerts.model import AwareTime, Evidence, Where
from alerts.rules.kinds import CountRule, FusionRule, Level
from alerts.signals import Signal

#: Events that a cluster keeps one by one.
KEPT = 500
#: Of the observations that a condition rests on, so many of the first and so many of the last are told.
TOLD = 10

ClusterRule = CountRule | FusionRule
Identity = tuple[str, str, str]


class Member(Struct, frozen=True, array_like=True):
    """An event in the window."""

    time: AwareTime
    stream: str
    source: str
    event: str
    #: The fusion's input that it stands for; empty in a count.
    input: str = ""
    #: Code of its commune; empty where it lies in none.
    commune: str = ""

    @property
    def id(self) -> Identity:
        return self.stream, self.source, self.event


class Older(Struct, frozen=True, array_like=True):
    """Events of one minute and input that are no longer kept one by one."""

    #: Minutes since 1970.
    minute: int
    input: str
    #: Time of the last of them.
    last: AwareTime
    count: int


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An open condition of a rule about one source."""

    rule: str
    subject: str
    stream: str
    #: The event that started it, and its time.
    event: str
    time: AwareTime
    where: Where
    latest: Evidence
    simulated: bool = False
    run: str = ""

    @property
    def key(self) -> str:
        return f"{self.rule}|{self.subject}"

    def as_member(self, input_name: str) -> Member:
        """Itself as one among the events: by what started it."""
        return Member(self.time, self.stream, self.subject, self.event, input_name, self.where.commune or "")


class Joined(Struct, frozen=True, array_like=True):
    """An open condition that stands for an input of this cluster."""

    condition: str
    input: str


class Cluster(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Events and open conditions of one rule within its radius of the place where the first of them was."""

    rule: str
    #: Version of the rule that it was last judged by, and what of the rule must not change under it.
    version: str
    shape: str
    #: The anchor.
    where: Where
    #: As `by_time` orders them.
    members: tuple[Member, ...] = ()
    older: tuple[Older, ...] = ()
    conditions: tuple[Joined, ...] = ()
    #: Which levels it has reached and not left, mildest first.
    on: tuple[bool, ...]
    #: The last event that was judged.
    event: str
    observed: AwareTime
    #: The latest moment at which anything happened to it.
    latest: AwareTime
    #: How many signals there have been.
    number: int = 0

    # While a level is on
    #: The last signal.
    told: Signal | None = None
    peak: float = 0.0
    peaked: AwareTime | None = None
    #: Codes of the communes of all that has been in it since the condition began.
    communes: tuple[str, ...] = ()
    #: Inputs that were lost other than by the end of what they measure, and why.
    lapsed: dict[str, str] = {}
    simulated: bool = False
    run: str = ""

    @property
    def alive(self) -> bool:
        """Whether anything is left in it."""
        return bool(self.members or self.older or self.conditions)

    @property
    def at(self) -> int | None:
        """Index of the worst level that is on; None where none is."""
        return max((index for index, on in enumerate(self.on) if on), default=None)


def by_time(member: Member) -> tuple[datetime, str, str, str]:
    """The order of events: by time, then by identity."""
    return member.time, member.stream, member.source, member.event


def inputs(cluster: Cluster) -> set[str]:
    """Names of the inputs that agree."""
    return {part.input for parts in (cluster.members, cluster.older, cluster.conditions) for part in parts}


def value(rule: ClusterRule, cluster: Cluster) -> float:
    """How many events, or for a fusion how many different inputs, are in the window.

    A float, as a stored one is: a restart must not change what is written.
    """
    if isinstance(rule, FusionRule):
        return float(len(inputs(cluster)))
    return float(len(cluster.members) + sum(older.count for older in cluster.older))


def levels_on(
    levels: tuple[Level, ...], on: tuple[bool, ...], count: float, now: datetime
) -> tuple[bool, ...]:
    """Which levels are on at a value: reached at `raise_at`, left short of `clear_at`."""
    result = []
    for level, was_on in zip(levels, on, strict=True):
        bound = bound_value(level.clear_at if was_on else level.raise_at, None, now)
        result.append(bound is not None and count >= bound)
    return tuple(result)


def due(cluster: Cluster, window: timedelta) -> datetime | None:
    """When the next of its events leaves the window; None where it has none."""
    lasts = [cluster.members[0].time] if cluster.members else []
    lasts += [older.last for older in cluster.older]
    return min(lasts) + window if lasts else None


def with_member(cluster: Cluster, member: Member) -> tuple[Cluster, Member | None]:
    """The cluster with one event more, and the one that is only counted from now on, where it has too many."""
    members = list(cluster.members)
    insort(members, member, key=by_time)
    if len(members) <= KEPT:
        return replace(cluster, members=tuple(members)), None
    first = members.pop(0)
    return replace(cluster, members=tuple(members), older=_counted(cluster.older, first)), first


def _counted(older: tuple[Older, ...], member: Member) -> tuple[Older, ...]:
    key = int(member.time.timestamp()) // 60, member.input
    at = bisect_left(older, key, key=lambda group: (group.minute, group.input))
    if at == len(older) or (older[at].minute, older[at].input) != key:
        return (*older[:at], Older(*key, member.time, 1), *older[at:])
    group = older[at]
    group = replace(group, last=max(group.last, member.time), count=group.count + 1)
    return (*older[:at], group, *older[at + 1 :])


def without_expired(cluster: Cluster, window: timedelta, now: datetime) -> Cluster:
    """The cluster without the events that have left the window."""
    return replace(
        cluster,
        members=tuple(member for member in cluster.members if member.time + window > now),
        older=tuple(group for group in cluster.older if group.last + window > now),
    )


def evidence(members: Iterable[Member], conditions: Iterable[Condition]) -> list[Evidence]:
    """The first and the last of what a condition rests on, by time."""
    seen = [
        Evidence(stream=member.stream, source=member.source, event=member.event, time=member.time)
        for member in members
    ]
    seen += [condition.latest for condition in conditions]
    seen.sort(key=lambda one: (one.time, one.stream, one.source, one.event))
    return seen if len(seen) <= 2 * TOLD else seen[:TOLD] + seen[-TOLD:]
