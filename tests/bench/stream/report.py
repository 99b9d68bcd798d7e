"""The table on stdout, and build/bench/: a report with pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.stream import plots
from tests.bench.stream.contenders import CONTENDERS

_SHAPES = {
    "partitions": "raw partitions",
    "processes": "processes",
    "sources": "sources",
    "provinces": "provinces of boundaries",
}
#: What profiles of the agents led to.
_LED_TO = {
    "sense": """What profiles like this one led to: the collector looks for garbage every 300,000 objects and not
every 700 (it was a sixth of the work); an event that moves nothing is handled by what the event before it prepared
(4 to 5 microseconds instead of 36); records are taken as aiokafka parsed them, by the batch; clock records are
looked for and delays counted in C (4 % together); Faust's tasks for handing over a message are left out (signals
came 70 ms sooner at half of the greatest rate); state is written once for all chunks of a transaction, a chunk is
judged in one pass, and a source's routine events are counted together (a third of the work on a chunk); a lane that
is behind fills its transactions, chunks are smaller, and states are written in the order in which their sources were
heard (a tenth of all). What is left is decoding, encoding, the batches, and freeing what a chunk made.""",
    "correlate": """Nothing yet: signals are a few per cent of the events, so one correlate keeps up with several
sense workers.""",
}
RATIOS = ("ratio_faust", "ratio_quix", "ratio_ceiling")
FIGURES = (*RATIOS, "signal_delay_p99_ms", "worker_rss_mb")


def table(result: dict[str, Any]) -> str:
    """The comparison in Markdown, quickest first."""
    lines = [
        "| | events/s | least to greatest | CPU µs an event | broker CPU µs an event | memory MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    rows = result.get("medians", {})
    for name, row in sorted(rows.items(), key=lambda entry: -entry[1]["events_per_s"]):
        lines.append(
            f"| {CONTENDERS[name].title} | {row['events_per_s']:,} | {row['least']:,} to {row['greatest']:,} | "
            f"{row['cpu_us']} | {row['broker_us']} | {row['rss_mb']} |"
        )
    return "\n".join(lines) if rows else ""


def figures(result: dict[str, Any]) -> str:
    """The single figures, a line each."""
    return "\n".join(f"- {name}: {result[name]}" for name in FIGURES if name in result)


def write(result: dict[str, Any], directory: Path) -> Path:
    """Write report.md and its pictures; returns the report's path."""
    directory.mkdir(parents=True, exist_ok=True)
    machine = result["machine"]
    parts = [
        "# What the product does in a second",
        f"Measured {machine['date']} on {machine['processors']} processors ({machine['processor']}), Python "
        f"{machine['python']}, load before {machine['load_before']:.2f}.",
        table(result),
        figures(result),
    ]
    if rows := result.get("medians"):
        values = {name: float(row["events_per_s"]) for name, row in rows.items() if name != "bare"}
        parts.append(_picture(directory, "contenders", plots.bars("The same job", "events/s", values)))
    if delays := result.get("delay"):
        parts.append(_delays(delays))
    shapes = result.get("shapes", {})
    for kind, label in _SHAPES.items():
        if found := shapes.get(kind):
            points = [(float(one["size"]), float(one["events_per_s"])) for one in found]
            parts += [f"## {label.capitalize()}", _shape_table(label, found)]
            parts.append(_picture(directory, kind, plots.line(f"By {label}", label, "events/s", points)))
    if "recovery" in shapes:
        one = shapes["recovery"]
        parts.append(
            f"## Recovery\n\nWith the state of {one['sources']:,} sources a worker is at work on all partitions "
            f"{one['restored_s']} s after its start ({one['fresh_s']} s without any); {one['rss_mb']} MB of memory."
        )
    if "replay" in shapes:
        one = shapes["replay"]
        parts.append(
            f"## A day's replay\n\n10,000 sources with an event each ten seconds are {one['day_events']:,} events: "
            f"{one['day_minutes']} minutes, from {one['events']:,} of them at {one['events_per_s']:,.0f} a second."
        )
    for name, one in result.get("profiles", {}).items():
        parts += [f"## Where the time of {name} goes", _profile(name, one), _LED_TO[name]]
    path = directory / "report.md"
    path.write_text("\n\n".join(part for part in parts if part) + "\n")
    return path


def _profile(name: str, found: dict[str, Any]) -> str:
    lines = [
        f"{found['samples']:,} looks while it held the interpreter, in `{name}.collapsed`.",
        "",
        "| function | by itself | with what it called |",
        "|---|--:|--:|",
    ]
    lines += [f"| `{function}` | {own:.1%} | {within:.1%} |" for function, own, within in found["functions"]]
    return "\n".join(lines)


def _picture(directory: Path, name: str, svg: str) -> str:
    (directory / f"{name}.svg").write_text(svg)
    return f"![{name}]({name}.svg)"


def _shape_table(label: str, found: list[dict[str, Any]]) -> str:
    lines = [f"| {label} | events/s | CPU µs an event | memory MB |", "|--:|--:|--:|--:|"]
    lines += [
        f"| {one['size']:,} | {one['events_per_s']:,.0f} | {one['cpu_us']:.1f} | {one['rss_mb']:.0f} |"
        for one in found
    ]
    return "\n".join(lines)


def _delays(found: list[dict[str, Any]]) -> str:
    lines = [
        "## From a raw record to its signal",
        "",
        "| of the greatest rate | events/s | to the signal's append, p50 and p99 ms | to a reader, p50 and p99 ms |",
        "|--:|--:|--:|--:|",
    ]
    for one in found:
        delays = [f"{one[f'{to}_p50_ms']:.0f}, {one[f'{to}_p99_ms']:.0f}" for to in ("append", "reader")]
        share = f"{one['share']:.0%} of {one['greatest']:,}"
        lines.append(f"| {share} | {one['events_per_s']:,} | {delays[0]} | {delays[1]} |")
    return "\n".join(lines)
