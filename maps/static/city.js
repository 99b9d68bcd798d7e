// The map: communes coloured by their worst open alert, their names, sensors and citizens' reports.
// Folium has made the map, its panes and its layers; they are globals of the page.

import { colour, element, rank, sign } from './signs.js';
import { moment, words } from './texts.js';

/* global L */
const map = window.map_wall;
const layers = {
  communes: window.feature_group_communes,
  sources: window.feature_group_sources,
  reports: window.feature_group_reports,
  labels: window.feature_group_labels,
};

const QUIET = { color: '#565b62', weight: 1, fillColor: '#2c3035', fillOpacity: 1 };
const QUIET_DOT = { stroke: false, fillColor: '#8b9199', fillOpacity: 0.45, radius: 2.4 };
const REPORT_DOT = { stroke: true, color: '#e8eaed', weight: 1.5, fill: true, fillOpacity: 0, radius: 4.5 };

const communes = new Map(); // code -> {name, layer, anchor, area, label, severity}
const sources = new Map(); // id -> {marker, stream, severity}
const reports = new Map(); // id -> {marker, time}
let home = null;
let atHome = true;

export async function loadCommunes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`boundaries: HTTP ${answer.status}`);
  const drawing = L.geoJSON(await answer.json(), {
    pane: 'communes',
    interactive: false,
    style: QUIET,
    onEachFeature: (feature, layer) => {
      const { code, name, label } = feature.properties;
      const bounds = layer.getBounds();
      const anchor = label ? L.latLng(label[1], label[0]) : bounds.getCenter();
      const area = (bounds.getNorth() - bounds.getSouth()) * (bounds.getEast() - bounds.getWest());
      communes.set(String(code), { name, layer, anchor, area, label: makeLabel(name), severity: null });
    },
  });
  drawing.addTo(layers.communes);
  home = drawing.getBounds();
  // Leaflet looks at the window only; a banner above changes the map's height too.
  new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(map.getContainer());
  map.on('resize', () => {
    if (atHome) fitHome(false);
  });
  map.on('dragstart', () => {
    atHome = false;
  });
  map.on('zoomend moveend resize overlayadd overlayremove', placeLabels);
  map.on('zoomstart', () => map.getPane('labels').classList.add('zooming'));
  await document.fonts.ready; // they decide how large names and legend are
  fitHome(false);
  placeLabels();
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
  map.fitBounds(home, underLegend(size, right, legend.offsetTop) ? narrow : { padding: [16, 16], animate });
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

const shortName = (name) => name.replace(/^(Phường|Xã|Thị trấn|Đặc khu)\s+/u, '');

function makeLabel(name) {
  const label = element('div', 'commune');
  label.append(element('span', '', shortName(name)));
  map.getPane('labels').append(label);
  return label;
}

// Names in the order of their weight: a commune with an alert always has its name, others where there is room.
function placeLabels() {
  const pane = map.getPane('labels');
  pane.classList.remove('zooming');
  pane.hidden = !map.hasLayer(layers.labels);
  const order = [...communes.values()].sort((a, b) => weight(a) - weight(b) || b.area - a.area);
  const taken = [];
  const sizes = order.map(({ label }) => [label.offsetWidth, label.offsetHeight]);
  const view = map.getSize();
  order.forEach((commune, index) => {
    const [width, height] = sizes[index];
    const at = map.latLngToContainerPoint(commune.anchor);
    const box = room(at, width, height, commune.severity, taken, view);
    commune.label.classList.toggle('crowded', box === null);
    if (box === null) return;
    taken.push(box);
    L.DomUtil.setPosition(commune.label, map.containerPointToLayerPoint([box.left, box.top]));
  });
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
  return severity ? { left, top, right: left + width, bottom: top + height } : null;
}

const overlap = (a, b) => a.left < b.right + 3 && b.left < a.right + 3 && a.top < b.bottom && b.top < a.bottom;

/** Colour communes and sensors by their worst open alert. */
export function showAlerts(alerts) {
  const byCommune = worst(alerts, (alert) => alert.commune);
  const bySource = worst(alerts, (alert) => alert.subject);
  let changed = false;
  for (const [code, commune] of communes) {
    const severity = byCommune.get(code) ?? null;
    if (severity === commune.severity) continue;
    changed = true;
    commune.severity = severity;
    commune.label.className = severity ? `commune alerted ${severity}` : 'commune';
    commune.label.querySelector('svg')?.remove();
    if (severity) {
      commune.label.prepend(sign(severity));
      commune.layer.setStyle({ color: colour(severity), weight: 2.5, fillColor: colour(severity), fillOpacity: 0.42 });
      commune.layer.bringToFront();
    } else {
      commune.layer.setStyle(QUIET);
      commune.layer.bringToBack();
    }
  }
  for (const [id, source] of sources) styleSource(source, bySource.get(id) ?? null);
  if (changed) placeLabels();
}

function worst(alerts, subjectOf) {
  const found = new Map();
  for (const alert of alerts) {
    const subject = subjectOf(alert);
    if (!subject) continue;
    const before = found.get(subject);
    if (!before || rank(alert.severity) < rank(before)) found.set(subject, alert.severity);
  }
  return found;
}

function styleSource(source, severity) {
  if (severity === source.severity) return;
  source.severity = severity;
  if (severity) {
    source.marker.setStyle({ stroke: true, color: '#16181b', weight: 1.5, fillColor: colour(severity), fillOpacity: 1 });
    source.marker.setRadius(7);
    source.marker.bringToFront();
  } else {
    source.marker.setStyle(QUIET_DOT);
    source.marker.setRadius(QUIET_DOT.radius);
  }
}

/** Show where sensors are; rows of [id, lon, lat, stream]. */
export function showSources(rows, replace) {
  if (replace) {
    layers.sources.clearLayers();
    sources.clear();
  }
  for (const [id, lon, lat, stream] of rows) {
    const known = sources.get(id);
    if (known) {
      known.marker.setLatLng([lat, lon]);
      known.stream = stream;
      continue;
    }
    const marker = L.circleMarker([lat, lon], { ...QUIET_DOT, pane: 'dots' });
    const source = { marker, stream, severity: null };
    marker.on('click', () => openSource(id, source));
    marker.addTo(layers.sources);
    sources.set(id, source);
  }
}

/** Show citizens' reports, and drop those that are no longer recent. */
export function showReports(list, replace, oldest, now) {
  if (replace) {
    layers.reports.clearLayers();
    reports.clear();
  }
  for (const report of list) {
    if (report.lon === null || report.lat === null || reports.has(report.id)) continue;
    const marker = L.circleMarker([report.lat, report.lon], { ...REPORT_DOT, pane: 'dots' });
    marker.on('click', () => openPopup(marker, [
      element('strong', '', `${report.category} · ${moment(report.time, now())}`),
      element('span', '', report.commune_name ?? words('outside')),
      element('p', '', report.text),
    ]));
    marker.addTo(layers.reports);
    reports.set(report.id, { marker, time: report.time });
  }
  for (const [id, report] of reports) {
    if (report.time < oldest) {
      layers.reports.removeLayer(report.marker);
      reports.delete(id);
    }
  }
}

function openPopup(marker, parts) {
  const content = element('div', 'detail');
  content.append(...parts);
  L.popup({ maxWidth: 420, autoPan: true }).setLatLng(marker.getLatLng()).setContent(content).openOn(map);
}

async function openSource(id, source) {
  const parts = [element('strong', '', id), element('span', '', words(source.stream))];
  const answer = await fetch(`/api/source?id=${encodeURIComponent(id)}`);
  if (answer.ok) {
    const { time, id: _event, source: _source, stream: _stream, lon: _lon, lat: _lat, place, run: _run, simulated,
      ...rest } = await answer.json();
    parts.push(element('span', '', `${place?.commune_name ?? words('outside')} · ${moment(Date.parse(time), null)}`));
    for (const [name, value] of Object.entries(rest)) parts.push(element('p', '', `${name}: ${value}`));
    if (simulated) parts.push(element('em', '', words('simulatedShort')));
  }
  openPopup(source.marker, parts);
}

/** Bring an alert's commune into view; without one, its place. Whether there was anything to show. */
export function zoomTo(alert) {
  const commune = communes.get(alert.commune);
  atHome = false;
  if (commune) {
    map.flyToBounds(commune.layer.getBounds(), { padding: [120, 120], duration: 0.6, maxZoom: 13.5 });
  } else if (alert.lat !== null && alert.lon !== null) {
    map.flyTo([alert.lat, alert.lon], 13, { duration: 0.6 });
  } else {
    return false;
  }
  return true;
}

/** For tests and the curious: what is drawn. */
export const drawn = () => ({
  communes: Object.fromEntries([...communes].map(([code, commune]) => [code, commune.severity])),
  sources: sources.size,
  reports: reports.size,
});
