"""A wall in a process of its own, with many sources that change: `python wallprocess.py PORT SOURCES`.

It prints its port once it listens. Each second every source moves a little and has another reading, and one alert is
raised whose title has the time at which it was put into the picture, ms since 1970. The wall has a thread of its own,
the first one makes the readings.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from maps.picture import Picture
from tests import wallkit as kit

#: Open at once: the last alerts.
OPEN_MAX = 20


def located(source: int, second: int) -> bytes:
    """A reading of one of many boats with a gauge, which counts as one of the first square."""
    return kit.located_record(
        f"gauge-{source}",
        kit.NOON + timedelta(seconds=second),
        lon=105.5 + 0.3 * (source % 100) / 100 + 0.0005 * ((source + second) % 4),
        lat=9.9 + 0.3 * (source // 100 % 100) / 100,
        level_m=1 + (source + second) % 100 / 100,
    )


def main(port: int, sources: int) -> None:
    """Serve until killed."""
    wall = kit.WallThread(kit.small_shell())
    wall.port = port
    with wall:
        print(wall.port, flush=True)  # noqa: T201
        second = 0
        while True:
            began = time.monotonic()
            wall.passed = kit.NOON + timedelta(seconds=second)
            # In pieces, as the feed applies what the broker gives.
            for first in range(0, sources, 500):
                rows = [located(source, second) for source in range(first, min(first + 500, sources))]
                wall.feed(lambda picture, rows=rows: [picture.apply_located(row) for row in rows])

            def raise_alert(picture: Picture, number: int = second) -> None:
                title = {"vi": f"lúc {time.time_ns() // 1_000_000}", "en": "-"}
                picture.apply_alert(kit.alert_record(f"a{number}", title=title), f"a{number}")
                if number >= OPEN_MAX:
                    picture.apply_alert(None, f"a{number - OPEN_MAX}")

            wall.feed(raise_alert)
            if wall.picture.bad:
                raise RuntimeError("the picture refused a record")
            second += 1
            time.sleep(max(0.0, 1 - (time.monotonic() - began)))


# For those who start one

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def wall(sources: int, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A wall in a process, its port; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.wallprocess", str(port), str(sources)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the wall did not start"
        yield process, int(line)
    finally:
        process.kill()
        process.wait(10)


def memory_mb(pid: int, name: str = "VmRSS") -> float:
    """Memory of a process; VmHWM: the most that it ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024


def wall_seconds(pid: int) -> float:
    """Processor time of a process so far but for its first thread, which only makes readings."""
    ticks = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name != str(pid):
            user, system = (task / "stat").read_text().rpartition(")")[2].split()[11:13]
            ticks += int(user) + int(system)
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
