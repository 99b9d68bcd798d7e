"""What rules cannot judge with an inventory, and what they name that is not there.

A threshold that a source does not have is never made up: the level is not judged there, and this says so. Nothing
here is an error; a province may well have gauges without official levels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from alerts.model import Source, Threshold
from alerts.rules.kinds import LadderRule, Level, Rule, SilenceRule
from alerts.rules.policy import MaintenanceWindow, RuleSet, Subscription

#: A threshold that lapses within this time is told.
SOON = timedelta(days=90)

#: So many names are listed; of the others only the number.
_NAMED = 5


def not_judged(rules: Sequence[Rule], sources: Mapping[str, Source]) -> list[str]:
    """Which levels of which rules are not judged at which sources, and why: one line each."""
    found: list[str] = []
    for rule in rules:
        if isinstance(rule, LadderRule):
            found += _ladder(rule, sources.values())
        elif isinstance(rule, SilenceRule):
            found += _silence(rule, sources.values())
    return found


def lapsing(rules: Sequence[Rule], sources: Mapping[str, Source], now: datetime) -> list[str]:
    """Thresholds that rules rest on and that have lapsed, or soon will, without another in their place."""
    used = {name for rule in rules for name in _thresholds(rule)}
    found = []
    for source in sources.values():
        for threshold in source.thresholds:
            until = threshold.until
            if threshold.name not in used or until is None or until > now + SOON:
                continue
            if _in_force(source, threshold.name, max(now, until)):
                continue
            day = f"{until.isoformat(timespec='minutes')}"
            how = f"has lapsed on {day}" if until <= now else f"lapses on {day}"
            found.append(f"{source.id}: {threshold.name} {how}, and nothing follows it")
    return found


def not_there(
    ruleset: RuleSet,
    sources: Mapping[str, Source] | None,
    maintenance: Sequence[MaintenanceWindow] = (),
    subscriptions: Sequence[Subscription] = (),
) -> list[str]:
    """Names that stand for nothing, and thresholds that no rule uses: slips, most likely.

    Without an inventory (None) nothing is said of sources.
    """
    rules = {rule.id for rule in ruleset.rules}
    hazards = {rule.hazard for rule in ruleset.rules}
    used = {name for rule in ruleset.rules for name in _thresholds(rule)}
    found = []
    listed = list((sources or {}).values())
    for name in sorted({t.name for source in listed for t in source.thresholds} - used):
        holders = [source.id for source in listed if any(t.name == name for t in source.thresholds)]
        found.append(f"no rule uses the threshold {name} of {_listed(holders)}")
    for window in maintenance:
        if sources is not None:
            found += _unknown(f"maintenance {window.id}", "source", window.sources, sources)
        found += _unknown(f"maintenance {window.id}", "rule", window.rules, rules)
        found += _unknown(f"maintenance {window.id}", "rule of the hazard", window.hazards, hazards)
    for subscription in subscriptions:
        found += _unknown(
            f"agency {subscription.agency}", "rule of the hazard", subscription.hazards, hazards
        )
    return found


def _unknown(who: str, what: str, names: Sequence[str], known: Collection[str]) -> list[str]:
    return [f"{who}: there is no {what} {name}" for name in names if name not in known]


def _thresholds(rule: Rule) -> list[str]:
    """Names of the thresholds that a rule rests on, mildest level first."""
    if not isinstance(rule, LadderRule):
        return []
    names = [level.raise_at.threshold for level in rule.levels]
    return [name for name in dict.fromkeys(names) if name is not None]


def _ladder(rule: LadderRule, sources: Iterable[Source]) -> list[str]:
    names = _thresholds(rule)
    if not names:
        return []
    own = [source for source in sources if source.stream == rule.stream]
    # An inventory does not say what its sources measure. Those are meant that are of a kind with some that have one
    # of the thresholds.
    kinds = {
        source.kind
        for source in own
        if rule.measure in source.plausible or any(t.name in names for t in source.thresholds)
    }
    meant = [source for source in own if source.kind in kinds]
    if not meant:
        return [f"{rule.id}: no source has a threshold {' or '.join(names)}: nothing is judged"]
    found = []
    for level in rule.levels:
        name = level.raise_at.threshold
        lacking = [s.id for s in meant if all(t.name != name for t in s.thresholds)]
        if name is not None and lacking:
            found.append(
                f"{rule.id}: {len(lacking)} of {len(meant)} sources of kind {' or '.join(sorted(kinds))} have no "
                f"{name}: level {_level(level)} is not judged there ({_listed(lacking)})"
            )
    return found


def _silence(rule: SilenceRule, sources: Iterable[Source]) -> list[str]:
    own = [source for source in sources if source.stream == rule.stream]
    present = {source.kind for source in own}
    found = [f"{rule.id}: no source of {rule.stream} is of kind {k}" for k in rule.kinds if k not in present]
    meant = [source for source in own if not rule.kinds or source.kind in rule.kinds]
    if not meant:
        return found or [f"{rule.id}: the inventory has no source of {rule.stream}: nothing is judged"]
    levels = [level.severity for level in rule.levels if level.intervals is not None]
    lacking = [source.id for source in meant if source.interval is None]
    if levels and lacking:
        found.append(
            f"{rule.id}: {len(lacking)} of {len(meant)} sources have no interval: "
            f"level {' and '.join(levels)} is not judged there ({_listed(lacking)})"
        )
    return found


def _in_force(source: Source, name: str, time: datetime) -> bool:
    return any(threshold.name == name and _holds(threshold, time) for threshold in source.thresholds)


def _holds(threshold: Threshold, time: datetime) -> bool:
    return (threshold.since is None or threshold.since <= time) and (
        threshold.until is None or time < threshold.until
    )


def _level(level: Level) -> str:
    label = level.label.get("en")
    return f"{level.severity} ({label})" if label else level.severity


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
