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

/** Whether an open alert is put aside: suppressed, or shelved by an operator. */
export const isAside = (alert) => Boolean(alert.suppressed) || alert.shelved_until !== null;

/**
 * Show the open alerts, worst and newest first, and after them those put aside, if they are to be seen. `choose` is
 * called with the alert that is clicked; `operating` knows who may do what, and what is pending.
 */
export function showAlerts(alerts, aside, now, choose, operating) {
  const list = byId('alerts');
  const sorted = [...alerts].sort(inOrder);
  const shown = [...sorted.slice(0, ROWS_MAX), ...[...aside].sort(inOrder).slice(0, ROWS_MAX)];
  const together = new Map();
  for (const { incident } of [...alerts, ...aside]) {
    if (incident) together.set(incident, (together.get(incident) ?? 0) + 1);
  }
  const kept = new Set(shown.map((alert) => alert.id));
  for (const id of [...rows.keys()]) if (!kept.has(id)) rows.delete(id);
  const first = rows.size === 0;
  const order = shown.map((alert) => {
    const extra = { incident: together.get(alert.incident) ?? 0, pending: operating.pendingOf(alert.id),
      buttons: operating.buttonsFor(alert) };
    const key = JSON.stringify([alert, extra, document.documentElement.lang]);
    const before = rows.get(alert.id);
    if (before?.key === key) return before.row;
    const made = makeRow(alert, extra, now, choose, operating);
    if (!first && before?.severity !== alert.severity) made.row.classList.add('fresh');
    rows.set(alert.id, { ...made, key, started: alert.started, severity: alert.severity });
    return made.row;
  });
  if (sorted.length > ROWS_MAX) {
    order.splice(ROWS_MAX, 0, element('li', 'more', words('more', { n: sorted.length - ROWS_MAX })));
  }
  arrange(list, order);
  byId('calm').hidden = sorted.length > 0;
}

// Only what changed is touched: a row that is moved would lose the focus, and a click that is half done.
function arrange(list, order) {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const row = focused?.closest('.alert')?.dataset.id;
  const action = focused?.dataset.action;
  const wanted = new Set(order);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  order.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
  if (!focused || document.activeElement === focused) return;
  const again = rows.get(row)?.row;
  const button = action && again?.querySelector(`button[data-action="${action}"]:not(:disabled)`);
  (button || again)?.focus({ preventScroll: true });
}

function makeRow(alert, extra, now, choose, operating) {
  const row = element('li', `alert ${alert.severity}${isAside(alert) ? ' aside' : ''}`);
  row.tabIndex = 0;
  row.dataset.id = alert.id;
  const what = element('div', 'what');
  const head = element('div', 'line');
  head.append(element('strong', 'place', place(alert)));
  if (alert.value !== null) head.append(element('span', 'value', measured(alert.value, alert.unit)));
  const details = element('div', 'line details');
  const facts = element('span', 'facts');
  const sinceElement = element('span', 'since', since(alert.started, now));
  const subject = inLanguage(alert.subject_name) || (alert.value === null ? '' : alert.subject);
  if (alert.change === 'escalated') facts.append(element('span', 'up', `▲ ${words('escalated')}`));
  if (alert.change === 'lowered') facts.append(element('span', 'down', `▼ ${words('lowered')}`));
  facts.append(element('span', 'begun', moment(alert.started, now)), sinceElement, element('span', 'subject', subject));
  if (alert.bound !== null) {
    facts.append(element('span', 'bound', words('threshold', { value: measured(alert.bound, alert.unit) })));
  }
  details.append(facts);
  if (alert.simulated) details.append(element('span', 'made', words('simulatedShort')));
  what.append(head, element('p', 'title', heading(alert)), details);
  const marks = marksOf(alert, extra, now);
  if (marks.length) {
    const line = element('div', 'marks');
    line.append(...marks);
    what.append(line);
  }
  if (extra.buttons.length) what.append(makeButtons(alert, extra, operating));
  row.append(sign(alert.severity), what);
  row.addEventListener('click', () => choose(alert));
  row.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && event.target === row) choose(alert);
  });
  return { row, sinceElement };
}

// What stands beside the measurement, each as a sign and words.
function marksOf(alert, { incident, pending }, now) {
  const marks = [];
  const mark = (name, text) => marks.push(element('span', `mark ${name}`, text));
  if (alert.overdue) mark('overdue', `! ${words('overdue')}`);
  if (alert.acknowledged) {
    const { by, time } = alert.acknowledged;
    mark('acknowledged', `✓ ${words('acknowledgedBy', { by, time: moment(time, now) })}`);
  }
  if (alert.assigned) mark('assigned', `→ ${words('assignedTo', { to: alert.assigned })}`);
  if (alert.shelved_until !== null) {
    mark('shelved', `‖ ${words('shelvedUntil', { time: moment(alert.shelved_until, now) })}`);
  }
  if (alert.suppressed) {
    const [kind, ...rest] = alert.suppressed.split(':');
    mark('suppressed', `– ${words(`suppressed_${kind}`, { what: rest.join(':') })}`);
  }
  if (alert.certainty !== 'observed') mark('certainty', `~ ${words(alert.certainty)}`);
  if (alert.doubts.length) {
    mark('doubts', `? ${words('doubted', { why: alert.doubts.map((doubt) => words(`doubt_${doubt}`)).join(', ') })}`);
  }
  if (alert.awaiting.length) mark('awaiting', `… ${words('awaiting', { to: alert.awaiting.join(', ') })}`);
  if (incident > 1) mark('incident', `+ ${words('sameIncident', { n: incident })}`);
  if (alert.comments) mark('comments', `“ ${words('comments', { n: alert.comments })}`);
  for (const { text, late } of pending) mark(late ? 'pending late' : 'pending', `… ${text}`);
  return marks;
}

function makeButtons(alert, { buttons }, operating) {
  const line = element('div', 'actions');
  for (const { action, to, busy } of buttons) {
    const button = element('button', '', to && action === 'release' ? `${words(action)}: ${to}` : words(action));
    button.type = 'button';
    button.disabled = busy;
    button.dataset.action = action === 'release' ? `release ${to}` : action;
    button.addEventListener('click', (event) => {
      event.stopPropagation();
      operating.act(action, alert, to, `${place(alert)}, ${heading(alert)}`);
    });
    line.append(button);
  }
  return line;
}

/** How many are put aside, as the button that shows and hides them. */
export function showAside(counts, shown) {
  const { suppressed = 0, shelved = 0 } = counts;
  const button = byId('aside');
  button.hidden = suppressed + shelved === 0;
  button.ariaExpanded = String(shown);
  const text = `${words('aside', { suppressed, shelved })} – ${words(shown ? 'asideHide' : 'asideShow')}`;
  if (button.textContent !== text) button.textContent = text;
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
