"""The canvas of small signs: what stands on it is what was put there, wherever the bands of its drawing meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests import wallkit as kit
from tests.browserkit import Browsing

#: Signs of two looks on a canvas of their own map: a large square in front of small half-transparent discs.
SETUP = """([signs, ratio]) => {
  Object.defineProperty(window, 'devicePixelRatio', { value: ratio, configurable: true });
  const holder = document.createElement('div');
  Object.assign(holder.style, { position: 'fixed', inset: '0', width: '700px', height: '500px', zIndex: 9999 });
  document.body.append(holder);
  const map = L.map(holder, { center: [10, 105.5], zoom: 11, zoomControl: false, attributionControl: false,
    fadeAnimation: false, zoomAnimation: false });
  map.createPane('dots');
  const dots = L.dots({ pane: 'dots' }).addTo(map);
  const draw = (look, context) => {
    if (!context) return look === 0 ? 4 : 9;
    context.fillStyle = look === 0 ? 'rgba(90, 160, 230, 1)' : 'rgb(230, 60, 20)';
    context.beginPath();
    if (look === 0) context.arc(0, 0, 3, 0, 2 * Math.PI);
    else context.rect(-8, -8, 16, 16);
    context.fill();
    return look === 0 ? 4 : 9;
  };
  dots.setLooks(draw, (look) => look, () => [0, 0]);
  window.probe = { map, dots, draw };
  window.probe.put = (list) => {
    dots.clear();
    list.forEach(([x, y, look], number) => {
      const { lat, lng } = map.containerPointToLatLng([x, y]);
      dots.move(number, lng, lat).look(number, look);
    });
    dots._paint();
  };
  window.probe.put(signs);
}"""

#: The same signs by the canvas' own means, where L.Dots has them: how many pixels have colour, how far they differ.
COMPARE = """() => {
  const { map, dots, draw } = window.probe;
  const { _width: width, _height: height, _ratio: ratio } = dots;
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const order = [...Array(dots._count).keys()].filter((number) => dots._looks[number] >= 0)
    .sort((a, b) => dots._looks[a] - dots._looks[b] || a - b);
  for (const number of order) {
    const look = dots._looks[number];
    const at = map.latLngToLayerPoint(dots.latLngOf(number)).subtract(dots._bounds.min).multiplyBy(ratio);
    // The exact place: Leaflet's is rounded.
    const origin = map.getPixelOrigin();
    const scale = map.options.crs.scale(map.getZoom());
    const x = Math.round((dots._x[number] * scale - origin.x - dots._bounds.min.x) * ratio);
    const y = Math.round((dots._y[number] * scale - origin.y - dots._bounds.min.y) * ratio);
    if (x < 20 || y < 20 || x > width - 20 || y > height - 20) continue;
    context.setTransform(ratio, 0, 0, ratio, x + 0.5, y + 0.5);
    draw(look, context);
  }
  const wanted = context.getImageData(0, 0, width, height).data;
  const found = dots._context.getImageData(0, 0, width, height).data;
  let [inked, largest] = [0, 0];
  for (let at = 0; at < wanted.length; at += 4) {
    if (wanted[at + 3]) inked += 1;
    // As they are seen on black, so that the colour of what can hardly be seen counts little.
    for (let part = 0; part < 3; part += 1) {
      const seen = (data) => (data[at + part] * data[at + 3]) / 255;
      largest = Math.max(largest, Math.abs(seen(wanted) - seen(found)));
    }
    largest = Math.max(largest, Math.abs(wanted[at + 3] - found[at + 3]));
  }
  return { inked, largest };
}"""


#: L.Dots takes what is nearly opaque as opaque and leaves out what is hardly seen; signs that lie on one another add
#: that up. A pixel at a wrong place is wrong by ten times as much.
DIFFERENT_MAX = 24


@pytest.fixture
def wall() -> Iterator[kit.WallThread]:
    with kit.WallThread(kit.small_shell()) as running:
        yield running


def compared(browsing: Browsing) -> dict[str, Any]:
    return browsing.page.evaluate(COMPARE)


@pytest.mark.parametrize("ratio", [1, 2])
def test_signs_are_drawn_as_a_canvas_draws_them(wall: kit.WallThread, browsing: Browsing, ratio: int) -> None:
    """Pixel by pixel: across the edges of bands, where they overlap, and where they have gone."""
    page = browsing.page
    page.goto(wall.url)
    page.wait_for_selector("body.ready")
    # A column of signs at every height, overlapping ones, and large ones in front of them.
    signs = [[60 + 7 * (n % 40), 30 + n, 0] for n in range(440)]
    signs += [[400 + 3 * n, 100 + 2 * n, 0] for n in range(60)]
    signs += [[60 + 60 * n, 60 + 61 * n, 1] for n in range(7)]
    page.evaluate(SETUP, [signs, ratio])
    first = compared(browsing)
    assert first["inked"] > 10_000 * ratio
    assert first["largest"] <= DIFFERENT_MAX, first
    # Most of them go: nothing of theirs stays, in bands that are empty now too.
    page.evaluate("(signs) => window.probe.put(signs)", signs[:3] + signs[-1:])
    second = compared(browsing)
    assert 0 < second["inked"] < first["inked"] / 10
    assert second["largest"] <= DIFFERENT_MAX, second
    # Many at once, as the server packs them.
    page.evaluate(
        """() => {
          const { dots, map } = window.probe;
          const { lat, lng } = map.containerPointToLatLng([333, 222]);
          dots.move(0, lng, lat);
          const [x, y] = [dots._x[0], dots._y[0]];
          dots.moveAll(new Uint16Array([1, 2]), new Uint32Array([x * 2 ** 32, x * 2 ** 32]),
            new Uint32Array([y * 2 ** 32, y * 2 ** 32]));
          dots._paint();
        }"""
    )
    third = compared(browsing)
    assert third["largest"] <= DIFFERENT_MAX, third
    assert browsing.errors == []


def test_readings_are_unpacked_without_the_newest_browser(wall: kit.WallThread, browsing: Browsing) -> None:
    """A browser that cannot read base64 by itself shows the same places and values."""
    page = browsing.page
    page.add_init_script("delete Uint8Array.prototype.setFromBase64")
    wall.feed(lambda picture: picture.apply_located(kit.located_record("gauge-1")))
    page.goto(wall.url)
    page.wait_for_selector("body.ready")
    later = kit.NOON.replace(second=30)
    wall.feed(
        lambda picture: picture.apply_located(
            kit.located_record("gauge-1", later, lon=105.72, lat=9.96, level_m=1.75)
        )
    )
    for _ in range(80):
        source = page.evaluate("window.wall.drawn().source('gauge-1')")
        if source and abs(source["lon"] - 105.72) < 1e-6:
            break
        page.wait_for_timeout(50)
    assert source["lat"] == pytest.approx(9.96, abs=1e-6)
    assert source["value"] == 1.75
    assert source["time"] == later.timestamp() * 1000
