"""Rules as authors write them, in YAML, checked and made into the records that are evaluated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from alerts.model import SEVERITIES, Severity, Text
from alerts.rules.kinds import Bound, LadderRule, Level
from ioc.yamlfile import Document, Duration

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]


class BoundSpec(Struct, forbid_unknown_fields=True):
    """A bound that each source has of its own, as written: {threshold: bd3, offset: -0.05}."""

    threshold: Name
    offset: float = 0.0


class LevelSpec(Struct, forbid_unknown_fields=True):
    """A step of a ladder as written."""

    severity: Severity
    raise_at: float | BoundSpec = field(name="raise")
    clear_at: float | BoundSpec = field(name="clear")
    label: Text = {}


class LadderSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A threshold ladder as written."""

    id: Name
    title: Text
    hazard: Name
    stream: str
    measure: str
    unit: str
    direction: Literal["above", "below"]
    levels: Annotated[list[LevelSpec], Meta(min_length=1, max_length=len(SEVERITIES))]
    hold: Duration | None = None
    where: dict[str, str] = {}
    citation: str = ""


class RuleFile(Struct, forbid_unknown_fields=True):
    """A file of rules."""

    version: Literal[1]
    rules: list[LadderSpec]


def parse_rules(text: str, name: str, measures: Mapping[str, frozenset[str]]) -> tuple[LadderRule, ...]:
    """The rules in `text`, in their order.

    `name` is the file's name for messages; `measures` gives the measures that each stream has. Raises
    `ioc.errors.UserError` with file, line, column and reason at the first thing that is wrong.
    """
    document = Document(text, name)
    rules: dict[str, LadderRule] = {}
    for index, spec in enumerate(document.convert(RuleFile).rules):
        path = ("rules", index)
        if spec.id in rules:
            raise document.error(
                (*path, "id"), f"a second rule is called {spec.id}", "give each rule an id of its own"
            )
        for language in ("vi", "en"):
            if not spec.title.get(language):
                raise document.error((*path, "title"), f"the title lacks {language}", "give it in vi and en")
        if spec.stream not in measures:
            raise document.error((*path, "stream"), f"no stream is called {spec.stream}", _choose(measures))
        if spec.measure not in measures[spec.stream]:
            raise document.error(
                (*path, "measure"),
                f"{spec.stream} has no measure {spec.measure}",
                _choose(measures[spec.stream]),
            )
        _check_levels(document, index, spec)
        rules[spec.id] = _rule(spec)
    return tuple(rules.values())


def _choose(names: Mapping[str, object] | frozenset[str]) -> str:
    return f"choose one of {', '.join(sorted(names))}"


def _check_levels(document: Document, index: int, spec: LadderSpec) -> None:
    """Levels go from mild to worst, each bound beyond the one before, and `clear` lies short of `raise`."""
    sign = 1.0 if spec.direction == "above" else -1.0
    previous: LevelSpec | None = None
    for number, level in enumerate(spec.levels):
        path = ("rules", index, "levels", number)
        gap = _difference(level.raise_at, level.clear_at)
        if gap is None:
            raise document.error(
                path, "raise and clear cannot be compared", "give both as numbers, or both by one threshold"
            )
        if gap * sign <= 0:
            side = "below" if spec.direction == "above" else "above"
            raise document.error(
                (*path, "clear"),
                f"clear must lie {side} raise where {spec.direction} is bad",
                "leave a gap, or the alert will flap",
            )
        if previous is not None:
            if SEVERITIES.index(level.severity) <= SEVERITIES.index(previous.severity):
                raise document.error(
                    (*path, "severity"), "levels go from mild to worst", f"order: {', '.join(SEVERITIES)}"
                )
            for key, low, high in (
                ("raise", previous.raise_at, level.raise_at),
                ("clear", previous.clear_at, level.clear_at),
            ):
                step = _difference(high, low)
                if step is not None and step * sign < 0:
                    raise document.error((*path, key), f"{key} lies short of the milder level's", "swap them")
        previous = level


def _difference(one: float | BoundSpec, other: float | BoundSpec) -> float | None:
    """`one - other`; None where it depends on the source."""
    a, b = _bound(one), _bound(other)
    return a.offset - b.offset if a.threshold == b.threshold else None


def _bound(spec: float | BoundSpec) -> Bound:
    if isinstance(spec, BoundSpec):
        return Bound(threshold=spec.threshold, offset=spec.offset)
    return Bound(threshold=None, offset=float(spec))


def _rule(spec: LadderSpec) -> LadderRule:
    hold = spec.hold.time if spec.hold else Duration("0s").time
    content = {**msgspec.to_builtins(spec, enc_hook=lambda duration: str(duration.time)), "kind": "ladder"}
    version = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:12]
    return LadderRule(
        id=spec.id,
        version=version,
        stream=spec.stream,
        measure=spec.measure,
        unit=spec.unit,
        hazard=spec.hazard,
        title=spec.title,
        direction=spec.direction,
        hold=hold,
        levels=tuple(
            Level(
                severity=level.severity,
                raise_at=_bound(level.raise_at),
                clear_at=_bound(level.clear_at),
                label=level.label,
            )
            for level in spec.levels
        ),
        where={name: (value,) for name, value in spec.where.items()},
        citation=spec.citation,
    )
