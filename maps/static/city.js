// The map: communes, and on one canvas sources, citizens' reports, alerts and incidents; what is shown of them, and
// what is known of the one that is chosen.

import * as communes from './communes.js';
import * as details from './details.js';
import * as filters from './filters.js';
import { chosenByAddress, readAddress, writeAddress } from './links.js';
import { isShown, shownTime } from './history.js';
import './mapwords.js';
import { DOUBTFUL, drawLook, kindOf, lookOf, middleOf, orderOf, pictureOf, setSize, severityOf, SILENT, stateFor } from './marks.js';
import { pointAt } from './opening.js';
import { unpackMoved, unpackRead } from './readings.js';
import { element, rank } from './signs.js';
import { onTheme } from './theme.js';
import { fillWords, words } from './texts.js';

const map = window.map_wall;
const dots = window.dots_wall;
const LAYERS = ['communes', 'blind', 'labels', 'traffic', 'flood', 'camera', 'reports', 'alerts', 'incidents'];
const layers = Object.fromEntries(LAYERS.map((name) => [name, window[`feature_group_${name}`]]));

const REACH = 14; // pixels from a sign within which a click means it
const FOUND_MAX = 8;
const REFRESH_MS = 1000;
const OTHERS = 1 << 15; // numbers of signs that are no sources begin here

let sensors = []; // by number: {number, id, kind, measure, commune, state}
let values = new Float64Array(1024); // of the latest reading, by number; NaN for none
let times = new Float64Array(1024); // when that was, ms since 1970; NaN where it was never heard
let byId = new Map(); // sensors by id
let streams = [];
let alerts = [];
let incidents = new Map();
const reports = new Map();
const others = new Map(); // `kind id` -> {number, kind, id, its}: reports, alerts and incidents on the canvas
const free = [];
let clock = () => null;
let refreshed = 0;
let ready = false;

// Sources

/** Show sources as the server tells them: all of them, or what has changed. */
export function showSources(told, replace) {
  if (replace) {
    for (const sensor of sensors) if (sensor) dots.look(sensor.number, -1);
    sensors = [];
    byId = new Map();
    streams = told.streams;
  }
  for (const number of told.gone ?? []) {
    const sensor = sensors[number];
    if (!sensor) continue;
    dots.look(number, -1);
    byId.delete(sensor.id);
    sensors[number] = undefined;
  }
  for (const [number, id, stream, measure, lon, lat, commune, state, value, since] of told.rows) {
    const sensor = { number, id, kind: streams[stream] ?? 'source', measure, commune, state };
    sensors[number] = sensor;
    if (number >= values.length) [values, times] = [grown(values), grown(times)];
    values[number] = value ?? NaN;
    times[number] = since === null ? NaN : (told.base + since) * 1000;
    byId.set(id, sensor);
    dots.move(number, lon, lat);
    dots.look(number, lookOfSensor(sensor));
  }
  const states = told.states ?? [];
  for (let at = 0; at < states.length; at += 2) {
    const sensor = sensors[states[at]];
    if (!sensor) continue;
    sensor.state = states[at + 1];
    dots.look(sensor.number, lookOfSensor(sensor));
  }
  const coverage = Object.keys(told.coverage).length > 0;
  if (replace || coverage) {
    communes.showCoverage(told.coverage, replace);
    showBlind();
  }
  if (replace || told.rows.length || states.length || told.gone?.length) dots.changed();
}

function grown(numbers) {
  const made = new Float64Array(2 * numbers.length);
  made.set(numbers);
  return made;
}

/** The latest readings, as the server packs them: values change what a click tells, places change the map. */
export function showReadings({ base, read, moved }) {
  const [seconds, told, numbers] = unpackRead(read);
  for (let at = 0; at < numbers.length; at += 1) {
    values[numbers[at]] = Math.round(told[at] * 1000) / 1000; // as many places as the server tells
    times[numbers[at]] = (base + seconds[at]) * 1000;
  }
  const [xs, ys, movers] = unpackMoved(moved);
  if (movers.length) dots.moveAll(movers, xs, ys).changed();
  if (details.chosenNow()?.kind === 'source') refreshSoon();
}

function lookOfSensor({ kind, state, commune }) {
  const shown = !layers[kind] || map.hasLayer(layers[kind]);
  return shown && filters.sourcePasses(kind, commune, severityOf(state)) ? lookOf(kind, state) : -1;
}

const lookOfReport = ({ commune }) => (map.hasLayer(layers.reports) && filters.sourcePasses('report', commune, null)
  ? lookOf('report', 0) : -1);

// Reports, alerts and incidents

function place(kind, id, its, lon, lat, look) {
  const key = `${kind} ${id}`;
  const known = others.get(key);
  const number = known?.number ?? free.pop() ?? OTHERS + others.size;
  others.set(key, { number, kind, id, its });
  dots.move(number, lon, lat);
  dots.look(number, look);
}

function remove(kind, id) {
  const key = `${kind} ${id}`;
  const known = others.get(key);
  if (!known) return;
  dots.look(known.number, -1);
  free.push(known.number);
  others.delete(key);
}

/** Show citizens' reports, and drop those that are no longer recent. `now` tells the time of the data. */
export function showReports(list, replace, oldest, now) {
  clock = now;
  let changed = replace;
  if (replace) {
    for (const id of reports.keys()) remove('report', id);
    reports.clear();
  }
  for (const report of list) {
    if (report.lon === null || report.lat === null || reports.has(report.id)) continue;
    changed = true;
    reports.set(report.id, report);
    place('report', report.id, report, report.lon, report.lat, lookOfReport(report));
  }
  for (const [id, report] of reports) {
    if (report.time >= oldest) continue;
    changed = true;
    remove('report', id);
    reports.delete(id);
  }
  if (changed) dots.changed();
}

/** Colour communes by their worst open alert, and put those that are about no source at their place. */
export function showAlerts(list) {
  alerts = list;
  showAbnormal();
}

/** Show the incidents that have changed, or all of them; `gone` are the ids of those that are over. */
export function showIncidents(list, gone, replace) {
  if (replace) incidents = new Map();
  for (const incident of list ?? []) incidents.set(incident.id, incident);
  for (const id of gone ?? []) incidents.delete(id);
  if (replace || list?.length || gone?.length) showAbnormal();
}

function showAbnormal() {
  const passing = alerts.filter(filters.passes);
  communes.showSeverities(worst(passing, (alert) => (alert.communes?.length ? alert.communes : [alert.commune])));
  const kept = new Set();
  const show = (kind, one, severity, layer) => {
    if (one.lon === null || one.lat === null) return;
    kept.add(`${kind} ${one.id}`);
    place(kind, one.id, { ...one, severity }, one.lon, one.lat, map.hasLayer(layer) ? lookOf(kind, stateFor(severity)) : -1);
  };
  for (const alert of passing) if (!byId.has(alert.subject)) show('alert', alert, alert.severity, layers.alerts);
  // An incident calls for as much as those of its alerts that are shown; one alert shows by itself.
  const calling = worst(passing, (alert) => [alert.incident]);
  for (const incident of incidents.values()) {
    if (incident.members.length > 1 && calling.has(incident.id)) {
      show('incident', incident, calling.get(incident.id), layers.incidents);
    }
  }
  for (const { kind, id } of [...others.values()]) if (kind !== 'report' && !kept.has(`${kind} ${id}`)) remove(kind, id);
  dots.changed();
  refreshSoon();
}

function worst(list, subjectsOf) {
  const found = new Map();
  for (const one of list) {
    for (const subject of subjectsOf(one)) {
      const before = found.get(subject);
      if (subject && (!before || rank(one.severity) < rank(before))) found.set(subject, one.severity);
    }
  }
  return found;
}

// Everything again: layers or filters have changed.
function showAgain() {
  for (const sensor of sensors) if (sensor) dots.look(sensor.number, lookOfSensor(sensor));
  for (const { number, kind, its } of others.values()) if (kind === 'report') dots.look(number, lookOfReport(its));
  communes.fadeOthers(filters.communeFilter());
  showAbnormal();
}

// What is chosen

const atNumber = (number) => (number < OTHERS ? { kind: 'source', id: sensors[number].id }
  : [...others.values()].find((other) => other.number === number));

function numberOf(kind, id) {
  if (kind === 'source') return byId.get(id)?.number ?? -1;
  if (kind === 'alert') {
    const alert = alerts.find((one) => one.id === id);
    const source = alert && byId.get(alert.subject);
    if (source) return source.number;
  }
  return others.get(`${kind} ${id}`)?.number ?? -1;
}

/** Show what is known of an alert, an incident, a commune, a source or a report, and mark it on the map. */
export function choose(kind, id) {
  mark(kind, id);
  return details.openDetails(kind, id);
}

function mark(kind, id) {
  const number = numberOf(kind, id);
  dots.setMarked(number < 0 ? null : { number, look: lookOf('ring', 0) });
}

function close() {
  details.closeDetails();
  pointAt(null);
  dots.setMarked(null);
}

function refreshSoon() {
  const chosen = details.chosenNow();
  if (!chosen || performance.now() - refreshed < REFRESH_MS) return;
  refreshed = performance.now();
  mark(chosen.kind, chosen.id);
  details.refreshDetails();
}

// The way that a link or a key leads to: choose it, and bring it into view.
function visit(kind, id) {
  const number = numberOf(kind, id);
  if (kind === 'commune' && communes.communeOf(id)) zoomToCommune(communes.communeOf(id));
  else if (number >= 0 && !map.getBounds().pad(-0.1).contains(dots.latLngOf(number))) {
    communes.leaveHome();
    map.panTo(dots.latLngOf(number));
  }
  return choose(kind, id);
}

function step(by) {
  const found = sensors.filter((sensor) => sensor && severityOf(sensor.state) && dots.lookOf(sensor.number) >= 0)
    .map(({ id, state }) => ({ kind: 'source', id, state }));
  for (const { kind, id, its, number } of others.values()) {
    if (kind !== 'report' && dots.lookOf(number) >= 0) found.push({ kind, id, state: stateFor(its.severity) });
  }
  if (!found.length) return;
  found.sort((a, b) => (b.state & 7) - (a.state & 7) || (a.id < b.id ? -1 : 1));
  const chosen = details.chosenNow();
  const at = found.findIndex(({ kind, id }) => chosen?.kind === kind && chosen.id === id);
  const next = found[(at < 0 ? (by > 0 ? 0 : found.length - 1) : at + by + found.length) % found.length];
  visit(next.kind, next.id);
}

function findSources(text) {
  if (!text) return [];
  const found = sensors.filter((sensor) => sensor?.id.toLowerCase().includes(text));
  const rows = found.slice(0, FOUND_MAX).map(({ id }) => {
    const row = element('li');
    const button = element('button', 'to', id);
    button.type = 'button';
    button.addEventListener('click', () => visit('source', id));
    row.append(button);
    return row;
  });
  return [...rows, element('li', 'quiet', words('found', { n: found.length }))];
}

// The view

function zoomToCommune(commune) {
  communes.leaveHome();
  map.flyToBounds(commune.layer.getBounds(), { padding: [120, 120], duration: 0.6, maxZoom: 13.5 });
}

/** Bring an alert's commune into view; without one, its place. Whether there was anything to show. */
export function zoomTo(alert) {
  const commune = communes.communeOf(alert.commune);
  if (alert.id) choose('alert', alert.id);
  if (commune) {
    zoomToCommune(commune);
  } else if (alert.lat !== null && alert.lon !== null && alert.lat !== undefined) {
    communes.leaveHome();
    map.flyTo([alert.lat, alert.lon], 13, { duration: 0.6 });
  } else {
    return false;
  }
  return true;
}

/** Show the whole city again, and nothing chosen. */
export function fitHome() {
  close();
  communes.fitHome();
}

export async function loadCommunes(url) {
  await communes.loadCommunes(url);
  filters.listCommunes();
  showBlind();
  ready = true;
  showAgain();
  visitByAddress();
}

function visitByAddress() {
  const chosen = chosenByAddress();
  if (chosen) visit(chosen.kind, chosen.id);
}

// Layers that are hidden stand in the address too.
function keepLayers() {
  const hidden = LAYERS.filter((name) => !map.hasLayer(layers[name]));
  writeAddress({ hide: hidden.join(',') || null });
  showAgain();
}

function hideByAddress() {
  for (const name of (readAddress().get('hide') ?? '').split(',')) if (layers[name]) map.removeLayer(layers[name]);
}

/** What the signs on the map mean. */
export function showLooks() {
  const rows = [['traffic', 0, 'layer_traffic'], ['flood', 0, 'layer_flood'], ['camera', 0, 'layer_camera'],
    ['report', 0, 'report'], ['traffic', SILENT, 'silentDot'], ['traffic', DOUBTFUL, 'doubtfulDot'],
    ['incident', 3, 'incidentDot']].map(([kind, state, key]) => [pictureOf(kind, state), key]);
  rows.push([element('i', 'blind'), 'blind']);
  document.getElementById('legend-looks').replaceChildren(...rows.map(([picture, key]) => {
    const row = element('li');
    const text = element('span');
    if (key === 'blind') text.id = 'legend-blind';
    else text.dataset.text = key;
    row.append(picture, text);
    return row;
  }));
  showBlind();
}

/** How many communes nobody watches, in figures beside the hatching. */
export function showBlind() {
  const all = communes.allCommunes();
  document.getElementById('legend-blind').textContent = words('blind', { n: all.filter(communes.isBlind).length,
    all: all.length });
}

function takeSize() {
  setSize(Math.max(1, Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16));
  dots.restyle();
}

/** Bring what is shown of the chosen one up to date: another time is shown, or somebody else is signed in. */
export const showDetails = () => details.refreshDetails();

/** For tests and the curious: what is drawn. */
export const drawn = () => ({
  communes: Object.fromEntries(communes.allCommunes().map(({ code, severity }) => [code, severity])),
  blind: communes.allCommunes().filter(communes.isBlind).map(({ code }) => code),
  sources: byId.size,
  reports: reports.size,
  incidents: incidents.size,
  signs: [...sensors.filter(Boolean), ...others.values()].map(({ number }) => dots.lookOf(number))
    .filter((look) => look >= 0).reduce((counts, look) => {
      counts[kindOf(look)] = (counts[kindOf(look)] ?? 0) + 1;
      return counts;
    }, {}),
  source: (id) => {
    const sensor = byId.get(id);
    if (!sensor) return null;
    const { lat, lng } = dots.latLngOf(sensor.number);
    return { ...sensor, lat, lon: lng, value: values[sensor.number], time: times[sensor.number] };
  },
});

hideByAddress();
dots.setLooks(drawLook, orderOf, middleOf);
takeSize();
showLooks();
details.startDetails({
  alerts: () => alerts,
  incident: (id) => incidents.get(id),
  commune: communes.communeOf,
  source: (id) => byId.get(id),
  report: (id) => reports.get(id),
  now: () => clock(),
  past: () => (isShown() ? shownTime() : null),
  choose: visit,
  closed: close,
});
filters.startFilters(findSources);
filters.onFilters(() => ready && showAgain());
map.getContainer().dataset.label = 'mapHelp';
map.on('overlayadd overlayremove', keepLayers);
map.on('click', ({ containerPoint, latlng }) => {
  pointAt(latlng);
  const number = dots.at(containerPoint, REACH);
  const commune = number < 0 ? communes.communeAt(latlng) : null;
  if (number >= 0) {
    const { kind, id } = atNumber(number);
    choose(kind, id);
  } else if (commune) choose('commune', commune.code);
  else close();
});
map.on('mousemove', ({ containerPoint }) => {
  map.getContainer().classList.toggle('over', dots.at(containerPoint, REACH) >= 0);
});
window.addEventListener('resize', takeSize);
window.addEventListener('hashchange', () => {
  filters.fromAddress();
  visitByAddress();
});
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('input, textarea, select, dialog')) return;
  if (event.key === ']' || event.key === '[') step(event.key === ']' ? 1 : -1);
});
onTheme(() => {
  dots.restyle();
  showLooks();
  fillWords(document.getElementById('legend-looks'));
});
document.fonts.ready.then(() => dots.restyle());
