"""What a run of chaos came to, as figures and as a page of Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from tests.chaos.run import Outcome
from tests.chaos.watch import Struck


def percentile(values: Iterable[float], share: float) -> float | None:
    """The value that so large a share does not exceed (nearest rank); None of no values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def figures(outcomes: list[Outcome], left_out: dict[str, str], seed: int) -> dict[str, Any]:
    """All figures of a run, for build/chaos.json."""
    faults = [fault for one in outcomes for fault in one.faults]
    return {
        "seed": seed,
        "kills": len(faults),
        "under_load": sum(one.under_load for one in outcomes),
        "events": sum(one.load for one in outcomes),
        "lost": sum(one.verdict.lost for one in outcomes),
        "duplicated": sum(one.verdict.duplicated for one in outcomes),
        "wrong": sum(one.verdict.wrong for one in outcomes),
        "hung": sum(len(one.hung) for one in outcomes),
        "recovery_p95_s": _rounded(percentile(_recoveries(faults), 0.95)),
        "seconds": round(sum(one.seconds for one in outcomes)),
        "cases": [_case(one) for one in outcomes],
        "left_out": left_out,
    }


def _case(one: Outcome) -> dict[str, Any]:
    return {
        "case": one.case,
        "events": one.load,
        "faults": dict(sorted(one.kinds.items())),
        "under_load": one.under_load,
        "lost": one.verdict.lost,
        "duplicated": one.verdict.duplicated,
        "wrong": one.verdict.wrong,
        "hung": one.hung,
        "differences": one.verdict.told,
        "compared": one.verdict.compared,
        "late_commands": one.verdict.late_commands,
        "restarts": one.restarts,
        "recovery": {kind: _spread(found) for kind, found in sorted(_by_kind(one.faults).items())},
        "recovery_p95_s": _rounded(percentile(_recoveries(one.faults), 0.95)),
        "seconds": round(one.seconds),
    }


def _recoveries(faults: Iterable[Struck]) -> list[float]:
    return [fault.recovery for fault in faults if fault.recovery is not None]


def _by_kind(faults: Iterable[Struck]) -> dict[str, list[Struck]]:
    found: dict[str, list[Struck]] = {}
    for fault in faults:
        # Workers of a kind are one to a reader.
        found.setdefault(f"{fault.kind} {fault.target.rpartition('-')[0] or fault.target}", []).append(fault)
    return found


def _spread(faults: list[Struck]) -> dict[str, Any]:
    took = _recoveries(faults)
    after = [fault.recovery_after_mending for fault in faults if fault.recovery_after_mending is not None]
    return {
        "faults": len(faults),
        "measured": len(took),
        "median_s": _rounded(statistics.median(took)) if took else None,
        "p95_s": _rounded(percentile(took, 0.95)),
        "longest_s": _rounded(max(took, default=None)),
        "p95_after_mending_s": _rounded(percentile(after, 0.95)),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def page(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    lines = [
        "# Chaos",
        "",
        f"Seed {found['seed']}: {found['kills']} faults, {found['under_load']} of them under load, "
        f"{found['events']:,} events, {found['seconds'] // 60} min.",
        "",
        "| lost | duplicated | wrong | hung | recovery p95 |",
        "|---|---|---|---|---|",
        f"| {found['lost']} | {found['duplicated']} | {found['wrong']} | {found['hung']} "
        f"| {_seconds(found['recovery_p95_s'])} |",
        "",
        "Recovery is from the fault to the first commit after it of the last partition concerned; a pause or a cut "
        "lasts that long by itself. After mending: from when the target was there again.",
        "",
        "| Case | Fault | Times | Median | p95 | Longest | p95 after mending |",
        "|---|---|---|---|---|---|---|",
    ]
    for case in found["cases"]:
        for kind, spread in case["recovery"].items():
            cells = [
                _seconds(spread[name]) for name in ("median_s", "p95_s", "longest_s", "p95_after_mending_s")
            ]
            lines.append(f"| {case['case']} | {kind} | {spread['faults']} | {' | '.join(cells)} |")
    for case in found["cases"]:
        compared = ", ".join(f"{name} {number:,}" for name, number in case["compared"].items())
        lines += ["", f"**{case['case']}** compared: {compared}."]
        lines += [f"- hung: {text}" for text in case["hung"]]
        lines += [f"- {text}" for text in case["differences"]]
    lines += [f"\n**{name}** was left out: {why}." for name, why in found["left_out"].items()]
    return "\n".join(lines) + "\n"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"
