"""The wall for as long as it takes to see whether its memory grows: `python -m tests.bench.soak --minutes 30`.

A wall in a process of its own whose sources move each second, with a new alert each second and another that ends, and
Chromium that shows it. Each minute the page's garbage is collected and what is left is counted: the scripts' heap,
what the browser keeps for it (elements, styles) and the stores of pixels and numbers. Prints the figures and writes
build/soak-wall.json; ends with 1 where the page's memory grew by more than it may.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.browserkit import ARGUMENTS, chromium
from tests.wallprocess import ROOT, memory_mb, wall

REPORT = ROOT / "build" / "soak-wall.json"
#: Percent by which the page's memory may grow after the warming.
GROWTH_MAX = 5.0
#: Minutes after which its memory is taken as what it needs.
WARM_MINUTES = 2.0


def heap_kb(page: Page) -> dict[str, float]:
    """What the page holds once its garbage is collected, kB; and how many elements and listeners."""
    session = page.context.new_cdp_session(page)
    for _ in range(2):  # what the first time lets go, the second time takes
        session.send("HeapProfiler.collectGarbage")
    usage = session.send("Runtime.getHeapUsage")
    counters = session.send("Memory.getDOMCounters")
    session.detach()
    parts = ("usedSize", "embedderHeapUsedSize", "backingStorageSize")
    scripts, browser, stores = (usage[part] / 1000 for part in parts)
    return {
        "heap_kb": round(scripts + browser + stores, 1),
        "scripts_kb": round(scripts, 1),
        "browser_kb": round(browser, 1),
        "stores_kb": round(stores, 1),
        "elements": counters["nodes"],
        "listeners": counters["jsEventListeners"],
    }


def soak(
    page: Page,
    pid: int,
    minutes: float,
    warm: float = WARM_MINUTES,
    every: float = 1.0,
    say: Callable[[dict[str, Any]], None] = lambda sample: None,
) -> dict[str, Any]:
    """Watch a page of the wall in process `pid`: a sample after `warm` minutes, then one `every` so many.

    The growth is that from the first quarter of the samples to the last, by their medians and in percent: a single
    sample is up to a tenth off, since what the browser keeps for the page is let go when it likes. How much larger
    than that of the first quarter the largest was is told too.
    """
    began, samples, due = time.monotonic(), [], warm
    while True:
        page.wait_for_timeout(max(0.0, began + due * 60 - time.monotonic()) * 1000)
        sample: dict[str, Any] = {"minute": round((time.monotonic() - began) / 60, 1), **heap_kb(page)}
        sample["wall_rss_mb"] = round(memory_mb(pid), 1)
        samples.append(sample)
        say(sample)
        if due >= minutes:
            break
        due = min(minutes, due + every)

    quarter = max(1, len(samples) // 4)

    def growth(name: str, last: float) -> float:
        return round((last / median(sample[name] for sample in samples[:quarter]) - 1) * 100, 2)

    def at_last(name: str) -> float:
        return median(sample[name] for sample in samples[-quarter:])

    return {
        "minutes": samples[-1]["minute"],
        "warm_minutes": samples[0]["minute"],
        "heap_growth_percent": growth("heap_kb", at_last("heap_kb")),
        "heap_largest_percent": growth("heap_kb", max(sample["heap_kb"] for sample in samples)),
        "wall_rss_growth_percent": growth("wall_rss_mb", at_last("wall_rss_mb")),
        "samples": samples,
    }


def opened(page: Page, port: int) -> None:
    """Load the wall, and wait until it shows alerts."""
    page.goto(f"http://127.0.0.1:{port}/")
    page.wait_for_selector("body.ready", timeout=60_000)
    page.locator("#alerts .alert").first.wait_for(timeout=30_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--sources", type=int, default=2_000)
    options = parser.parse_args()
    with sync_playwright() as playwright, wall(options.sources) as (process, port):
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1920, "height": 1080})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        opened(page, port)
        warm = min(WARM_MINUTES, options.minutes / 3)
        result = {
            "machine": {
                "processors": os.cpu_count(),
                "chromium": browser.version,
                "load": os.getloadavg()[0],
            },
            "sources": options.sources,
            **soak(
                page,
                process.pid,
                options.minutes,
                warm,
                say=lambda sample: print(json.dumps(sample), flush=True),
            ),
            "errors": errors,
        }
        browser.close()
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(result, indent=1) + "\n")
    print(
        f"after {result['minutes']} minutes the page holds {result['heap_growth_percent']} % more than after "
        f"{result['warm_minutes']}, the wall's process {result['wall_rss_growth_percent']} %"
    )
    if errors or result["heap_growth_percent"] > GROWTH_MAX:
        print("\n".join(errors) or f"more than {GROWTH_MAX} % are too much")
        sys.exit(1)


if __name__ == "__main__":
    main()
