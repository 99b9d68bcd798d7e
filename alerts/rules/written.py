"""Rules as authors write them, in YAML, checked and made into the records that are evaluated.

The form is in `alerts.rules.specs`, what must fit together in `alerts.rules.checks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from alerts.rules.checks import RuleCheck, check_escalations, check_groupings, check_inhibitions
from alerts.rules.examples import Example, examples_of
from alerts.rules.kinds import (
    Bound,
    CommuneRule,
    Conditions,
    CountRule,
    FusionInput,
    FusionRule,
    LadderRule,
    Level,
    Limit,
    RateRule,
    Rule,
    Selector,
    SilenceLevel,
    SilenceRule,
)
from alerts.rules.policy import Escalation, Grouping, Inhibition, RuleSet
from alerts.rules.specs import (
    KINDS,
    AnyRuleSpec,
    BoundSpec,
    CommuneSpec,
    CountSpec,
    EscalationSpec,
    FusionSpec,
    GroupingSpec,
    InhibitionSpec,
    LadderSpec,
    LevelSpec,
    RateSpec,
    SelectorSpec,
    SilenceSpec,
    TextSpec,
)
from alerts.rules.streams import TEXTS, Streams
from ioc.yamlfile import Document, Duration, Problems

T = TypeVar("T")

#: What to write, by field: the remedy of an error about it.
REMEDIES = {
    "version": "write `version: 1`",
    "rules": "write a list of rules",
    "id": "use small letters, digits and hyphens, such as water-level",
    "title": "write {vi: ..., en: ...}",
    "label": "write {vi: ..., en: ...}",
    "severity": "write one of minor, moderate, severe, extreme",
    "certainty": "write one of possible, likely, observed",
    "direction": "write above or below",
    "statistic": "write mean or share",
    "same": "write place, commune, province or subject",
    "to": "write operator or supervisor",
    "raise": "write a number, or {threshold: NAME}",
    "clear": "write a number, or {threshold: NAME, offset: -0.05}",
    "hold": "write it with its unit, such as 10m",
    "window": "write it with its unit, such as 30m",
    "after": "write it with its unit, such as 15m",
    "gap": "write it with its unit, such as 30m",
    "least": "write how many inputs must agree, 2 or more",
    "radius_m": "write metres above 0, such as 300",
}


DEFAULT_KIND = "ladder"


class Written(Struct, frozen=True):
    """A file of rules: what is judged by, and the examples beside it."""

    ruleset: RuleSet
    examples: tuple[Example, ...]


def parse_rules(text: str, name: str, measures: Mapping[str, frozenset[str]]) -> RuleSet:
    """The rules in `text`, in their order, and what is said of them together.

    `name` is the file's name for messages; `measures` gives the measures that each stream has. Raises
    `ioc.errors.UserError`; where it is an `ioc.yamlfile.FileErrors` it has all that is wrong, each with file, line,
    column, reason and remedy.
    """
    return read_rules(text, name, measures).ruleset


def read_rules(text: str, name: str, measures: Mapping[str, frozenset[str]]) -> Written:
    """The same, with the examples."""
    document = Document(text, name)
    problems = Problems(document, REMEDIES)
    streams = Streams(measures=measures, texts=TEXTS)
    outline = problems.read(_Outline)
    raw = outline.rules if outline is not None else _list(document.data, "rules")
    specs = [_rule_spec(entry, index, problems) for index, entry in enumerate(raw)]
    # Names that are there, even where more of their rule is wrong: what refers to them is right.
    named = [entry for entry in raw if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
    kinds = {entry["id"]: str(entry.get("kind", DEFAULT_KIND)) for entry in named}
    hazards = {entry["id"]: str(entry.get("hazard")) for entry in named}
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        if spec is not None:
            if spec.id in seen:
                problems.add(
                    ("rules", index, "id"),
                    f"a second rule is called {spec.id}",
                    "give each rule an id of its own",
                )
            seen.add(spec.id)
            RuleCheck(("rules", index), problems, streams, kinds).check(spec)
    examples = [
        example
        for index, spec in enumerate(specs)
        if spec is not None
        for example in examples_of(spec, ("rules", index), problems, streams)
    ]
    escalations = _read_all(document, "escalations", EscalationSpec, problems)
    inhibitions = _read_all(document, "inhibitions", InhibitionSpec, problems)
    groupings = _read_all(document, "incidents", GroupingSpec, problems)
    check_escalations(escalations, problems)
    check_inhibitions(inhibitions, problems, kinds)
    check_groupings(groupings, problems, hazards)
    problems.tell()
    ruleset = RuleSet(
        rules=tuple(_rule(spec) for spec in specs if spec is not None),
        escalations=tuple(
            Escalation(severity=spec.severity, after=spec.after.time, to=spec.to)
            for spec in escalations
            if spec is not None
        ),
        inhibitions=tuple(_inhibition(spec) for spec in inhibitions if spec is not None),
        groupings=tuple(_grouping(spec) for spec in groupings if spec is not None),
    )
    return Written(ruleset, tuple(examples))


class _Outline(Struct, forbid_unknown_fields=True, kw_only=True):
    """`RuleFile` without its parts: they are read one by one, so that each tells what is wrong with it."""

    version: Literal[1]
    rules: list[Any]
    escalations: list[Any] = []
    inhibitions: list[Any] = []
    incidents: list[Any] = []


def _list(data: Any, key: str) -> list[Any]:
    found = data.get(key) if isinstance(data, dict) else None
    return found if isinstance(found, list) else []


def _read_all(document: Document, key: str, kind: type[T], problems: Problems) -> list[T | None]:
    """The parts of a list; None for one that is not good."""
    return [problems.read(kind, (key, index)) for index in range(len(_list(document.data, key)))]


def _rule_spec(entry: Any, index: int, problems: Problems) -> AnyRuleSpec | None:
    kind = entry.get("kind", DEFAULT_KIND) if isinstance(entry, dict) else DEFAULT_KIND
    if not isinstance(kind, str) or kind not in KINDS:
        problems.add(
            ("rules", index, "kind"), f"no kind of rule is called {kind}", f"choose one of {', '.join(KINDS)}"
        )
        return None
    return problems.read(KINDS[kind], ("rules", index))


# From what is written to what is evaluated


def _rule(spec: AnyRuleSpec) -> Rule:
    made = _unversioned(spec)
    content = msgspec.json.encode(made, order="deterministic")
    return replace(made, version=hashlib.sha256(content).hexdigest()[:12])


def _unversioned(spec: AnyRuleSpec) -> Rule:
    common: dict[str, Any] = {
        "id": spec.id,
        "version": "",
        "hazard": spec.hazard,
        "title": spec.title.text(),
        "citation": spec.citation,
        "limit": Limit(spec.limit.alerts, spec.limit.window.time) if spec.limit else None,
    }
    match spec:
        case LadderSpec():
            return LadderRule(
                **common,
                stream=spec.stream,
                measure=spec.measure,
                unit=spec.unit,
                direction=spec.direction,
                hold=_time(spec.hold),
                levels=_levels(spec.levels),
                where=_where(spec.where),
            )
        case RateSpec():
            return RateRule(
                **common,
                stream=spec.stream,
                measure=spec.measure,
                unit=spec.unit,
                direction=spec.direction,
                window=spec.window.time,
                hold=_time(spec.hold),
                levels=_levels(spec.levels),
                where=_where(spec.where),
            )
        case SilenceSpec():
            return SilenceRule(
                **common,
                stream=spec.stream,
                kinds=tuple(spec.kinds),
                levels=tuple(
                    SilenceLevel(
                        severity=level.severity,
                        after=level.after.time if level.after else None,
                        intervals=level.intervals,
                        label=_label(level.label),
                    )
                    for level in spec.levels
                ),
            )
        case CountSpec():
            return CountRule(
                **common,
                of=_selector(spec.of),
                radius_m=spec.radius_m,
                window=spec.window.time,
                levels=tuple(
                    Level(
                        severity=level.severity,
                        raise_at=_bound(level.raise_at),
                        clear_at=_bound(level.clear_at),
                        label=_label(level.label),
                        certainty=level.certainty,
                    )
                    for level in spec.levels
                ),
            )
        case CommuneSpec():
            return CommuneRule(
                **common,
                stream=spec.stream,
                measure=spec.measure,
                unit=spec.unit,
                statistic=spec.statistic,
                beyond=spec.beyond,
                direction=spec.direction,
                window=spec.window.time,
                least_sources=spec.least_sources,
                hold=_time(spec.hold),
                levels=_levels(spec.levels),
                where=_where(spec.where),
            )
        case FusionSpec():
            return FusionRule(
                **common,
                inputs=tuple(
                    FusionInput(
                        name=entry.name, rule=entry.rule, of=_selector(entry.of) if entry.of else None
                    )
                    for entry in spec.inputs
                ),
                radius_m=spec.radius_m,
                window=spec.window.time,
                levels=tuple(
                    Level(
                        severity=level.severity,
                        # With fewer inputs than entered it, the level is left.
                        raise_at=_bound(level.least),
                        clear_at=_bound(level.least),
                        label=_label(level.label),
                        certainty=level.certainty,
                    )
                    for level in spec.levels
                ),
            )


def _inhibition(spec: InhibitionSpec) -> Inhibition:
    return Inhibition(
        id=spec.id, by=tuple(spec.by), severity=spec.severity, of=tuple(spec.of), same=spec.same
    )


def _grouping(spec: GroupingSpec) -> Grouping:
    return Grouping(
        id=spec.id,
        title=spec.title.text(),
        hazard=spec.hazard,
        rules=tuple(spec.rules),
        radius_m=spec.radius_m,
        same=spec.same,
        gap=spec.gap.time,
        peaks=spec.peaks.time if spec.peaks else None,
    )


def _time(duration: Duration | None) -> timedelta:
    return duration.time if duration else timedelta(0)


def _label(spec: TextSpec | None) -> dict[str, str]:
    return spec.text() if spec else {}


def _where(spec: Mapping[str, str | list[str]]) -> Conditions:
    return {name: (values,) if isinstance(values, str) else tuple(values) for name, values in spec.items()}


def _selector(spec: SelectorSpec) -> Selector:
    return Selector(stream=spec.stream, where=_where(spec.where))


def _levels(specs: Sequence[LevelSpec]) -> tuple[Level, ...]:
    return tuple(
        Level(
            severity=spec.severity,
            raise_at=_bound(spec.raise_at),
            clear_at=_bound(spec.clear_at),
            label=_label(spec.label),
            certainty=spec.certainty,
        )
        for spec in specs
    )


def _bound(spec: float | BoundSpec) -> Bound:
    if isinstance(spec, BoundSpec):
        return Bound(threshold=spec.threshold, offset=spec.offset)
    return Bound(threshold=None, offset=float(spec))
