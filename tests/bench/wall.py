"""The wall in Chromium with ten thousand sources that move once a second: `python -m tests.bench.wall`.

Beside it, on the same data in the same run, folium's Realtime plugin, drawing SVG and drawing on a canvas. Then, on a
real broker, how long an event takes from its append in Kafka to a pixel. Prints a table and writes
build/bench-wall.json. The plugin's script is taken from npm (leaflet-realtime) into build/; without npm it is not
measured.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import math
import os
import platform
import random
import shutil
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import folium
import numpy as np
import shapely
from aiohttp import web
from folium.plugins import Realtime
from kafka import KafkaProducer
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from geo.approximate import approximate_set
from geo.boundaries import BoundarySet
from geo.drawing import drawing
from ioc.broker import Broker
from ioc.ports import free_port
from ioc.settings import load_settings
from maps.shell import _elements
from streams.admin import ensure_topics
from streams.topics import Topics
from tests import wallkit as kit
from tests.browserkit import ARGUMENTS, chromium
from tests.system import running, until

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "build" / "bench-wall.json"
#: The plugin that folium.plugins.Realtime names, and its SHA-256.
PLUGIN = ("leaflet-realtime", "2.2.0", "e54b6f2e86b6d1a56d51adfd173d8e9f2a3c369013a35f37e6502b1e6d494a9a")
STREAMS = ("traffic", "flood", "camera")
#: Records that the wall's feed applies before it lets others work; the same here.
STEP = 500
FRAME_MS = 1000 / 60

#: Put into a page before its own scripts: what an update costs, frames, long tasks.
INSTRUMENTS = """
window.bench = { handled: [], updates: [], other: 0, frames: [], tasks: [], pending: 0, counting: false };
const listen = EventSource.prototype.addEventListener;
EventSource.prototype.addEventListener = function (type, listener, ...rest) {
  const timed = (event) => {
    const began = performance.now();
    listener(event);
    return performance.now() - began;
  };
  // Named as the browser's trace is to show it.
  function readings(event) { bench.pending += timed(event); }
  function others(event) { bench.other += timed(event); }
  return listen.call(this, type, type === 'readings' ? readings : others, ...rest);
};
bench.painted = (ms) => {
  if (bench.pending && bench.counting) bench.updates.push(bench.pending + ms);
  if (!bench.pending) bench.other += ms; // drawn for something else than readings
  bench.pending = 0;
};
bench.start = () => {
  Object.assign(bench, { updates: [], other: 0, frames: [], tasks: [], pending: 0 });
  Object.assign(bench, { counting: true, began: performance.now() });
};
let before = null;
const frame = (now) => {
  if (before !== null && bench.counting) bench.frames.push(now - before);
  before = now;
  requestAnimationFrame(frame);
};
requestAnimationFrame(frame);
new PerformanceObserver((list) => {
  if (bench.counting) for (const { duration } of list.getEntries()) bench.tasks.push(duration);
}).observe({ entryTypes: ['longtask'] });
"""

#: Asks a page of the wall to say what each drawing of its signs costs.
WATCH_DOTS = "void dots_wall.on('painted', ({ ms }) => bench.painted(ms))"

#: Where a sign is to appear, and when it did: the time at the frame after the one that drew it.
WATCH_PIXEL = """
void (bench.watch = (lon, lat) => new Promise((found) => {
  const see = () => {
    const bounds = dots_wall._bounds;
    const at = map_wall.latLngToLayerPoint([lat, lon]).subtract(bounds.min).multiplyBy(dots_wall._ratio).round();
    if (dots_wall._context.getImageData(at.x, at.y, 1, 1).data[3] === 0) return;
    dots_wall.off('painted', see);
    requestAnimationFrame(() => found(Date.now()));
  };
  dots_wall.on('painted', see);
}));
"""


class City:
    """Sources spread evenly over a city, each a little elsewhere each second, as records of ioc.located."""

    def __init__(self, boundaries: BoundarySet, count: int) -> None:
        rng = np.random.default_rng(7)
        whole = shapely.union_all(boundaries.geometries)
        west, south, east, north = whole.bounds
        found: list[np.ndarray] = []
        while sum(map(len, found)) < count:
            some = rng.uniform((west, south), (east, north), (count, 2))
            found.append(some[shapely.contains_xy(whole, some)])
        self.points = np.concatenate(found)[:count]
        commune = boundaries.communes[0]
        place = {
            "outcome": "inside",
            "commune": commune.code,
            "commune_name": commune.name,
            "boundaries": "b@1",
        }
        self._place = json.dumps(place, ensure_ascii=False)
        self._rng = random.Random(7)
        self.second = 0

    def move(self) -> None:
        self.second += 1
        self.points = self.points + np.random.default_rng(self.second).normal(0, 0.0007, self.points.shape)

    def located(self, first: int = 0, end: int | None = None) -> list[bytes]:
        """One record for each source, or for some of them."""
        at = (kit.NOON + timedelta(seconds=self.second)).isoformat()
        measures = ('"speed_kmh"', '"level_m"', '"count"')
        return [
            (
                f'{{"id":"e{self.second}","source":"source-{n}","time":"{at}","stream":"{STREAMS[n % 3]}",'
                f'"lon":{lon:.6f},"lat":{lat:.6f},{measures[n % 3]}:{self._rng.random() * 50:.2f},'
                f'"place":{self._place}}}'
            ).encode()
            for n, (lon, lat) in enumerate(self.points[first:end].tolist(), first)
        ]

    def geojson(self) -> bytes:
        """The same as the plugin wants it."""
        features = [
            {
                "type": "Feature",
                "properties": {"id": f"source-{n}", "stream": STREAMS[n % 3], "value": 1.5},
                "geometry": {"type": "Point", "coordinates": [round(lon, 5), round(lat, 5)]},
            }
            for n, (lon, lat) in enumerate(self.points.tolist())
        ]
        return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def percentile(values: list[float], share: float) -> float:
    """The least value that so many of them do not exceed; NaN of none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan


def counted(page: Page, seconds: float) -> dict[str, Any]:
    """What a page's instruments say of the next seconds."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    trace = Trace(page)
    before = _cpu_ms(session)
    page.evaluate("bench.start()")
    page.wait_for_timeout(seconds * 1000)
    after = _cpu_ms(session)
    seen = page.evaluate("({ ...bench, seconds: (performance.now() - bench.began) / 1000 })")
    own = trace.updates()
    missed = sum(max(0, round(ms / FRAME_MS) - 1) for ms in seen["frames"])
    return {
        "seconds": round(seen["seconds"], 1),
        "updates": len(seen["updates"]),
        "update_p50_ms": round(percentile(seen["updates"], 0.5), 2),
        "update_p95_ms": round(percentile(seen["updates"], 0.95), 2),
        # The same in processor time: what others on the machine take meanwhile is not in it.
        "update_cpu_p50_ms": round(percentile(own, 0.5), 2) if own else None,
        "update_cpu_p95_ms": round(percentile(own, 0.95), 2) if own else None,
        "missed_frames": round(missed / max(1, missed + len(seen["frames"])), 4),
        "long_tasks_ms_per_second": round(sum(seen["tasks"]) / seen["seconds"], 1),
        "other_script_ms_per_second": round(seen["other"] / seen["seconds"], 2),
        # Processor time too: scripts, styles, layout, painting.
        "main_thread_cpu_ms_per_second": round((after - before) / seen["seconds"], 2),
    }


class Trace:
    """Chromium's record of what its threads do, from now on: the only place that tells a script's processor time."""

    def __init__(self, page: Page) -> None:
        browser = page.context.browser
        assert browser is not None
        self._page, self._events, self._whole = page, list[dict[str, Any]](), threading.Event()
        self._session = browser.new_browser_cdp_session()
        self._session.on("Tracing.dataCollected", lambda event: self._events.extend(event["value"]))
        self._session.on("Tracing.tracingComplete", lambda _: self._whole.set())
        self._session.send(
            "Tracing.start", {"categories": "devtools.timeline", "transferMode": "ReportEvents"}
        )

    def updates(self) -> list[float]:
        """End it; processor time of each update that was recorded, ms: its listener and the drawing after that."""
        self._session.send("Tracing.end")
        for _ in range(200):
            if self._whole.is_set():
                break
            self._page.wait_for_timeout(50)
        found, pending = [], 0.0
        for event in sorted(self._events, key=lambda event: event["ts"]):
            data = event.get("args", {}).get("data", {})
            if event["name"] != "FunctionCall":
                continue
            if data.get("functionName") == "readings":
                pending += event.get("tdur", 0) / 1000
            elif data.get("functionName") == "_paint" and pending:
                found.append(pending + event.get("tdur", 0) / 1000)
                pending = 0.0
        return found


def _cpu_ms(session: CDPSession) -> float:
    """Processor time that the page's main thread has spent so far."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] * 1000 for one in metrics if one["name"] == "TaskDuration")


def opened(browser: Browser, url: str) -> tuple[Page, Weight]:
    """A page that loads an address for the first time, and what that transfers."""
    page = browser.new_page(viewport={"width": 1920, "height": 1080})
    page.on("pageerror", lambda error: print(f"error on the page: {error}"))
    page.add_init_script(INSTRUMENTS)
    weight = Weight(page)
    page.goto(url)
    return page, weight


class Weight:
    """Every byte that a page is sent, as it comes: compressed, and with the headers of the answers."""

    #: What stays open and tells what happens: live data, not the page.
    LIVE = "/events"

    def __init__(self, page: Page) -> None:
        self._paths: dict[str, str] = {}
        self._bytes: dict[str, int] = {}
        self._session = page.context.new_cdp_session(page)
        self._session.on("Network.requestWillBeSent", self._asked)
        self._session.on("Network.loadingFinished", self._came)
        self._session.send("Network.enable")

    def _asked(self, event: dict[str, Any]) -> None:
        self._paths[event["requestId"]] = urlsplit(event["request"]["url"]).path

    def _came(self, event: dict[str, Any]) -> None:
        self._bytes[event["requestId"]] = event["encodedDataLength"]

    def figures(self) -> dict[str, int]:
        """Bytes so far, also of the fonts and of the boundaries alone, and how many files. It counts no more then."""
        # Or the browser would tell us every message of the stream while we measure what they cost it.
        self._session.detach()
        came = [
            (self._paths[id_], size) for id_, size in self._bytes.items() if self._paths[id_] != self.LIVE
        ]
        return {
            "page_gzip_bytes": sum(size for _, size in came),
            "of_which_fonts": sum(size for path, size in came if path.endswith(".woff2")),
            "of_which_boundaries": sum(size for path, size in came if path == "/boundaries.geojson"),
            "page_files": len(came),
        }


def measure_wall(browser: Browser, boundaries: BoundarySet, count: int, seconds: float) -> dict[str, Any]:
    """The real page on the real server: what an update costs, and what the page weighs."""
    city = City(boundaries, count)
    with kit.WallThread(kit.small_shell(drawing(boundaries))) as wall:
        wall.feed_located(city.located())
        page, weight = opened(browser, wall.url)
        page.wait_for_selector("body.ready", timeout=60_000)
        page.wait_for_timeout(1000)
        first = {"first_paint_ms": first_paint_ms(page), **weight.figures()}
        page.evaluate(WATCH_DOTS)
        stop = threading.Event()
        feeder = threading.Thread(target=feed, args=(wall, city, stop), daemon=True)
        feeder.start()
        page.wait_for_timeout(3000)
        result = counted(page, seconds)
        stop.set()
        feeder.join(30)
        page.screenshot(path=kit.screenshots() / "bench-wall.png")
        page.close()
    return {**first, **result}


def feed(wall: kit.WallThread, city: City, stop: threading.Event) -> None:
    """Once a second every source speaks, one part of them after the other: nobody sets sources to one time.

    This thread steps back for the browser: sources are elsewhere and take nothing from the machine that shows them.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
    due, parts = time.monotonic(), range(0, len(city.points), STEP)
    while not stop.is_set():
        city.move()
        wall.passed = kit.NOON + timedelta(seconds=city.second)
        for begin in parts:
            part = city.located(begin, begin + STEP)
            wall.feed_located(part)
            due += 1 / len(parts)
            stop.wait(max(0.0, due - time.monotonic()))


def first_paint_ms(page: Page) -> float:
    """When the page first showed something, from the beginning of the navigation."""
    return round(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"), 1)


# Folium's Realtime plugin


def plugin() -> bytes | None:
    """The plugin's script, from build/ or from npm; None where there is neither."""
    name, version, _ = PLUGIN
    packed = ROOT / "build" / f"{name}-{version}.tgz"
    packed.parent.mkdir(exist_ok=True)
    if not packed.exists():
        if shutil.which("npm") is None:
            return None
        done = subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=packed.parent, capture_output=True
        )
        if done.returncode:
            return None
    with tarfile.open(packed) as archive:
        member = archive.extractfile("package/dist/leaflet-realtime.js")
        assert member is not None
        script = member.read()
    found = hashlib.sha256(script).hexdigest()
    if found != PLUGIN[2]:
        raise SystemExit(f"{packed} holds another script than it should: {found}")
    return script


def realtime_page(boundaries: BoundarySet, canvas: bool) -> str:
    """A page as Folium makes it: the communes, and the plugin that asks for all points each second."""
    west, south, east, north = shapely.total_bounds(boundaries.geometries)
    page = folium.Map(location=[(south + north) / 2, (west + east) / 2], tiles=None, prefer_canvas=canvas)
    style = {"color": "#565b62", "weight": 1, "fillColor": "#2c3035", "fillOpacity": 1}
    folium.GeoJson(drawing(boundaries), style_function=lambda _: style).add_to(page)
    Realtime(
        "/points.geojson",
        interval=1000,
        get_feature_id=folium.JsCode("(f) => f.properties.id"),
        point_to_layer=folium.JsCode(
            "(f, at) => L.circleMarker(at, {radius: 2.5, stroke: false, fillColor: '#8b9199', fillOpacity: 1})"
        ),
    ).add_to(page)
    page.fit_bounds([[south, west], [north, east]])
    root = page.get_root()
    for element in _elements(root):
        if hasattr(element, "default_js"):
            element.default_js, element.default_css = [], []
    page.default_js = [("leaflet", "/leaflet.js"), ("realtime", "/realtime.js")]
    page.default_css = [("leaflet_css", "/leaflet.css")]
    return root.render()


#: The plugin's update: what takes the data in, and on a canvas the drawing, which comes with the next frame.
WATCH_REALTIME = """
const take = L.Realtime.prototype._onNewData;
L.Realtime.prototype._onNewData = function (...data) {
  const began = performance.now();
  take.apply(this, data);
  bench.pending = performance.now() - began;
  if (!map_of_page().options.preferCanvas) bench.painted(0);
};
const draw = L.Canvas.prototype._redraw;
L.Canvas.prototype._redraw = function () {
  const began = performance.now();
  draw.call(this);
  if (bench.pending) bench.painted(performance.now() - began);
};
const isMap = (name) => name.startsWith('map_') && window[name].options;
window.map_of_page = () => window[Object.keys(window).find(isMap)];
"""


@contextmanager
def serving(routes: dict[str, Any]) -> Iterator[str]:
    """Serve bodies by path, in a thread; a body may be a function."""
    loop, listening, address = asyncio.new_event_loop(), threading.Event(), []
    stop = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path not in routes:
            raise web.HTTPNotFound
        kind, body = routes[request.path]
        return web.Response(body=body() if callable(body) else body, content_type=kind)

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.append(runner.addresses[0][1])
        listening.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert listening.wait(10)
    yield f"http://127.0.0.1:{address[0]}/"
    loop.call_soon_threadsafe(stop.set)
    thread.join(5)


def measure_realtime(
    browser: Browser, boundaries: BoundarySet, count: int, seconds: float, script: bytes, canvas: bool
) -> dict[str, Any]:
    city = City(boundaries, count)
    shell = kit.small_shell()

    def points() -> bytes:
        city.move()
        return city.geojson()

    routes = {
        "/": ("text/html", realtime_page(boundaries, canvas).encode()),
        "/points.geojson": ("application/json", points),
        "/leaflet.js": ("text/javascript", shell.assets["leaflet/leaflet.js"].body),
        "/leaflet.css": ("text/css", shell.assets["leaflet/leaflet.css"].body),
        "/realtime.js": ("text/javascript", script + b";" + WATCH_REALTIME.encode()),
    }
    with serving(routes) as url:
        page, _ = opened(browser, url)
        page.wait_for_timeout(6000)
        result = counted(page, seconds)
        page.close()
    return result


# From Kafka to a pixel


def measure_path(browser: Browser, boundaries: BoundarySet, samples: int) -> dict[str, Any]:
    """From the broker's stamp of a raw event to the frame in which its source stands where the event says.

    Through sense and the wall, each a process; two hundred other events a second are on the way too.
    """
    with tempfile.TemporaryDirectory() as directory:
        ports = {
            name: free_port()
            for name in ("broker_port", "broker_controller_port", "sense_health_port", "clock_health_port",
                         "wall_health_port", "correlate_health_port")
        }  # fmt: skip
        settings = load_settings(
            bootstrap_servers="", state_dir=Path(directory) / "state", wall_port=0, **ports
        )
        broker = Broker(settings)
        try:
            broker.start()
            broker.wait_ready()
            settings = load_settings(**{**settings.model_dump(), "bootstrap_servers": broker.address})
            ensure_topics(settings)
            with running(settings, Path(directory) / "logs") as system:
                for name in ("clock", "sense", "wall"):
                    system.start(name)
                url = until(
                    lambda: next(
                        (line[6:] for line in system.log("wall").splitlines() if line.startswith("wall: ")),
                        None,
                    ),
                    90,
                    system.tails,
                )
                page, _ = opened(browser, url)
                page.wait_for_selector("body.ready", timeout=60_000)
                page.evaluate(WATCH_PIXEL)
                took = _path_times(
                    page, settings.bootstrap, Topics.of(settings).raw["flood"].name, boundaries, samples
                )
                page.close()
        finally:
            broker.stop()
    return {
        "event_to_pixel_p50_ms": round(percentile(took, 0.5)),
        "event_to_pixel_p95_ms": round(percentile(took, 0.95)),
        "event_to_pixel_samples": len(took),
    }


def _path_times(page: Page, bootstrap: str, topic: str, boundaries: BoundarySet, samples: int) -> list[float]:
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
    others, stop = City(boundaries, 200), threading.Event()

    def send(source: str, lon: float, lat: float) -> Any:
        event = {
            "id": f"{source}-{time.time_ns()}",
            "source": source,
            "time": datetime.now(UTC).isoformat(),
            "lon": lon,
            "lat": lat,
            "level_m": 1.5,
        }
        return producer.send(topic, key=source.encode(), value=json.dumps(event).encode())

    def work() -> None:
        while not stop.wait(1):
            for n, (lon, lat) in enumerate(others.points.tolist()):
                send(f"other-{n}", lon, lat)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    west, south, east, north = shapely.total_bounds(boundaries.geometries)
    rng, took = random.Random(5), []
    try:
        # The first also waits until all processes work.
        for sample in range(samples + 3):
            # North-east of the city nothing else stands.
            lon = east - (east - west) * 0.3 * rng.random()
            lat = north - (north - south) * 0.12 * rng.random()
            found = page.evaluate_handle(f"({{ at: bench.watch({lon}, {lat}) }})")
            page.wait_for_timeout(rng.uniform(0, 1000))
            stamp = send("boat", lon, lat).get(10).timestamp
            seen = found.evaluate("({ at }) => at")
            if sample >= 3:
                took.append(seen - stamp)
    finally:
        stop.set()
        thread.join(5)
        producer.close(5)
    return took


def tell(result: dict[str, Any]) -> None:
    print(f"\n{result['sources']:,} sources, each moving once a second\n")
    print(
        f"{'':18}{'p50':>9}{'p95':>9}{'CPU p50':>12}{'CPU p95':>12}{'missed':>9}{'long tasks':>14}{'main thread':>18}"
    )
    for name in ("wall", "realtime_canvas", "realtime_svg"):
        if one := result.get(name):
            print(
                f"{name:18}{one['update_p50_ms']:>6} ms{one['update_p95_ms']:>6} ms"
                f"{one['update_cpu_p50_ms'] or '–':>9} ms{one['update_cpu_p95_ms'] or '–':>9} ms"
                f"{one['missed_frames']:>9.1%}{one['long_tasks_ms_per_second']:>9} ms/s"
                f"{one['main_thread_cpu_ms_per_second']:>13} ms/s"
            )
    wall = result["wall"]
    print(
        f"\nfirst paint {wall['first_paint_ms']} ms; page {wall['page_gzip_bytes'] / 1000:.0f} kB in "
        f"{wall['page_files']} files with their headers, of which fonts {wall['of_which_fonts'] / 1000:.0f} kB, "
        f"boundaries {wall['of_which_boundaries'] / 1000:.0f} kB"
    )
    if "event_to_pixel_p95_ms" in result:
        print(
            f"from Kafka to pixel: p50 {result['event_to_pixel_p50_ms']} ms, p95 {result['event_to_pixel_p95_ms']} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="of the wall; of the plugin a third")
    parser.add_argument("--alone", action="store_true", help="without folium's Realtime plugin")
    parser.add_argument("--samples", type=int, default=40, help="events from Kafka to a pixel; 0: no broker")
    options = parser.parse_args()
    boundaries = approximate_set(["92"])
    result: dict[str, Any] = {
        "machine": {
            "processors": os.cpu_count(),
            "machine": platform.machine(),
            "load": os.getloadavg()[0],
        },
        "sources": options.sources,
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        result["machine"]["chromium"] = browser.version
        result["wall"] = measure_wall(browser, boundaries, options.sources, options.seconds)
        if script := None if options.alone else plugin():
            for canvas in (True, False):
                name = f"realtime_{'canvas' if canvas else 'svg'}"
                result[name] = measure_realtime(
                    browser, boundaries, options.sources, options.seconds / 3, script, canvas
                )
            result["realtime_p95_ms"] = result["realtime_svg"]["update_p95_ms"]
        elif not options.alone:
            print("no npm and no build/leaflet-realtime: the plugin is not measured")
        for key in (
            "update_p95_ms",
            "update_cpu_p95_ms",
            "missed_frames",
            "first_paint_ms",
            "page_gzip_bytes",
        ):
            result[key] = result["wall"][key]
        if options.samples:
            result |= measure_path(browser, boundaries, options.samples)
        browser.close()
    tell(result)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
