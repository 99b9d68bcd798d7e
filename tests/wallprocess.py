"""A wall in a process of its own, with many sources that change: `python wallprocess.py PORT SOURCES`.

It prints its port once it listens. Each second every source moves a little and has another reading, and one alert is
raised whose title has the time at which it was put into the picture, ms since 1970. The wall has a thread of its own,
the first one makes the readings.
"""

from __future__ import annotations

import functools
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
    """A reading of one of many boats with a gauge, which counts as one of the first square; made in a hurry."""
    lon = 105.5 + 0.003 * (source % 100) + 0.0005 * ((source + second) % 4)
    lat = 9.9 + 0.003 * (source // 100 % 100)
    return _PATTERN % (second, source, _text(second), lon, lat, 1 + (source + second) % 100 / 100)


#: A record of ioc.located as `wallkit` makes it, ten times as fast.
_PATTERN = kit.located_record("SOURCE", id="ID", time="TIME", lon=0.125, lat=0.25, level_m=0.5)
for word, form in (
    (b'"ID"', b'"e%d"'),
    (b'"SOURCE"', b'"gauge-%d"'),
    (b'"TIME"', b'"%b"'),
    (b"0.125", b"%.5f"),
    (b"0.25", b"%.5f"),
    (b"0.5", b"%.2f"),
):
    _PATTERN = _PATTERN.replace(word, form)


@functools.lru_cache(maxsize=2)
def _text(second: int) -> bytes:
    return (kit.NOON + timedelta(seconds=second)).isoformat().encode()


def main(port: int, sources: int) -> None:
    """Serve until killed."""
    wall = kit.WallThread(kit.small_shell())
    wall.port = port
    with wall:
        print(wall.port, flush=True)  # noqa: T201
        second, due, parts = 0, time.monotonic(), range(0, sources, 500)
        while True:
            wall.passed = kit.NOON + timedelta(seconds=second)
            # One part after the other: nobody sets sources to one time.
            for first in parts:
                rows = [located(source, second) for source in range(first, min(first + 500, sources))]
                wall.feed_located(rows)
                due += 1 / len(parts)
                time.sleep(max(0.0, due - time.monotonic()))

            def raise_alert(picture: Picture, number: int = second) -> None:
                title = {"vi": f"lúc {time.time_ns() // 1_000_000}", "en": "-"}
                picture.apply_alert(kit.alert_record(f"a{number}", title=title), f"a{number}")
                if number >= OPEN_MAX:
                    picture.apply_alert(None, f"a{number - OPEN_MAX}")

            wall.feed(raise_alert)
            if wall.picture.bad:
                raise RuntimeError("the picture refused a record")
            second += 1


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
    found = re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None, f"the process has no {name}"
    return int(found[1]) / 1024


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
