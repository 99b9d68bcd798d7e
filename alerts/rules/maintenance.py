"""Maintenance windows as authors write them: times in which alerts of some subjects are suppressed.

version: 1
windows:
  - id: pump-works
    since: 2025-10-08T08:00:00+07:00
    until: 2025-10-08T17:00:00+07:00
    reason: {vi: Sửa trạm bơm, en: Works at the pumping station}
    sources: [gauge-can-tho]     # or rules, communes, hazards; what is named must all fit
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Literal

from msgspec import Meta, Struct

from alerts.model import AwareTime
from alerts.rules.policy import MaintenanceWindow
from alerts.rules.specs import Filled, Name, TextSpec
from ioc.yamlfile import Document, Path, Problems

#: What to write, by field: the remedy of an error about it.
REMEDIES = {
    "version": "write `version: 1`",
    "id": "use small letters, digits and hyphens, such as pump-works",
    "since": "write it with its zone, such as 2025-10-08T08:00:00+07:00",
    "until": "write it with its zone, such as 2025-10-08T17:00:00+07:00",
    "reason": "write {vi: ..., en: ...}",
    "communes": 'write codes in quotes, such as ["31135"]',
}

Code = Annotated[str, Meta(pattern=r"^\d{1,10}$(?!\n)", description="An official code, in quotes.")]


class WindowSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A time in which alerts of some subjects are suppressed. What is named must all fit."""

    id: Name
    since: Annotated[AwareTime, Meta(description="When it begins, with the zone.")]
    until: Annotated[AwareTime, Meta(description="When it ends.")]
    reason: Annotated[TextSpec, Meta(description="Why, for operators.")]
    sources: Annotated[list[Filled], Meta(description="Ids of sources in the inventory.")] = []
    rules: list[Name] = []
    communes: list[Code] = []
    hazards: list[Name] = []


class MaintenanceFile(Struct, forbid_unknown_fields=True, kw_only=True):
    """Maintenance windows of an installation."""

    version: Literal[1]
    windows: list[WindowSpec] = []


def parse_maintenance(text: str, name: str) -> tuple[MaintenanceWindow, ...]:
    """The maintenance windows in `text`, in their order; `name` is said in errors.

    Raises `ioc.yamlfile.FileErrors` with all that is wrong, each with file, line, column, reason and remedy.
    """
    document = Document(text, name)
    problems = Problems(document, REMEDIES)
    file = problems.read(MaintenanceFile)
    windows = file.windows if file is not None else []
    seen: set[str] = set()
    for index, spec in enumerate(windows):
        path: Path = ("windows", index)
        if spec.id in seen:
            problems.add((*path, "id"), f"a second window is called {spec.id}", "give it another name")
        seen.add(spec.id)
        if spec.until <= spec.since:
            problems.add((*path, "until"), "it ends before it begins", "let `until` be later than `since`")
        if not (spec.sources or spec.rules or spec.communes or spec.hazards):
            problems.add(path, "it would suppress every alert", "name sources, rules, communes or hazards")
    problems.tell()
    return tuple(
        MaintenanceWindow(
            id=spec.id,
            since=spec.since.astimezone(UTC),
            until=spec.until.astimezone(UTC),
            reason=spec.reason.text(),
            sources=tuple(spec.sources),
            rules=tuple(spec.rules),
            communes=tuple(spec.communes),
            hazards=tuple(spec.hazards),
        )
        for spec in windows
    )
