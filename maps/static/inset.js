// The dense part of the city drawn larger, in a corner of the map that is empty: where communes are so small that their
// names do not fit. Which part that is follows from the boundaries, the size of the map and the size of the names.

import { allCommunes, communeAt, hatched, nameElsewhere, placeLabels, shortName, shownOf } from './communes.js';
import { coveredBoxes } from './cover.js';
import { colour, drawSign, edge, element, rank } from './signs.js';
import { onTheme, paint } from './theme.js';
import { words } from './texts.js';

const LARGER = [2, 2.5, 3, 4, 5, 6];
const PART = [[0.38, 0.46], [0.32, 0.4], [0.26, 0.34]]; // of the map's width and height, the first that fits
const DENSE = 4; // how many times a very small commune counts
const LEAST_GAIN = 3; // names; fewer are not worth covering a part of the map
const NAMES = [9, 6]; // the least width and height, in sizes of a name with an alert: smaller would show no names
const GAP = 12;
const SETTLED_MS = 400; // after a change of size, until the map shows the whole city again

const canvas = document.getElementById('inset');
const frame = document.getElementById('map-frame');
let all = []; // {code, commune, short, latlng, x, y, rings, box}: degrees, y to the south, as Mercator has them
let extent = null; // {x, y, scale, width, height}: its corner, pixels in a degree, and its size in pixels
let named = [];
let planned = '';
let settling = 0;

/* global L */
const map = window.map_wall;
// Where the inset is, on the map.
const outline = L.rectangle([[0, 0], [0, 0]], { pane: 'communes', interactive: false, fill: false, weight: 1.5 });
const south = (lat) => -(180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360));
const north = (y) => (360 / Math.PI) * Math.atan(Math.exp((-y * Math.PI) / 180)) - 90;

/** Begin, once the map has its communes; `choose` is called with the code of one that is clicked. */
export async function startInset(choose) {
  all = allCommunes().map((commune) => {
    const { code, name, anchor } = commune;
    const rings = commune.rings.map((ring) => ring.map(([lon, lat]) => [lon, south(lat)]));
    return { code, commune, short: shortName(name), latlng: anchor, x: anchor.lng, y: south(anchor.lat), rings,
      box: boxOf(rings) };
  }).sort((a, b) => areaOf(b.box) - areaOf(a.box));
  await document.fonts.ready;
  onTheme(draw);
  map.on('restyled', draw);
  new ResizeObserver(plan).observe(frame);
  canvas.addEventListener('click', (event) => {
    const { x, y, scale } = extent;
    const its = communeAt({ lng: x + event.offsetX / scale, lat: north(y + event.offsetY / scale) });
    if (its) choose(its.code);
  });
}

function boxOf(rings) {
  const points = rings.flat();
  const xs = points.map((point) => point[0]);
  const ys = points.map((point) => point[1]);
  return { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

const areaOf = ({ left, right, top, bottom }) => (right - left) * (bottom - top);

// Which part, how large and where

/** Choose the part anew, as for a map of another size or for other names, once the map has come to rest. */
export function plan() {
  clearTimeout(settling);
  settling = setTimeout(() => {
    if (map._animatingZoom) map.once('zoomend', plan);
    else planNow();
  }, SETTLED_MS);
}

function planNow() {
  if (!all.length) return;
  const { width, height } = frame.getBoundingClientRect();
  const font = labelFont(false);
  const key = `${Math.round(width)} ${Math.round(height)} ${font}`;
  if (key === planned) return;
  planned = key;
  extent = all.length > 1 && width > 400 && height > 300 ? choosePart(width, height, font) : null;
  canvas.hidden = extent === null;
  draw();
  placeLabels();
}

// Sizes of the map's names, as the style sheet has them for this screen.
const probes = ['commune', 'commune alerted'].map((name) => {
  const probe = element('i', name);
  probe.hidden = true;
  frame.append(probe);
  return probe;
});
const size = (alerted) => Number.parseFloat(getComputedStyle(probes[Number(alerted)]).fontSize);
const labelFont = (alerted) => `${alerted ? 700 : 400} ${size(alerted)}px "Be Vietnam Pro", sans-serif`;

// How the map shows the whole city: pixels in a degree, and where a point lies in it.
function mapNow() {
  const [a, b] = [all[0], all[all.length - 1]];
  const [p, q] = [a, b].map(({ latlng }) => map.latLngToContainerPoint(latlng));
  const scale = Math.hypot(q.x - p.x, q.y - p.y) / Math.hypot(b.x - a.x, b.y - a.y);
  return { scale, at: ([x, y]) => [p.x + (x - a.x) * scale, p.y + (y - a.y) * scale] };
}

function choosePart(width, height, font) {
  const { scale, at } = mapNow();
  const crowded = all.filter((commune) => !fitting(all, scale, font).has(commune.code));
  if (crowded.length < LEAST_GAIN) return null;
  let least = null;
  const letters = size(true);
  for (const [partX, partY] of PART) {
    const part = { width: Math.round(width * partX), height: Math.round(height * partY) };
    if (part.width < letters * NAMES[0] || part.height < letters * NAMES[1]) break;
    const corner = emptiest(part, at, width, height);
    if (!least || corner.covered < least.corner.covered) least = { part, corner };
    if (corner.covered === 0) break;
  }
  if (!least) return null;
  const part = densest(crowded, least.part, scale, font);
  if (!part) return null;
  canvas.style.left = `${least.corner.left}px`;
  canvas.style.top = `${least.corner.top}px`;
  return { ...part, ...least.part };
}

// Codes of the communes whose names fit at a scale, larger communes first, as the map places them.
function fitting(list, scale, font) {
  const pen = canvas.getContext('2d');
  pen.font = font;
  const line = size(false) * 1.2;
  const taken = [];
  const codes = new Set();
  for (const { code, short, x, y } of list) {
    const half = pen.measureText(short).width / 2;
    const box = { left: x * scale - half, right: x * scale + half, top: y * scale - line / 2, bottom: y * scale + line / 2 };
    if (taken.some((other) => overlap(box, other))) continue;
    taken.push(box);
    codes.add(code);
  }
  return codes;
}

const overlap = (a, b) => a.left < b.right + 3 && b.left < a.right + 3 && a.top < b.bottom && b.top < a.bottom;

// The part in which most of the names that the map leaves out have room, those of small communes, where people live
// close together, before others; of equal ones the least enlarged.
function densest(crowded, { width, height }, scale, font) {
  const left = new Set(crowded.map(({ code }) => code));
  const usual = areaOf(all[all.length >> 1].box);
  let best = null;
  for (const larger of LARGER) {
    const its = scale * larger;
    const [halfX, halfY] = [width / its / 2, height / its / 2];
    for (const { x, y } of crowded) {
      const within = all.filter((other) => Math.abs(other.x - x) < halfX * 0.85 && Math.abs(other.y - y) < halfY * 0.9);
      const fits = fitting(within, its, font);
      const gained = within.filter(({ code }) => left.has(code) && fits.has(code));
      const gain = gained.reduce((sum, { box }) => sum + Math.min(DENSE, usual / areaOf(box)), 0);
      if (gained.length >= LEAST_GAIN && gain > (best?.gain ?? 0)) {
        const middle = boxOf([within.map((other) => [other.x, other.y])]);
        best = { gain, scale: its, x: (middle.left + middle.right) / 2 - halfX, y: (middle.top + middle.bottom) / 2 - halfY };
      }
    }
  }
  return best;
}

// The place where it covers the fewest communes, and nothing that one must read or use.
function emptiest(part, at, width, height) {
  const others = coveredBoxes(frame, '.legend, .leaflet-control, .filters');
  const outline = all.flatMap(({ rings, x, y }) => [[x, y], ...rings.flatMap((ring) => ring.filter((_, n) => n % 8 === 0))])
    .map(at);
  let best = null;
  for (const right of [false, true]) {
    for (const low of [true, false]) {
      const left = right ? width - part.width - GAP : GAP;
      const box = { left, right: left + part.width, top: low ? height - part.height - GAP : GAP };
      // Out of the way of the legend and of the map's controls, towards the middle.
      for (let tries = 0; tries < others.length; tries += 1) {
        box.bottom = box.top + part.height;
        const inTheWay = others.find((other) => overlap(box, other));
        if (!inTheWay) break;
        box.top = low ? inTheWay.top - part.height - GAP : inTheWay.bottom + GAP;
      }
      box.bottom = box.top + part.height;
      if (box.top < 0 || box.bottom > height) continue;
      const covered = outline.filter(([x, y]) => x > box.left && x < box.right && y > box.top && y < box.bottom).length;
      if (!best || covered < best.covered) best = { covered, left: box.left, top: box.top };
    }
  }
  return best ?? { covered: Infinity, left: GAP, top: GAP };
}

// Drawing

function draw() {
  named = [];
  const alerted = new Set();
  showOutline();
  if (!extent) {
    nameElsewhere(alerted);
    return;
  }
  const ratio = window.devicePixelRatio || 1;
  canvas.width = extent.width * ratio;
  canvas.height = extent.height * ratio;
  canvas.style.width = `${extent.width}px`;
  canvas.style.height = `${extent.height}px`;
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = paint('ground');
  pen.fillRect(0, 0, extent.width, extent.height);
  const severityOf = ({ commune }) => shownOf(commune).severity;
  const weight = (one) => (severityOf(one) ? rank(severityOf(one)) : 9);
  const seen = all.filter(({ box }) => (box.right - extent.x) * extent.scale > 0 && (box.bottom - extent.y) * extent.scale > 0
    && (box.left - extent.x) * extent.scale < extent.width && (box.top - extent.y) * extent.scale < extent.height);
  // The worst last, over the outlines of its neighbours; names the other way round.
  for (const commune of [...seen].sort((a, b) => weight(b) - weight(a))) drawCommune(pen, commune, shownOf(commune.commune));
  const taken = [];
  for (const commune of [...seen].sort((a, b) => weight(a) - weight(b))) {
    if (drawName(pen, commune, severityOf(commune), taken)) alerted.add(commune.code);
  }
  nameElsewhere(alerted);
  canvas.setAttribute('aria-label', words('inset', { names: named.join(', ') }));
}

function showOutline() {
  if (!extent) {
    outline.remove();
    return;
  }
  const { x, y, scale, width, height } = extent;
  outline.setBounds([[north(y + height / scale), x], [north(y), x + width / scale]]);
  outline.setStyle({ color: paint('control') });
  outline.addTo(map).bringToFront();
}

function drawCommune(pen, { rings }, { severity, unknown }) {
  pen.beginPath();
  for (const ring of rings) {
    ring.forEach(([x, y], index) => {
      const at = [(x - extent.x) * extent.scale, (y - extent.y) * extent.scale];
      if (index) pen.lineTo(...at);
      else pen.moveTo(...at);
    });
    pen.closePath();
  }
  pen.fillStyle = paint('map-fill');
  pen.fill('evenodd');
  if (severity || unknown) { // as the map has it
    pen.globalAlpha = severity ? Number(paint('map-alerted')) : 1;
    const ground = severity ? colour(severity) : paint('map-fill');
    pen.fillStyle = unknown ? hatched(ground, paint(severity ? 'ground' : 'hatch')) : ground;
    pen.fill('evenodd');
    pen.globalAlpha = 1;
  }
  pen.strokeStyle = severity ? edge(severity) : paint('map-line');
  pen.lineWidth = severity ? 2.5 : 1;
  pen.stroke();
}

// Whether there was room.
function drawName(pen, { short, x, y }, severity, taken) {
  pen.font = labelFont(Boolean(severity));
  pen.textAlign = 'left';
  pen.textBaseline = 'middle';
  const mark = severity ? size(true) * 0.95 : 0;
  const before = severity ? mark + size(true) * 0.35 : 0;
  const half = (before + pen.measureText(short).width) / 2;
  const line = size(Boolean(severity)) * 1.2;
  let [left, top] = [(x - extent.x) * extent.scale - half, (y - extent.y) * extent.scale - line / 2];
  if (severity) { // it must be read: into the frame, and out of the way of others
    left = Math.min(Math.max(left, 4), extent.width - 2 * half - 4);
    top = Math.min(Math.max(top, 4), extent.height - line - 4);
  }
  for (const shift of severity ? [0, -1, 1, -2, 2] : [0]) {
    const box = { left, right: left + 2 * half, top: top + shift * line, bottom: top + (shift + 1) * line };
    const within = box.left >= 2 && box.top >= 2 && box.right <= extent.width - 2 && box.bottom <= extent.height - 2;
    if (!within || taken.some((other) => overlap(box, other))) continue;
    taken.push(box);
    named.push(short);
    pen.lineJoin = 'round';
    pen.lineWidth = 4;
    pen.strokeStyle = paint('halo');
    pen.strokeText(short, left + before, (box.top + box.bottom) / 2);
    pen.fillStyle = paint(severity ? 'name-strong' : 'name-quiet');
    pen.fillText(short, left + before, (box.top + box.bottom) / 2);
    if (severity) drawSign(pen, severity, left, (box.top + box.bottom - mark) / 2, mark);
    return true;
  }
  return false;
}

/** For tests: what it shows and how much larger, null where it shows nothing. */
export const insetDrawn = () => extent && { names: [...named], gain: extent.gain, scale: extent.scale,
  alerted: Object.fromEntries(all.map(({ code, commune }) => [code, commune.severity]).filter(([, its]) => its)) };
