"""A wall in a process of its own: with two hundred viewers, killed and started again, and one that hangs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import statistics
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ioc.ports import free_port
from tests import wallkit as kit
from tests.bench import wall as bench
from tests.browserkit import Browsing
from tests.wallprocess import memory_mb, wall, wall_seconds

ROOT = Path(__file__).resolve().parents[2]
VIEWERS = 199
SOURCES = 10_000
SECONDS = 20
STAMP = re.compile("lúc (\\d{13})".encode())
#: Tells, for each alert that is new in the list, how old it was in the frame after it was there.
WATCH = """() => {
  window.delays = new Map();
  const look = () => {
    for (const [, stamp] of document.getElementById('alerts').textContent.matchAll(/lúc (\\d{13})/g)) {
      if (window.delays.has(stamp)) continue;
      window.delays.set(stamp, null);
      requestAnimationFrame(() => setTimeout(() => window.delays.set(stamp, Date.now() - Number(stamp))));
    }
  };
  look();
  window.delays = new Map([...window.delays.keys()].map((stamp) => [stamp, null]));
  window.old = new Set(window.delays.keys());
  new MutationObserver(look).observe(document.getElementById('alerts'), { childList: true, subtree: true });
}"""


class Crowd:
    """Viewers that read the stream of changes, in a thread; `delays` are those of each alert at each viewer, ms."""

    def __init__(self, port: int) -> None:
        self.delays: list[int] = []
        #: How many viewers were told of each alert, by its stamp.
        self.told: Counter[int] = Counter()
        self.received = 0
        self.lost = 0
        self.joined = 0
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def forget(self) -> None:
        """Begin to measure now."""
        self.delays, self.received, self.told = [], 0, Counter()

    async def _run(self) -> None:
        viewers = [asyncio.create_task(self._view()) for _ in range(VIEWERS)]
        await asyncio.to_thread(self._stop.wait)
        for viewer in viewers:
            viewer.cancel()
        await asyncio.gather(*viewers, return_exceptions=True)

    async def _view(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        seen: set[bytes] = set()
        began, rest = int(time.time() * 1000), b""
        while data := await reader.read(2**18):
            if not self.received or not seen:
                self.joined += not seen
                seen.add(b"")
            self.received += len(data)
            now = time.time_ns() // 1_000_000
            for stamp in STAMP.findall(rest + data):
                if stamp not in seen:
                    seen.add(stamp)
                    self.told[int(stamp)] += 1
                    if int(stamp) > began:
                        self.delays.append(now - int(stamp))
            # A stamp may come in two pieces.
            rest = data[-40:]
        self.lost += 1


def percentile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=100)[round(share * 100) - 1]


def until(page: Page, expression: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"never came true: {expression}"
        page.wait_for_timeout(100)


@pytest.mark.long
def test_two_hundred_viewers_are_no_burden(browsing: Browsing) -> None:
    """199 readers and a browser follow 10,000 sources that move each second: alerts come in time, nobody is lost."""
    page = browsing.page
    page.add_init_script(bench.INSTRUMENTS)
    with wall(SOURCES) as (process, port):
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body.ready", timeout=60_000)
        expect(page.locator("#alerts .alert").first).to_be_visible(timeout=30_000)
        page.evaluate(bench.WATCH_DOTS)
        alone = memory_mb(process.pid)
        with Crowd(port) as crowd:
            deadline = time.monotonic() + 60
            while crowd.joined < VIEWERS:
                assert time.monotonic() < deadline, f"only {crowd.joined} viewers have joined"
                page.wait_for_timeout(100)
            page.wait_for_timeout(2000)
            page.evaluate(WATCH)
            crowd.forget()
            before = wall_seconds(process.pid)
            drawing = bench.counted(page, SECONDS)
            busy = wall_seconds(process.pid) - before
            ended = time.time() * 1000
            delays, received, lost = list(crowd.delays), crowd.received, crowd.lost
            # Those of the beginning were told before, those of the end may be on their way.
            told = [count for stamp, count in sorted(crowd.told.items()) if stamp < ended - 2000][1:]
            seen = page.evaluate(
                "[...window.delays].filter(([stamp, delay]) => delay !== null && !window.old.has(stamp))"
                ".map(([, delay]) => delay)"
            )
            crowded, most = memory_mb(process.pid), memory_mb(process.pid, "VmHWM")
        page.wait_for_timeout(3000)
        after = memory_mb(process.pid)
    figures = {
        "viewers": VIEWERS + 1,
        "sources": SOURCES,
        "seconds": SECONDS,
        "alert_p50_ms": round(percentile(delays, 0.5)),
        "alert_p95_ms": round(percentile(delays, 0.95)),
        "alert_in_browser_p95_ms": round(percentile(seen, 0.95)),
        "alerts": len(told),
        "browser": drawing,
        "wall_processor_share": round(busy / drawing["seconds"], 2),
        "lost": lost,
        "kb_per_viewer_second": round(received / VIEWERS / SECONDS / 1000, 1),
        "memory_alone_mb": round(alone),
        "memory_crowded_mb": round(crowded),
        "memory_most_mb": round(most),
        "memory_after_mb": round(after),
        "load": round(os.getloadavg()[0], 1),
    }
    path = ROOT / "build" / "many-viewers.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(figures, indent=1) + "\n")
    assert lost == 0, figures
    # They are told of every source each second, or the rest would measure nothing.
    assert received / VIEWERS / SECONDS > 5 * SOURCES, figures
    assert set(told) == {VIEWERS}, "nobody misses an alert"
    assert len(told) >= 0.7 * SECONDS, figures
    assert figures["alert_p95_ms"] < 1500, figures
    assert figures["alert_in_browser_p95_ms"] < 2000, figures
    # The browser shows all of them each second, as if nobody else looked.
    assert drawing["updates"] >= 0.8 * SECONDS, figures
    assert most - alone < 150, figures


def test_a_wall_that_was_killed_comes_back_by_itself(browsing: Browsing) -> None:
    """The page follows the new process, shows what that has and nothing else, and was never loaded again."""
    page, port = browsing.page, free_port()
    with wall(20, port):
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body.ready", timeout=60_000)
        expect(page.locator("#alerts .alert").first).to_be_visible(timeout=30_000)
        before = page.evaluate("document.getElementById('alerts').textContent")
        page.evaluate("window.mine = true")
    old = re.search(r"lúc \d{13}", before)[0]
    expect(page.locator("#banner")).to_contain_text("MẤT KẾT NỐI", timeout=8000)
    expect(page.locator("#alerts")).to_contain_text(old)
    with wall(20, port):
        expect(page.locator("#banner")).to_be_hidden(timeout=30_000)
        expect(page.locator("#alerts")).not_to_contain_text(old, timeout=10_000)
        expect(page.locator("#alerts .alert").first).to_be_visible(timeout=10_000)
        assert page.evaluate("window.mine") is True
    assert browsing.errors == []


def test_a_wall_that_hangs_shows_and_its_return_too(browsing: Browsing) -> None:
    """A process that is there and does nothing shows within five seconds, and its return needs no hand."""
    page = browsing.page
    with wall(20) as (process, port):
        page.goto(f"http://127.0.0.1:{port}/")
        page.wait_for_selector("body.ready", timeout=60_000)
        expect(page.locator("#alerts .alert").first).to_be_visible(timeout=30_000)
        expect(page.locator("#banner")).to_be_hidden(timeout=10_000)
        process.send_signal(signal.SIGSTOP)
        try:
            expect(page.locator("#banner")).to_contain_text("MẤT KẾT NỐI", timeout=5000)
            page.screenshot(path=kit.screenshots() / "hangs.png")
            # Long enough for the page to give the connection up and try another, which hangs too.
            page.wait_for_timeout(10_000)
        finally:
            process.send_signal(signal.SIGCONT)
        expect(page.locator("#banner")).to_be_hidden(timeout=30_000)
        now = page.evaluate("document.getElementById('alerts').textContent")
        until(page, f"document.getElementById('alerts').textContent !== {json.dumps(now)}", 15)
    assert browsing.errors == []
