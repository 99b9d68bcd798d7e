// The communes: coloured by their worst open alert, hatched where nobody watches them, with their names where there is
// room. Folium has made the map, its panes and its layers; they are globals of the page.

import { coveredBoxes } from './cover.js';
import { colour, edge, element, rank, sign } from './signs.js';
import { onTheme, paint } from './theme.js';

/* global L */
const map = window.map_wall;
const layers = {
  communes: window.feature_group_communes,
  labels: window.feature_group_labels,
  alerts: window.feature_group_alerts,
  blind: window.feature_group_blind,
};

const communes = new Map(); // code -> {code, name, layer, rings, anchor, area, label, severity, coverage, style}
let covered = new Map(); // code -> [live, all]; told before there are communes, too
let home = null;
const NONE = [0, 0];
let atHome = true;
let only = ''; // the commune that the filter leaves
let elsewhere = new Set(); // codes of communes that the inset names

export async function loadCommunes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`boundaries: HTTP ${answer.status}`);
  const drawing = L.geoJSON(await answer.json(), {
    pane: 'communes',
    interactive: false,
    onEachFeature: (feature, layer) => {
      const { code, name, label } = feature.properties;
      const { type, coordinates } = feature.geometry;
      const bounds = layer.getBounds();
      const anchor = label ? L.latLng(label[1], label[0]) : bounds.getCenter();
      const area = (bounds.getNorth() - bounds.getSouth()) * (bounds.getEast() - bounds.getWest());
      const rings = type === 'Polygon' ? coordinates : coordinates.flat();
      communes.set(String(code), { code: String(code), name, layer, rings, anchor, area, label: makeLabel(name),
        severity: null, coverage: covered.get(String(code)) ?? NONE, style: '' });
    },
  });
  drawing.addTo(layers.communes);
  home = drawing.getBounds();
  // Leaflet looks at the window only; a banner above changes the map's height too.
  new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(map.getContainer());
  map.on('resize', () => {
    if (atHome) fitHome(false);
  });
  map.on('dragstart', leaveHome);
  map.on('zoomend moveend resize overlayadd overlayremove', placeLabels);
  map.on('overlayadd overlayremove', restyle);
  map.on('zoomstart', () => map.getPane('labels').classList.add('zooming'));
  onTheme(() => {
    patterns.clear();
    for (const commune of communes.values()) commune.style = '';
    restyle();
  });
  await document.fonts.ready; // they decide how large names and legend are
  fitHome(false);
  restyle();
  placeLabels();
}

/** The map shows something else than the whole city, and is not to return to it when its size changes. */
export function leaveHome() {
  atHome = false;
}

export function fitHome(animate = true) {
  atHome = true;
  if (!home) return;
  // Leaflet drops a view that is asked for while it animates another, as it does after Folium's fitBounds.
  if (map._animatingZoom) {
    map.once('zoomend', () => atHome && fitHome(animate));
    return;
  }
  const size = map.getSize();
  const legend = document.getElementById('legend');
  const right = legend.offsetLeft + legend.offsetWidth;
  const narrow = { paddingTopLeft: [right, 16], paddingBottomRight: [16, 16], animate };
  const covered = right < size.x / 2 && underLegend(size, right, legend.offsetTop);
  map.fitBounds(home, covered ? narrow : { padding: [16, 16], animate });
}

// Whether a name would lie under the legend with the whole city in view.
function underLegend(size, right, top) {
  const zoom = map.getBoundsZoom(home, false, L.point(32, 32));
  const middle = map.project(home.getNorthEast(), zoom).add(map.project(home.getSouthWest(), zoom)).divideBy(2);
  const corner = middle.subtract(size.divideBy(2));
  return [...communes.values()].some(({ anchor }) => {
    const at = map.project(anchor, zoom).subtract(corner);
    return at.x < right && at.y > top;
  });
}

// Names

/** A commune's name without its kind. */
export const shortName = (name) => name.replace(/^(Phường|Xã|Thị trấn|Đặc khu)\s+/u, '');

function makeLabel(name) {
  const label = element('div', 'commune');
  label.append(element('span', '', shortName(name)));
  map.getPane('labels').append(label);
  return label;
}

/**
 * Put names where there is room, in the order of their weight. That of a commune with an alert may move, and a line leads
 * to its place; where that does not help, or the inset names it, its sign stands alone.
 */
export function placeLabels() {
  const pane = map.getPane('labels');
  pane.classList.remove('zooming');
  pane.hidden = !map.hasLayer(layers.labels);
  const order = [...communes.values()].sort((a, b) => weight(a) - weight(b) || b.area - a.area);
  const taken = coveredBoxes(map.getContainer());
  for (const { label } of order) label.classList.remove('bare');
  const sizes = order.map(({ label }) => [label.offsetWidth, label.offsetHeight]);
  const view = map.getSize();
  order.forEach((commune, index) => {
    const [width, height] = sizes[index];
    const at = map.latLngToContainerPoint(commune.anchor);
    const named = commune.severity && atHome && elsewhere.has(commune.code);
    const box = (named ? null : room(at, width, height, commune.severity, taken, view))
      ?? (commune.severity ? bare(commune.label, at, height / 2) : null);
    commune.label.classList.toggle('crowded', box === null);
    if (box === null) return;
    taken.push(box);
    if (commune.severity) leadTo(commune.label, box, at);
    L.DomUtil.setPosition(commune.label, map.containerPointToLayerPoint([box.left, box.top]));
  });
}

function bare(label, at, size) {
  label.classList.add('bare');
  return { left: at.x - size / 2, right: at.x + size / 2, top: at.y - size / 2, bottom: at.y + size / 2 };
}

// A line from a name that had to move to the place that it names.
function leadTo(label, box, at) {
  const from = [Math.min(Math.max(at.x, box.left), box.right), Math.min(Math.max(at.y, box.top), box.bottom)];
  const [x, y] = [at.x - from[0], at.y - from[1]];
  const length = Math.hypot(x, y);
  const line = label.querySelector('.lead');
  line.hidden = length < 6;
  line.style.width = `${length}px`;
  line.style.transform = `translate(${from[0] - box.left}px, ${from[1] - box.top}px) rotate(${Math.atan2(y, x)}rad)`;
}

/** The inset names these communes (codes): on the map with the whole city their signs are enough. */
export function nameElsewhere(codes) {
  if (codes.size === elsewhere.size && [...codes].every((code) => elsewhere.has(code))) return;
  elsewhere = codes;
  placeLabels();
}

const weight = (commune) => (commune.severity ? rank(commune.severity) : 9);

function room(at, width, height, severity, taken, view) {
  const left = at.x - width / 2;
  const top = at.y - height / 2;
  const tries = [[left, top]];
  if (severity) {
    for (const step of [1, 2, 3]) {
      const gap = step * height;
      tries.push([left, top - gap], [left, top + gap], [at.x + 8, top - gap], [at.x - width - 8, top - gap],
        [at.x + 8 + (step - 1) * 30, top], [at.x - width - 8 - (step - 1) * 30, top], [at.x + 8, top + gap],
        [at.x - width - 8, top + gap]);
    }
  }
  for (const [x, y] of tries) {
    const box = { left: x, top: y, right: x + width, bottom: y + height };
    const inside = box.left > 2 && box.top > 2 && box.right < view.x - 2 && box.bottom < view.y - 2;
    if ((inside || !severity) && !taken.some((other) => overlap(box, other))) return box;
  }
  return null;
}

const overlap = (a, b) => a.left < b.right + 3 && b.left < a.right + 3 && a.top < b.bottom && b.top < a.bottom;

// Colours

const patterns = new Map();

/** Diagonal lines on a ground. Leaflet passes what it is given for a fill to the canvas as it is. */
export function hatched(ground, line) {
  const key = `${ground} ${line}`;
  if (!patterns.has(key)) {
    const tile = document.createElement('canvas');
    tile.width = tile.height = 10;
    const context = tile.getContext('2d');
    context.fillStyle = ground;
    context.fillRect(0, 0, 10, 10);
    context.strokeStyle = line;
    context.lineWidth = 1.6;
    for (const shift of [-10, 0, 10]) {
      context.moveTo(shift - 1, 11);
      context.lineTo(shift + 11, -1);
    }
    context.stroke();
    patterns.set(key, context.createPattern(tile, 'repeat'));
  }
  return patterns.get(key);
}

/** Whether no source of a commune is heard: what happens there is not known. */
export const isBlind = (commune) => commune.coverage[0] === 0;

function restyle() {
  let changed = false;
  for (const commune of communes.values()) {
    const { severity, unknown } = shownOf(commune);
    const faded = only && only !== commune.code;
    const style = `${severity} ${unknown} ${faded}`;
    if (style === commune.style) continue;
    commune.style = style;
    changed = true;
    const ground = severity ? colour(severity) : paint('map-fill');
    commune.layer.setStyle({
      color: severity ? edge(severity) : paint('map-line'),
      weight: severity ? 2.5 : 1,
      fillColor: unknown ? hatched(ground, paint(severity ? 'ground' : 'hatch')) : ground,
      fillOpacity: faded ? 0.15 : severity ? Number(paint('map-alerted')) : 1,
    });
    commune.layer[severity ? 'bringToFront' : 'bringToBack']();
  }
  if (changed) map.fire('restyled');
}

/** What the map shows of a commune with the layers that are on: its severity, and whether it is unknown. */
export const shownOf = (commune) => ({
  severity: map.hasLayer(layers.alerts) ? commune.severity : null,
  unknown: map.hasLayer(layers.blind) && isBlind(commune),
});

/** Colour communes by the worst of their alerts: severity by code. */
export function showSeverities(worst) {
  let changed = false;
  for (const [code, commune] of communes) {
    const severity = worst.get(code) ?? null;
    if (severity === commune.severity) continue;
    changed = true;
    commune.severity = severity;
    commune.label.className = severity ? `commune alerted ${severity}` : 'commune';
    for (const part of commune.label.querySelectorAll('svg, .lead')) part.remove();
    if (severity) commune.label.prepend(element('i', 'lead'), sign(severity));
  }
  if (!changed) return;
  restyle();
  placeLabels();
}

/** How many sources of communes are heard, and how many there are: {code: [live, all]}. */
export function showCoverage(coverage, replace) {
  covered = new Map([...(replace ? [] : covered), ...Object.entries(coverage)]);
  for (const commune of communes.values()) commune.coverage = covered.get(commune.code) ?? NONE;
  restyle();
}

/** Let all communes but one fade; '' for none. */
export function fadeOthers(code) {
  only = code;
  restyle();
}

export const communeOf = (code) => communes.get(code);
export const allCommunes = () => [...communes.values()];

/** The commune at a place, if there is one. */
export function communeAt({ lng, lat }) {
  return allCommunes().find(({ layer, rings }) => layer.getBounds().contains([lat, lng]) && rings.filter((ring) => {
    let odd = false;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i, i += 1) {
      const [[ax, ay], [bx, by]] = [ring[i], ring[j]];
      if ((ay > lat) !== (by > lat) && lng < ((bx - ax) * (lat - ay)) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  }).length % 2 === 1);
}
