"""Kill, pause, cut off and starve the product's processes and brokers at random, and see that nothing is lost.

Each case runs real processes on a real broker (or three) under load, brings faults upon them at moments that follow
from the seed, and then judges the same log undisturbed: every published event must be located or a dead letter, once,
and all that correlate wrote must be the same, record by record. Exit status 1 where something was lost, doubled or
wrong, or a process hung; the logs of such a case stay in build/chaos-SEED-CASE. Progress goes to stderr, the report
to stdout and build/chaos.md, the figures to build/chaos.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from ioc.logs import configure_logs
from tests.chaos.cases import CASES, Case
from tests.chaos.report import figures, page
from tests.chaos.run import CannotRun, Outcome, run_case

BUILD = Path(__file__).resolve().parents[2] / "build"


def say(text: str) -> None:
    """A line of progress."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")
    sys.stderr.flush()


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    cases = "\n".join(f"  {case.name:9} {case.what}" for case in CASES.values())
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        epilog=f"cases:\n{cases}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=1, help="what is done when follows from it (default: 1)")
    parser.add_argument(
        "--events", type=int, default=200_000, help="of the first case; others have a share (default: 200000)"
    )
    parser.add_argument(
        "--kills", type=int, default=120, help="faults over all cases that run, shared out (default: 120)"
    )
    parser.add_argument(
        "--only", action="append", choices=list(CASES), metavar="CASE", help="this case; may be repeated"
    )
    parser.add_argument("--keep", type=Path, help="keep logs of all cases in this directory")
    parser.add_argument("--output", type=Path, default=BUILD, help="where the report goes (default: build)")
    return parser.parse_args(arguments)


def shares(cases: list[Case], kills: int) -> dict[str, int]:
    """How many faults each case has; at least one."""
    total = sum(case.share for case in cases)
    found = {case.name: max(1, kills * case.share // total) for case in cases}
    # What division leaves over belongs to the first.
    found[cases[0].name] += max(0, kills - sum(found.values()))
    return found


def run(
    chosen: list[Case], given: argparse.Namespace, directory: Path
) -> tuple[list[Outcome], dict[str, str]]:
    outcomes: list[Outcome] = []
    left_out: dict[str, str] = {}
    for case in chosen:
        try:
            outcome = run_case(
                case,
                seed=given.seed,
                events=max(2000, given.events * case.events // 100),
                kills=shares(chosen, given.kills)[case.name],
                directory=directory / case.name,
                say=say,
            )
        except CannotRun as reason:
            say(f"{case.name}: left out: {reason}")
            left_out[case.name] = str(reason)
            continue
        outcomes.append(outcome)
        found = outcome.verdict
        say(
            f"{case.name}: lost {found.lost}, duplicated {found.duplicated}, wrong {found.wrong}, "
            f"hung {len(outcome.hung)}, {outcome.seconds:.0f} s"
        )
        # After each case, so that an interrupted run leaves what it found.
        write(figures(outcomes, left_out, given.seed), given.output)
        if not given.keep:
            put_away(directory / case.name, given.output / f"chaos-{given.seed}-{case.name}", outcome)
    return outcomes, left_out


def put_away(directory: Path, kept: Path, outcome: Outcome) -> None:
    """Make room for the next case; what the processes and brokers of a failed one said stays in `kept`.

    What fails once in twenty runs is understood from their logs or not at all.
    """
    shutil.rmtree(kept, ignore_errors=True)
    if not outcome.verdict.clean or outcome.hung:
        shutil.move(directory, kept)
        say(f"{outcome.case}: the logs are in {kept}")
    else:
        shutil.rmtree(directory)


def write(found: dict, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    (output / "chaos.json").write_text(
        json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (output / "chaos.md").write_text(page(found), encoding="utf-8")


def main() -> int:
    given = options()
    configure_logs()
    chosen = [case for name, case in CASES.items() if not given.only or name in given.only]
    with tempfile.TemporaryDirectory(prefix="ioc-chaos-") as scratch:
        outcomes, left_out = run(chosen, given, given.keep or Path(scratch))
    found = figures(outcomes, left_out, given.seed)
    write(found, given.output)
    sys.stdout.write(page(found))
    failed = found["lost"] or found["duplicated"] or found["wrong"] or found["hung"] or not outcomes
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
