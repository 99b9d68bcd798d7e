"""What must hold within one rule, and between rules, beyond the form."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from alerts.model import CERTAINTIES, SEVERITIES, Severity
from alerts.rules.specs import (
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
)
from alerts.rules.streams import Streams
from ioc.yamlfile import Duration, Path, Problems

#: Kinds of rules that judge one source: what a fusion may have as an input.
SOURCE_KINDS = frozenset({"ladder", "rate", "silence"})

_MINUTE = timedelta(minutes=1)
_ORDER = f"order: {', '.join(SEVERITIES)}"


class RuleCheck:
    """Checks one rule; what is wrong is added to `problems`."""

    def __init__(self, path: Path, problems: Problems, streams: Streams, kinds: Mapping[str, str]) -> None:
        """`kinds` has the kind of every rule of the file, by id."""
        self._path, self._problems, self._streams, self._kinds = path, problems, streams, kinds

    def check(self, spec: AnyRuleSpec) -> None:
        if spec.limit is not None:
            self._positive(("limit", "window"), spec.limit.window)
        if not isinstance(spec, CountSpec | FusionSpec):
            self._stream(("stream",), spec.stream)
        if isinstance(spec, LadderSpec | RateSpec | CommuneSpec):
            self._measure(spec.stream, spec.measure)
            self._where((), spec.stream, spec.where)
        match spec:
            case LadderSpec():
                self._ladder(spec.levels, spec.direction == "above")
                self._citation(spec)
            case RateSpec():
                self._rate(spec)
            case SilenceSpec():
                self._silence(spec)
            case CountSpec():
                self._selector(("of",), spec.of)
                self._positive(("window",), spec.window)
                self._count(spec)
            case CommuneSpec():
                self._commune(spec)
            case FusionSpec():
                self._fusion(spec)

    def _add(self, part: Path, what: str, remedy: str) -> None:
        self._problems.add((*self._path, *part), what, remedy)

    # Parts that several kinds have

    def _stream(self, part: Path, stream: str) -> bool:
        if stream in self._streams.measures:
            return True
        self._add(part, f"no stream is called {stream}", self._streams.choose())
        return False

    def _measure(self, stream: str, measure: str) -> None:
        measures = self._streams.measures.get(stream)
        if measures is not None and measure not in measures:
            remedy = f"choose one of {', '.join(sorted(measures))}" if measures else "choose another stream"
            self._add(("measure",), f"{stream} has no measure {measure}", remedy)

    def _where(self, part: Path, stream: str, where: Mapping[str, object]) -> None:
        texts = self._streams.texts.get(stream, frozenset())
        for name in where:
            if stream in self._streams.measures and name not in texts:
                remedy = f"choose one of {', '.join(sorted(texts))}" if texts else "leave `where` out"
                self._add((*part, "where", name), f"an event of {stream} has no text {name}", remedy)

    def _selector(self, part: Path, of: SelectorSpec) -> None:
        if self._stream((*part, "stream"), of.stream):
            self._where(part, of.stream, of.where)

    def _positive(self, part: Path, duration: Duration) -> bool:
        if duration.time > timedelta(0):
            return True
        self._add(part, "0 is no length of time here", "write it with its unit, such as 30m")
        return False

    def _ladder(self, levels: Sequence[LevelSpec], above: bool) -> None:
        """Levels go from mild to worst, each bound beyond the one before, and `clear` lies short of `raise`."""
        sign = 1.0 if above else -1.0
        self._mild_to_worst([level.severity for level in levels])
        for number, level in enumerate(levels):
            gap = _difference(level.raise_at, level.clear_at)
            if gap is None:
                self._add(
                    ("levels", number),
                    "raise and clear cannot be compared",
                    "give both as numbers, or both by one threshold",
                )
            elif gap * sign <= 0:
                self._add(
                    ("levels", number, "clear"),
                    f"clear must lie {'below' if above else 'above'} raise where "
                    f"{'above' if above else 'below'} is bad",
                    "leave a gap, or the alert will flap",
                )
            previous = levels[number - 1] if number else None
            if previous is not None:
                for key, low, high in (
                    ("raise", previous.raise_at, level.raise_at),
                    ("clear", previous.clear_at, level.clear_at),
                ):
                    step = _difference(high, low)
                    if step is not None and step * sign < 0:
                        self._add(
                            ("levels", number, key), f"{key} lies short of the milder level's", "swap them"
                        )

    def _mild_to_worst(self, severities: Sequence[Severity]) -> None:
        for number, (previous, severity) in enumerate(pairwise(severities), 1):
            if SEVERITIES.index(severity) <= SEVERITIES.index(previous):
                self._add(("levels", number, "severity"), "levels go from mild to worst", _ORDER)

    def _numbers(self, levels: Sequence[LevelSpec], why: str) -> bool:
        """Whether all bounds are numbers."""
        good = True
        for number, level in enumerate(levels):
            for key, bound in (("raise", level.raise_at), ("clear", level.clear_at)):
                if isinstance(bound, BoundSpec):
                    self._add(("levels", number, key), f"{why} has no threshold", "give a number")
                    good = False
        return good

    # One kind each

    def _citation(self, spec: LadderSpec) -> None:
        legal = any(isinstance(level.raise_at, BoundSpec) for level in spec.levels)
        if legal and not spec.citation.strip():
            self._add(
                ("id",),
                "the rule rests on thresholds and does not say where they come from",
                "add `citation: ...`",
            )

    def _rate(self, spec: RateSpec) -> None:
        self._positive(("window",), spec.window)
        if not self._numbers(spec.levels, "a rate"):
            return
        rises = spec.direction == "above"
        for number, level in enumerate(spec.levels):
            bound = float(level.raise_at)  # type: ignore[arg-type]
            if bound <= 0 if rises else bound >= 0:
                self._add(
                    ("levels", number, "raise"),
                    f"a {'rise' if rises else 'fall'} is a number {'above' if rises else 'below'} 0",
                    "write 0.3 for a rise and -0.3 for a fall",
                )
        self._ladder(spec.levels, rises)

    def _silence(self, spec: SilenceSpec) -> None:
        self._mild_to_worst([level.severity for level in spec.levels])
        longest: dict[str, float] = {}
        for number, level in enumerate(spec.levels):
            part = ("levels", number)
            if (level.after is None) == (level.intervals is None):
                self._add(part, "it needs either `after` or `intervals`", "give one of them")
                continue
            if level.after is not None and not self._positive((*part, "after"), level.after):
                continue
            key = "after" if level.after is not None else "intervals"
            length = level.after.time.total_seconds() if level.after is not None else level.intervals
            assert length is not None
            if length <= longest.get(key, 0.0):
                self._add((*part, key), "it is no longer than the milder level's", "swap them")
            longest[key] = length

    def _count(self, spec: CountSpec) -> None:
        self._mild_to_worst([level.severity for level in spec.levels])
        for number, level in enumerate(spec.levels):
            part = ("levels", number)
            # One event alone can only be left by none.
            if level.clear_at > level.raise_at or level.clear_at == level.raise_at > 1:
                self._add(
                    (*part, "clear"), "clear must lie below raise", "leave a gap, or the alert will flap"
                )
            if number and level.raise_at <= spec.levels[number - 1].raise_at:
                self._add((*part, "raise"), "raise is no more than the milder level's", "swap them")
            if number and level.clear_at < spec.levels[number - 1].clear_at:
                self._add((*part, "clear"), "clear is less than the milder level's", "swap them")

    def _commune(self, spec: CommuneSpec) -> None:
        if self._positive(("window",), spec.window) and spec.window.time % _MINUTE:
            self._add(("window",), "the window is not in whole minutes", "write it such as 10m")
        share = spec.statistic == "share"
        if share and spec.beyond is None:
            self._add(("statistic",), "a share counts sources beyond a value", "add `beyond: ...`")
        if not share and spec.beyond is not None:
            self._add(("beyond",), "a mean counts no sources", "leave `beyond` out, or take a share")
        if not self._numbers(spec.levels, "a commune"):
            return
        if share:
            for number, level in enumerate(spec.levels):
                if not 0 < float(level.raise_at) <= 1:  # type: ignore[arg-type]
                    self._add(
                        ("levels", number, "raise"), "a share lies between 0 and 1", "write 0.5 for one half"
                    )
        # A great share is always the bad one.
        self._ladder(spec.levels, share or spec.direction == "above")

    def _fusion(self, spec: FusionSpec) -> None:
        self._positive(("window",), spec.window)
        names: set[str] = set()
        for number, entry in enumerate(spec.inputs):
            part = ("inputs", number)
            if entry.name in names:
                self._add((*part, "name"), f"a second input is called {entry.name}", "give it another name")
            names.add(entry.name)
            if (entry.rule is None) == (entry.of is None):
                self._add(part, "it needs either `rule` or `of`", "give one of them")
            elif entry.of is not None:
                self._selector((*part, "of"), entry.of)
            elif (kind := self._kinds.get(entry.rule or "")) is None:
                self._add((*part, "rule"), f"no rule is called {entry.rule}", _choose(self._kinds))
            elif kind not in SOURCE_KINDS:
                self._add(
                    (*part, "rule"),
                    f"{entry.rule} is not about one source",
                    "name a rule of kind ladder, rate or silence",
                )
        self._agreement(spec)

    def _agreement(self, spec: FusionSpec) -> None:
        before: tuple[int, int] | None = None
        for number, level in enumerate(spec.levels):
            part = ("levels", number)
            if level.least > len(spec.inputs):
                self._add((*part, "least"), f"there are {len(spec.inputs)} inputs", "ask for fewer")
            if number and level.least <= spec.levels[number - 1].least:
                self._add((*part, "least"), "it is no more than the milder level's", "swap them")
            rank = (SEVERITIES.index(level.severity), CERTAINTIES.index(level.certainty))
            if before is not None and rank <= before:
                self._add(
                    (*part, "severity"),
                    "levels go from mild to worst, and at one severity to what is surer",
                    f"{_ORDER}; {', '.join(CERTAINTIES)}",
                )
            before = rank


def check_escalations(specs: Sequence[EscalationSpec | None], problems: Problems) -> None:
    """Each after some time, and none said twice."""
    seen: set[tuple[str, timedelta]] = set()
    for index, spec in enumerate(specs):
        if spec is None:
            continue
        path: Path = ("escalations", index)
        if not spec.after.time:
            problems.add((*path, "after"), "0 is no time to acknowledge", "write it such as 5m")
        if (spec.severity, spec.after.time) in seen:
            problems.add(path, f"{spec.severity} escalates twice at the same time", "remove one of them")
        seen.add((spec.severity, spec.after.time))


def check_inhibitions(
    specs: Sequence[InhibitionSpec | None], problems: Problems, rules: Collection[str]
) -> None:
    """Each has an id of its own, and names rules that are there."""
    _unique("inhibitions", specs, problems)
    for index, spec in enumerate(specs):
        if spec is None:
            continue
        path: Path = ("inhibitions", index)
        for key, names in (("by", spec.by), ("of", spec.of)):
            _known((*path, key), names, problems, rules)
        for name in spec.of:
            if name in spec.by:
                problems.add(
                    (*path, "of", spec.of.index(name)),
                    f"{name} would suppress itself",
                    "take it out of `by` or of `of`",
                )


def check_groupings(
    specs: Sequence[GroupingSpec | None], problems: Problems, hazards: Mapping[str, str]
) -> None:
    """`hazards` has the hazard of every rule, by id. An alert joins the first grouping that its rule fits."""
    _unique("incidents", specs, problems)
    taken: dict[str, str] = {}
    for index, spec in enumerate(specs):
        if spec is None:
            continue
        path: Path = ("incidents", index)
        _known((*path, "rules"), spec.rules, problems, hazards)
        for number, name in enumerate(spec.rules):
            if name in taken:
                problems.add(
                    (*path, "rules", number),
                    f"{name} never comes here: {taken[name]} stands before it",
                    "name the rule once, or change the order",
                )
        fitting = spec.rules or [rule for rule, hazard in hazards.items() if hazard == spec.hazard]
        if spec.hazard not in hazards.values():
            problems.add(
                (*path, "hazard"), f"no rule has the hazard {spec.hazard}", _choose(set(hazards.values()))
            )
        taken = dict.fromkeys(fitting, spec.id) | taken
        if (spec.same == "place") != (spec.radius_m is not None):
            near = spec.same == "place"
            problems.add(
                path,
                "`same: place` needs a radius" if near else f"`same: {spec.same}` has no radius",
                "add `radius_m: 300`, or `same: commune`" if near else "leave `radius_m` out",
            )
        if not spec.gap.time:
            problems.add((*path, "gap"), "0 joins nothing", "write it such as 30m")
        if spec.peaks is not None and not timedelta(0) < spec.peaks.time < spec.gap.time:
            problems.add(
                (*path, "peaks"),
                "peaks must lie above 0 and below gap",
                "gap ends the incident, peaks a peak",
            )


def _unique(key: str, specs: Sequence[Any], problems: Problems) -> None:
    seen: set[str] = set()
    for index, spec in enumerate(specs):
        if spec is not None and spec.id in seen:
            problems.add((key, index, "id"), f"a second one is called {spec.id}", "give it another name")
        if spec is not None:
            seen.add(spec.id)


def _known(path: Path, names: Sequence[str], problems: Problems, rules: Collection[str]) -> None:
    for number, name in enumerate(names):
        if name not in rules:
            problems.add((*path, number), f"no rule is called {name}", _choose(rules))
        elif name in names[:number]:
            problems.add((*path, number), f"{name} is named twice", "remove one")


def _choose(names: Iterable[str]) -> str:
    return f"choose one of {', '.join(sorted(names))}"


def _difference(one: float | BoundSpec, other: float | BoundSpec) -> float | None:
    """`one - other`; None where it depends on the source."""
    a = one if isinstance(one, BoundSpec) else BoundSpec("", one)
    b = other if isinstance(other, BoundSpec) else BoundSpec("", other)
    return a.offset - b.offset if a.threshold == b.threshold else None
