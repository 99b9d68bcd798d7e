"""The product beside Faust, Quix Streams, Bytewax and plain aiokafka on one job: `python -m tests.bench.stream`.

Progress goes to stderr, the table to stdout, everything to build/bench.json. What each contender does is told in
README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.stream import results
from tests.bench.stream.contenders import CONTENDERS, ROOT
from tests.bench.stream.delay import measure_delay
from tests.bench.stream.events import City
from tests.bench.stream.ground import Ground, Log, ground
from tests.bench.stream.measure import Measurement, measure, running
from tests.bench.stream.profiles import profiles
from tests.bench.stream.report import figures, table, write
from tests.bench.stream.shapes import shapes

REPORT = ROOT / "build" / "bench.json"
#: The log on which all must come to the same: so many sources, each with a few events.
SHORT = City(sources=1_000, seed=7)
SHORT_EVENTS = 10_000
PARTS = ("rates", "delay", "shape", "profile")
#: Of the product's greatest rate, where delays are measured.
SHARES = (0.1, 0.5, 0.9)
#: The share that the target is for, and how often it is measured.
HALF, LOOKS = 0.5, 3
#: Seconds in which the greatest rate is measured right before: that of a shared machine is another after minutes.
GREATEST_SECONDS = 8.0
#: Events of a day's replay: at least five million of them are left to reckon from after the warm-up.
REPLAYED = 5_500_000


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check(place: Ground, names: list[str]) -> dict[str, Any]:
    """Let each contender do a short log, and compare. Raises `AssertionError` naming what differs."""
    log = place.preload("short.", SHORT, SHORT_EVENTS)
    expected: tuple[results.Located, dict] | None = None
    for number, name in enumerate(names):
        with running(CONTENDERS[name], place, log, f"check{number}-{name}.") as run:
            results.finish(run)
            run.stop()
            found = results.located(place, log, run.prefix), results.signals(place, log, run.prefix)
        if expected is None:
            expected = found
            assert len(found[0]) == log.events, f"{name}: {len(found[0])} of {log.events} events"
            assert found[1], f"{name}: no signals"
        pairs: Iterable[tuple[str, dict, dict]] = zip(
            ("located events", "signals"), expected, found, strict=True
        )
        for kind, ours, theirs in pairs:
            different = results.differences(ours, theirs)
            assert not different, f"{kind} of {names[0]} and {name} differ:\n" + "\n".join(different)
        say(f"{name}: {len(found[0]):,} located events, {len(found[1]):,} signals")
    place.forget("short.")
    assert expected is not None
    return {"events": len(expected[0]), "signals": len(expected[1]), "equal": names}


def compare(place: Ground, log: Log, names: list[str], rounds: int, seconds: float) -> list[Measurement]:
    """The contenders, taking turns; the one that begins is another in each round."""
    found = []
    for round_ in range(rounds):
        for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
            with running(CONTENDERS[name], place, log, f"r{round_}-{name}.") as run:
                one = measure(run, seconds)
            found.append(one)
            say(
                f"round {round_ + 1} {name:10}{one.events_per_s:>10,.0f} events/s, {one.cpu_us:6.1f} µs an event, "
                f"broker {one.broker_us:5.1f} µs, {one.rss_mb:.0f} MB, {one.events:,} events in {one.seconds:.1f} s"
            )
    return found


def medians(found: list[Measurement]) -> dict[str, dict[str, Any]]:
    """By contender: the median, least and greatest rate, and the medians of the rest."""
    by_name: dict[str, list[Measurement]] = defaultdict(list)
    for one in found:
        by_name[one.contender].append(one)
    return {
        name: {
            "events_per_s": round(statistics.median(one.events_per_s for one in runs)),
            "least": round(min(one.events_per_s for one in runs)),
            "greatest": round(max(one.events_per_s for one in runs)),
            "cpu_us": round(statistics.median(one.cpu_us for one in runs), 1),
            "broker_us": round(statistics.median(one.broker_us for one in runs), 1),
            "rss_mb": round(statistics.median(one.rss_mb for one in runs)),
        }
        for name, runs in by_name.items()
    }


def ratios(table: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The product's median rate by that of others."""
    names = {"ratio_faust": "faust", "ratio_quix": "quix", "ratio_ceiling": "ceiling"}
    return {
        key: round(table["product"]["events_per_s"] / max(1, table[name]["events_per_s"]), 2)
        for key, name in names.items()
        if name in table and "product" in table
    }


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": names[0] if names else platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def available(names: list[str]) -> list[str]:
    """Those of the names that can be run here; the others are said."""
    there = [name for name in names if CONTENDERS[name].python()]
    for name in sorted(set(names) - set(there)):
        say(f"{name} is left out: {CONTENDERS[name].needs} is not installed; `make bench` installs it")
    return there


def measure_delays(place: Ground, log: Log | None, rate: float, seconds: float) -> list[dict[str, Any]]:
    """Delays at shares of the greatest rate: of that over `log` at the time, or of `rate` where there is no log."""
    found = []
    for look in range(LOOKS):
        greatest = rate
        if log is not None:
            with running(CONTENDERS["product"], place, log, f"greatest{look}.") as run:
                greatest = measure(run, GREATEST_SECONDS).events_per_s
        for share in SHARES if look == 0 else (HALF,):
            one = {"share": share, "greatest": round(greatest)}
            found.append(one | measure_delay(place, share * greatest, seconds, City()))
            say(f"delay at {share:.0%} of {greatest:,.0f} events/s: {found[-1]}")
    return found


def half_load(delays: list[dict[str, Any]], figure: str) -> float:
    """The median of what was measured at half of the greatest rate."""
    return statistics.median(one[figure] for one in delays if one["share"] == HALF)


def among(parser: argparse.ArgumentParser, what: str, given: str | None, known: Iterable[str]) -> list[str]:
    """The given names of what is known, or all of them; ends with an error where there is no such name."""
    names = list(known) if given is None else given.split(",")
    if unknown := set(names) - set(known):
        parser.error(f"there is no {what} {', '.join(sorted(unknown))}; the {what}s are {', '.join(known)}")
    return names


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--events", type=int, default=2_000_000, help="of the raw log")
    parser.add_argument("--seconds", type=float, default=15.0, help="that a contender is watched")
    parser.add_argument("--only", help=f"of {','.join(CONTENDERS)}, with commas between them")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to measure (default: %(default)s)")
    parser.add_argument("--replayed", type=int, default=REPLAYED, help="events of the day that are replayed")
    parser.add_argument("--rate", type=float, help="the greatest rate for delays, instead of measuring it")
    parser.add_argument(
        "--quick", action="store_true", help="rates alone: one round of 400,000 events, 8 s each"
    )
    parser.add_argument("--no-check", action="store_true", help="do not compare the results first")
    options = parser.parse_args(given)
    if options.quick:
        options.rounds, options.events, options.seconds = 1, min(options.events, 400_000), 8.0
        options.parts = "rates"
    options.parts = among(parser, "part", options.parts, PARTS)
    options.only = among(parser, "contender", options.only, CONTENDERS)
    return options


def run(place: Ground, options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Measure the parts, each into `result` as soon as it is done."""
    log: Log | None = None
    if "rates" in options.parts:
        names = available(options.only)
        whole = [name for name in names if CONTENDERS[name].whole]
        if len(whole) > 1 and not options.no_check:
            result["check"] = check(place, whole)
        began = time.monotonic()
        log = place.preload("raw.", City(), options.events)
        say(f"{log.events:,} events written in {time.monotonic() - began:.0f} s")
        found = compare(place, log, names, options.rounds, options.seconds)
        result["runs"] = [asdict(one) for one in found]
        result["events_per_s"] = {
            name: [round(one.events_per_s) for one in found if one.contender == name] for name in names
        }
        result["medians"] = medians(found)
        result |= ratios(result["medians"])
    if "delay" in options.parts:
        if not options.rate and log is None:
            log = place.preload("raw.", City(), options.events)
        delays = measure_delays(place, None if options.rate else log, options.rate or 0, options.seconds)
        result["delay"] = delays
        result["signal_delay_p99_ms"] = half_load(delays, "append_p99_ms")
        result["signal_delay_to_reader_p99_ms"] = half_load(delays, "reader_p99_ms")
    if log is not None:
        place.forget("raw.")
    if "shape" in options.parts:
        result["shapes"] = shapes(place, options.events // 2, options.seconds, options.replayed, say)
        result["worker_rss_mb"] = result["shapes"]["recovery"]["rss_mb"]
    if "profile" in options.parts:
        try:
            result["profiles"] = profiles(
                place, options.events // 2, options.seconds, REPORT.parent / "bench"
            )
        except RuntimeError as error:
            say(f"no profiles: {error}")


def main() -> None:
    options = arguments()
    logging.getLogger("kafka").setLevel(logging.ERROR)
    result: dict[str, Any] = {"machine": machine(), "events": options.events, "rounds": options.rounds}
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="ioc-bench-") as directory, ground(Path(directory)) as place:
            run(place, options, result)
    finally:
        # What was measured before an interruption is kept.
        result["minutes"] = round((time.monotonic() - began) / 60, 1)
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(result, indent=1, default=str) + "\n")
        path = write(result, REPORT.parent / "bench")
        print(f"\n{table(result)}\n\n{figures(result)}\n")
        say(f"{REPORT} and {path} are written")


if __name__ == "__main__":
    main()
