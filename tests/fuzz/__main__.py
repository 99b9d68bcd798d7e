"""Try many harmful inputs on whatever reads what others write: python -m tests.fuzz, or `make fuzz`.

Each target has a process of its own. What made the program reach new lines is kept in build/fuzz/TARGET and tried
first the next time; an input that failed is build/fuzz/TARGET-crash-...; the figures are in build/fuzz/report.json.
Ends with 1 where anything failed.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.fuzz.target import Target
from tests.fuzz.targets import all_targets

FOLDER = Path("build/fuzz")
_STATS = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
#: What libFuzzer says of an input that it keeps, or when it ends early.
_TRIED = re.compile(r"^#(\d+)\s", re.MULTILINE)


def main(given: list[str] | None = None) -> int:
    """Try all targets, or those that are named."""
    parser = argparse.ArgumentParser(prog="make fuzz FUZZ_ARGS=", description=__doc__)
    parser.add_argument("targets", nargs="*", help="only these")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="over all targets together")
    parser.add_argument("--seconds", type=int, default=3600, help="for each target at most")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(given)
    targets = {target.name: target for target in all_targets()}
    if unknown := set(asked.targets) - set(targets):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; the targets are {', '.join(targets)}")
    chosen = [targets[name] for name in targets if not asked.targets or name in asked.targets]
    shares = sum(target.share for target in chosen)
    FOLDER.mkdir(parents=True, exist_ok=True)
    report = []
    for number, target in enumerate(chosen, 1):
        part = target.share / shares
        report.append(
            _try(
                target,
                f"{number}/{len(chosen)}",
                max(100, int(asked.inputs * part)),
                asked.seconds,
                asked.seed,
            )
        )
        (FOLDER / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    tried, failed = sum(one["inputs"] for one in report), [one for one in report if one["failure"]]
    print(
        f"{tried} inputs, {len(failed)} targets failed: {', '.join(one['target'] for one in failed) or '-'}"
    )
    return 1 if failed else 0


def _try(target: Target, which: str, inputs: int, seconds: int, seed: int) -> dict[str, Any]:
    corpus, log = FOLDER / target.name, FOLDER / f"{target.name}.log"
    corpus.mkdir(exist_ok=True)
    print(f"{which} {target.name}: {inputs} inputs ...", end=" ", flush=True)
    began = time.monotonic()
    arguments = [
        "--inputs",
        str(inputs),
        "--seed",
        str(seed),
        "--seconds",
        str(seconds),
        "--corpus",
        str(corpus),
    ]
    with log.open("w") as file:
        code = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", target.name, *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    took = time.monotonic() - began
    said = log.read_text(errors="replace")
    stats = {name: int(value) for name, value in _STATS.findall(said)}
    tried = stats.get("number_of_executed_units") or max(map(int, _TRIED.findall(said)), default=0)
    made = {
        "target": target.name,
        "inputs": tried,
        "seconds": round(took, 1),
        "inputs_per_second": round(tried / took),
        "peak_rss_mb": stats.get("peak_rss_mb", 0),
        "slowest_seconds": stats.get("slowest_unit_time_sec", 0),
        "kept": len(list(corpus.iterdir())),
        "failure": "" if code == 0 else f"exit {code}, see {log}",
    }
    print(
        f"{tried} in {took:.0f} s, {made['inputs_per_second']}/s, {made['peak_rss_mb']} MiB"
        + (f"  FAILED: {made['failure']}" if code else "")
    )
    return made


if __name__ == "__main__":
    sys.exit(main())
