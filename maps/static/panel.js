// Everything beside the map: counters, the list of alerts, what has just ended, the line of figures.
// Texts from alerts and reports are hostile until proven otherwise: they only ever become textContent.

import { element, rank, SEVERITIES, sign } from './signs.js';
import { hourMinute, inLanguage, measured, moment, number, since, words } from './texts.js';

const ROWS_MAX = 100;
const byId = (id) => document.getElementById(id);
const rows = new Map(); // alert id -> {row, key, sinceElement, started}

export function showCounters(counts) {
  const boxes = SEVERITIES.map((severity) => {
    const box = element('div', `counter ${severity}${counts[severity] ? '' : ' none'}`);
    const figure = element('strong', '', String(counts[severity] ?? 0));
    const name = element('span', '', words(severity));
    const top = element('div', 'figure');
    top.append(sign(severity), figure);
    box.append(top, name);
    return box;
  });
  byId('counters').replaceChildren(...boxes);
}

export function showLegend() {
  const entries = SEVERITIES.map((severity) => {
    const entry = element('li');
    entry.append(sign(severity), element('span', '', words(severity)));
    return entry;
  });
  for (const kind of ['source', 'report']) {
    const entry = element('li');
    entry.append(element('i', kind), element('span', '', words(kind)));
    entries.push(entry);
  }
  byId('legend-signs').replaceChildren(...entries);
}

const inOrder = (a, b) => rank(a.severity) - rank(b.severity) || b.started - a.started || (a.id < b.id ? -1 : 1);

const place = (alert) => alert.commune_name || words('outside');

function heading(alert) {
  const label = inLanguage(alert.label);
  return (label ? `${label} · ` : '') + inLanguage(alert.title);
}

/** Show the open alerts, worst and newest first. `choose` is called with the alert that is clicked. */
export function showAlerts(alerts, now, choose) {
  const list = byId('alerts');
  const sorted = [...alerts].sort(inOrder);
  const shown = sorted.slice(0, ROWS_MAX);
  const kept = new Set(shown.map((alert) => alert.id));
  for (const id of [...rows.keys()]) if (!kept.has(id)) rows.delete(id);
  const first = rows.size === 0;
  const order = shown.map((alert) => {
    const key = JSON.stringify(alert) + document.documentElement.lang;
    const before = rows.get(alert.id);
    if (before?.key === key) return before.row;
    const made = makeRow(alert, now, choose);
    if (!first && before?.severity !== alert.severity) made.row.classList.add('fresh');
    rows.set(alert.id, { ...made, key, started: alert.started, severity: alert.severity });
    return made.row;
  });
  if (sorted.length > shown.length) {
    order.push(element('li', 'more', words('more', { n: sorted.length - shown.length })));
  }
  list.replaceChildren(...order);
  byId('calm').hidden = sorted.length > 0;
}

function makeRow(alert, now, choose) {
  const row = element('li', `alert ${alert.severity}`);
  row.tabIndex = 0;
  row.dataset.id = alert.id;
  const what = element('div', 'what');
  const head = element('div', 'line');
  head.append(element('strong', 'place', place(alert)), element('span', 'value', measured(alert.value, alert.unit)));
  const details = element('div', 'line details');
  const facts = element('span', 'facts');
  const sinceElement = element('span', 'since', since(alert.started, now));
  const subject = inLanguage(alert.subject_name) || alert.subject;
  if (alert.change === 'escalated') facts.append(element('span', 'up', `▲ ${words('escalated')}`));
  if (alert.change === 'lowered') facts.append(element('span', 'down', `▼ ${words('lowered')}`));
  facts.append(element('span', 'begun', moment(alert.started, now)), sinceElement, element('span', 'subject', subject),
    element('span', 'bound', words('threshold', { value: measured(alert.bound, alert.unit) })));
  details.append(facts);
  if (alert.simulated) details.append(element('span', 'made', words('simulatedShort')));
  what.append(head, element('p', 'title', heading(alert)), details);
  row.append(sign(alert.severity), what);
  row.addEventListener('click', () => choose(alert));
  row.addEventListener('keydown', (event) => {
    if (event.key === 'Enter') choose(alert);
  });
  return { row, sinceElement };
}

/** Bring "how long ago" up to the time of the clock. */
export function showTimes(now) {
  for (const { sinceElement, started } of rows.values()) {
    const text = since(started, now);
    if (sinceElement.textContent !== text) sinceElement.textContent = text;
  }
}

export function showEnded(ended, now) {
  byId('ended-frame').hidden = ended.length === 0;
  byId('ended').replaceChildren(...ended.map((alert) => {
    const row = element('li');
    row.append(sign(alert.severity), element('span', 'place', place(alert)), element('span', 'title', heading(alert)),
      element('span', 'when', `${words(alert.state)} ${moment(alert.time, now)}`));
    return row;
  }));
}

export function showFigures(stats) {
  const figure = (value) => (value === null || value === undefined ? '–' : number(value, 0));
  byId('figures').textContent = words('figures', {
    rate: figure(stats.located_per_minute),
    today: (stats.reports_today_at_least ? '≥ ' : '') + figure(stats.reports_today),
    sources: figure(stats.sources),
  });
}

export function showLatestReport(report) {
  const ticker = byId('ticker');
  if (!report) {
    ticker.replaceChildren(element('span', 'none', words('noReports')));
    return;
  }
  const where = report.commune_name ?? words('outside');
  ticker.replaceChildren(
    element('span', 'head', words('latest')),
    element('span', 'when', `${hourMinute(report.time)} ${where}`),
    element('span', 'text', report.text || report.category),
  );
}
