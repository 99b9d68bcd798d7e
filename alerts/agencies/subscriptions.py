"""Subscriptions as authors write them: what each agency is told on its topic ioc.alerts.AGENCY.

version: 1
agencies:
  - id: fire-service
    name: {vi: Cảnh sát PCCC, en: Fire service}
    hazards: [flood]             # left out: every hazard; so with communes and provinces
    severity: severe             # and worse
    hours: {since: 07:00, until: 17:00, always: extreme}
    release: true                # a supervisor releases the first message of each alert
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from alerts.model import Severity
from alerts.rules.maintenance import Code
from alerts.rules.policy import Hours, Subscription
from alerts.rules.specs import Name, TextSpec
from ioc.yamlfile import Document, Duration, Path, Problems, TimeOfDay

#: What to write, by field: the remedy of an error about it.
REMEDIES = {
    "version": "write `version: 1`",
    "id": "use small letters, digits and hyphens: it is a part of the topic's name",
    "name": "write {vi: ..., en: ...}",
    "severity": "write one of minor, moderate, severe, extreme",
    "always": "write one of minor, moderate, severe, extreme",
    "since": "write it such as 07:00",
    "until": "write it such as 17:00",
    "communes": 'write codes in quotes, such as ["31135"]',
    "provinces": 'write codes in quotes, such as ["92"]',
    "languages": "write [vi, en], first the one it prefers",
    "heartbeat": "write it with its unit, such as 1m",
    "release": "write true or false",
    "exercise": "write true or false",
}

#: A heartbeat that comes more often would be most of the topic.
LEAST_HEARTBEAT, MOST_HEARTBEAT = timedelta(seconds=10), timedelta(hours=1)


class HoursSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """The hours of a day in which the agency is told; from 22:00 until 06:00 goes past midnight."""

    since: TimeOfDay
    until: TimeOfDay
    always: Annotated[
        Severity | None, Meta(description="Alerts of this severity and worse are told at any hour.")
    ] = None


class SubscriptionSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """What one agency is told."""

    id: Annotated[Name, Meta(description="The agency's name in its topic ioc.alerts.NAME.")]
    name: TextSpec
    hazards: Annotated[list[Name], Meta(description="Left out: every hazard.")] = []
    communes: Annotated[list[Code], Meta(description="Codes of communes; left out: every commune.")] = []
    provinces: Annotated[list[Code], Meta(description="Codes of provinces; left out: every province.")] = []
    severity: Annotated[Severity, Meta(description="Alerts of this severity and worse.")] = "minor"
    languages: Annotated[list[Literal["vi", "en"]], Meta(min_length=1, max_length=2)] = field(
        default_factory=lambda: ["vi", "en"]
    )
    hours: HoursSpec | None = None
    release: Annotated[bool, Meta(description="A supervisor releases the first message of each alert.")] = (
        False
    )
    exercise: Annotated[bool, Meta(description="It is told of simulated alerts, and of nothing else.")] = (
        False
    )
    heartbeat: Annotated[
        Duration | None, Meta(description="How often its topic tells that it lives. Left out: 1m.")
    ] = None


class SubscriptionFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """The agencies of an installation, and what each is told."""

    version: Literal[1]
    agencies: list[SubscriptionSpec] = []


def parse_subscriptions(text: str, name: str) -> tuple[Subscription, ...]:
    """The subscriptions in `text`, in their order; `name` is said in errors.

    A hazard that no rule has is no error: operators open alerts of any hazard. Raises `ioc.yamlfile.FileErrors` with
    all that is wrong, each with file, line, column, reason and remedy.
    """
    document = Document(text, name)
    problems = Problems(document, REMEDIES)
    file = problems.read(SubscriptionFile)
    specs = file.agencies if file is not None else []
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        _check(spec, ("agencies", index), problems)
        if spec.id in seen:
            problems.add(
                ("agencies", index, "id"), f"a second agency is called {spec.id}", "give it another name"
            )
        seen.add(spec.id)
    problems.tell()
    return tuple(_subscription(spec) for spec in specs)


def _check(spec: SubscriptionSpec, path: Path, problems: Problems) -> None:
    if len(set(spec.languages)) < len(spec.languages):
        problems.add((*path, "languages"), "a language is named twice", REMEDIES["languages"])
    if spec.hours is not None and spec.hours.since.time == spec.hours.until.time:
        problems.add(
            (*path, "hours", "until"), "these hours are none", "leave `hours` out to tell it at any hour"
        )
    if spec.heartbeat is not None and not LEAST_HEARTBEAT <= spec.heartbeat.time <= MOST_HEARTBEAT:
        problems.add((*path, "heartbeat"), "a heartbeat comes every 10s to 1h", REMEDIES["heartbeat"])


def _subscription(spec: SubscriptionSpec) -> Subscription:
    hours = spec.hours
    return Subscription(
        agency=spec.id,
        name=spec.name.text(),
        hazards=tuple(spec.hazards),
        communes=tuple(spec.communes),
        provinces=tuple(spec.provinces),
        severity=spec.severity,
        languages=tuple(spec.languages),
        hours=Hours(since=hours.since.time, until=hours.until.time, always=hours.always) if hours else None,
        release=spec.release,
        exercise=spec.exercise,
        heartbeat=spec.heartbeat.time if spec.heartbeat else timedelta(minutes=1),
    )
