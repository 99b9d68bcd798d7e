"""Where the two agents' time goes: py-spy looks at each of them while it works through a backlog.

Its samples are kept as they are beside the report, for whoever wants a flame graph; the report has the functions in
which most time is spent. Looking costs the process some per cent, so nothing is measured meanwhile.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import Any

from kafka.admin import KafkaAdminClient

from tests.bench.stream.contenders import BENCH_PYTHON, CONTENDERS
from tests.bench.stream.events import City
from tests.bench.stream.ground import Ground
from tests.bench.stream.measure import START_SECONDS, Run, committed, running

PRODUCT = CONTENDERS["product"]
CORRELATE = replace(
    PRODUCT,
    name="correlate",
    title="ioc correlate",
    arguments=("-m", "ioc", "correlate"),
    group="ioc-correlate",
)
#: Looks a second.
RATE = 200
#: Functions that the report names.
ROWS = 25
_LINE = re.compile(r":\d+\)$")


def profiler() -> str | None:
    """py-spy's program; None where it is not installed."""
    beside = Path(sys.executable).parent / "py-spy", BENCH_PYTHON.parent / "py-spy"
    return next((str(path) for path in beside if path.exists()), which("py-spy"))


def profiles(place: Ground, events: int, seconds: float, directory: Path) -> dict[str, Any]:
    """Profiles of sense and of correlate, by name: see `shares`. Samples go to files in `directory`.

    Raises `RuntimeError` where an agent does not begin, and where py-spy may not look at it: it needs the right to
    trace processes.
    """
    program = profiler()
    if program is None:
        raise RuntimeError("py-spy is not installed; `make bench` installs it")
    directory.mkdir(parents=True, exist_ok=True)
    log = place.preload("profile.", City(), events)
    found = {}
    try:
        with running(PRODUCT, place, log, "") as sense:
            _until_begun(sense)
            found["sense"] = _profile(program, sense, seconds, directory / "sense.collapsed")
            _until_done(sense)
            sense.stop()
            correlate = Run(CORRELATE, place, log, log.settings.topic_prefix)
            try:
                correlate.start()
                _until_begun(correlate)
                found["correlate"] = _profile(program, correlate, seconds, directory / "correlate.collapsed")
            finally:
                correlate.stop()
    finally:
        place.forget("profile.")
    return found


def _offsets(run: Run) -> dict[tuple[str, int], int]:
    admin = KafkaAdminClient(bootstrap_servers=run.ground.broker.address, client_id="bench-profile")
    try:
        return committed(admin, f"{run.prefix}{run.contender.group}")
    finally:
        admin.close()


def _until_begun(run: Run) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not sum(_offsets(run).values()):
        run.require_alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{run.contender.name} does not begin:\n{run.tail()}")
        time.sleep(0.2)


def _until_done(run: Run) -> None:
    deadline = time.monotonic() + 600
    while any(_offsets(run).get(tp, 0) < end for tp, end in run.log.ends.items()):
        run.require_alive()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{run.contender.name} does not come to the end of its log:\n{run.tail()}")
        time.sleep(0.5)


def _profile(program: str, run: Run, seconds: float, path: Path) -> dict[str, Any]:
    command = [program, "record", "--pid", str(run.processes[0].pid), "--duration", str(round(seconds))]
    command += ["--rate", str(RATE), "--gil", "--threads", "--format", "raw", "--output", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"py-spy cannot look at {run.contender.title}: {done.stderr.strip()[-500:]}")
    return shares(path.read_text())


def shares(collapsed: str) -> dict[str, Any]:
    """How many samples there are, and the `ROWS` functions that were running most often.

    `collapsed` has a line for each stack: its frames with semicolons between them, and how often it was seen. A
    function comes as (name, share by itself, share with what it called).
    """
    total, own, within = 0, Counter[str](), Counter[str]()
    for line in collapsed.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = [_LINE.sub(")", frame) for frame in stack.split(";")]
        total += int(count)
        own[frames[-1]] += int(count)
        for frame in set(frames):
            within[frame] += int(count)
    rows = [(name, count / total, within[name] / total) for name, count in own.most_common(ROWS)]
    return {"samples": total, "functions": rows}
