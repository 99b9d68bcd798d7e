// Everything beside the map: counters, the list of alerts, what has just ended, the line of figures.
// Texts from alerts and reports are hostile until proven otherwise: they only ever become textContent.

import { entriesOf, inOrder } from './groups.js';
import { heading, makeRow, place } from './rows.js';
import { element, SEVERITIES, sign } from './signs.js';
import { amount, hourMinute, inLanguage, moment, number, since, words } from './texts.js';

const ROWS_MAX = 100;
const ROOMY = 3; // entries of the list beside which there is room for what has ended
const FLOOD = 10; // alerts in ten minutes that one operator can still take in
const byId = (id) => document.getElementById(id);
const rows = new Map(); // alert id -> {row, key, sinceElement, started, severity}
const cards = new Map(); // id of an incident's entry -> {item, list, waters}
const opened = new Set(); // ids of entries that somebody opened
let again = () => {}; // shows once more what was shown last

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

/**
 * Show the open alerts, worst first, those of an incident together, and after them those put aside, if they are to be
 * seen. `choose` is called with the alert that is clicked; `operating` knows who may do what, and what is pending;
 * `showing` says {incidents, alone}: the incidents by id, and whether they alone are shown, opened.
 */
export function showAlerts(alerts, aside, now, choose, operating, showing) {
  again = () => showAlerts(alerts, aside, now, choose, operating, showing);
  const list = byId('alerts');
  const entries = entriesOf(alerts, showing.incidents, showing.alone).filter((one) => one.incident || !showing.alone);
  const late = [...aside].sort(inOrder).slice(0, ROWS_MAX).map((alert) => ({ id: alert.id, incident: null,
    alerts: [alert] }));
  const shown = [...entries.slice(0, ROWS_MAX), ...late];
  const first = rows.size === 0;
  const kept = new Set(shown.flatMap((entry) => entry.alerts.map((alert) => alert.id)));
  for (const id of [...rows.keys()]) if (!kept.has(id)) rows.delete(id);
  const entriesKept = new Set(shown.map((entry) => entry.id));
  for (const id of [...cards.keys()]) {
    if (entriesKept.has(id)) continue;
    cards.delete(id);
    opened.delete(id);
  }
  const rowOf = (alert, toggle) => {
    const extra = { toggle, pending: operating.pendingOf(alert.id), buttons: operating.buttonsFor(alert) };
    const key = JSON.stringify([alert, extra, document.documentElement.lang]);
    const before = rows.get(alert.id);
    if (before?.key === key) return before.row;
    const made = makeRow(alert, extra, now, choose, operating);
    if (!first && before?.severity !== alert.severity) made.row.classList.add('fresh');
    rows.set(alert.id, { ...made, key, started: alert.started, severity: alert.severity });
    return made.row;
  };
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const order = shown.map((entry) => (entry.incident ? cardOf(entry, rowOf, now, showing.alone, operating)
    : rowOf(entry.alerts[0], null)));
  if (entries.length > ROWS_MAX) {
    order.splice(ROWS_MAX, 0, element('li', 'more', words('more', { n: entries.length - ROWS_MAX })));
  }
  arrange(list, order);
  refocus(focused);
  const calm = byId('calm');
  calm.hidden = entries.length > 0;
  calm.textContent = words(showing.alone ? 'noIncident' : 'calm');
  byId('ended-frame').classList.toggle('few', shown.length > ROOMY); // what is open needs the room
  showBelow();
}

// One incident: the row of its worst alert, and, opened, its other alerts and its high waters.
function cardOf({ id, incident, alerts }, rowOf, now, always, operating) {
  let card = cards.get(id);
  if (!card) {
    card = { item: element('li', 'incident'), list: element('ol', 'members'), waters: element('ol', 'waters') };
    card.item.append(card.list, card.waters);
    cards.set(id, card);
  }
  const open = always || opened.has(id);
  const flip = always ? null : () => {
    if (!opened.delete(id)) opened.add(id);
    again();
  };
  const toggle = { text: `${open && !always ? '−' : '+'} ${summaryOf(incident, alerts)}`, open, flip,
    all: operating.togetherFor(alerts, summaryOf(incident, alerts)) };
  arrange(card.list, alerts.map((alert, index) => {
    const row = rowOf(alert, index ? null : toggle);
    row.hidden = index > 0 && !open;
    return row;
  }));
  card.item.classList.toggle('open', open);
  card.waters.hidden = !open || !incident.peaks?.length;
  if (!card.waters.hidden) card.waters.replaceChildren(...incident.peaks.map((peak) => waterOf(peak, alerts, now)));
  return card.item;
}

function summaryOf(incident, alerts) {
  const named = inLanguage(incident.title);
  const title = named === inLanguage(alerts[0].title) ? '' : named; // the row has said it
  const parts = [words(title ? 'ofIncident' : 'sameIncident', { n: alerts.length })];
  const communes = new Set([...(incident.communes ?? []), ...alerts.map((alert) => alert.commune)].filter(Boolean));
  if (communes.size > 1) parts.push(words('inCommunes', { n: communes.size }));
  if (incident.peaks?.length > 1) parts.push(words('highWaters', { n: incident.peaks.length }));
  return (title ? `${title}: ` : '') + parts.join(', ');
}

// Records have times as texts or as ms.
const ms = (time) => (typeof time === 'string' ? Date.parse(time) : time ?? null);

function waterOf(peak, alerts, now) {
  const item = element('li');
  const its = alerts.find((alert) => alert.subject === peak.subject) ?? alerts[0];
  const name = inLanguage(peak.subject_name) || (its.subject === peak.subject && inLanguage(its.subject_name));
  const until = ms(peak.until);
  const from = moment(ms(peak.since), now);
  item.append(sign(peak.severity), element('span', 'when', until === null ? words('sinceThen', { from })
    : `${from} – ${moment(until, now)}`), element('span', 'subject', name || peak.subject));
  if (peak.value !== null && peak.value !== undefined) {
    item.append(element('strong', 'value', amount(its, peak.value)));
  }
  return item;
}

// Only what changed is touched: a row that is moved would lose the focus, and a click that is half done.
function arrange(list, order) {
  const wanted = new Set(order);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  order.forEach((child, index) => {
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
}

function refocus(focused) {
  if (!focused || document.activeElement === focused) return;
  const action = focused.dataset.action;
  const row = rows.get(focused.closest('.alert')?.dataset.id)?.row;
  const button = action && row?.querySelector(`button[data-action="${CSS.escape(action)}"]:not(:disabled)`);
  (button || row)?.focus({ preventScroll: true });
}

/** Say how many rows lie below what can be seen: nobody scrolls a wall. */
export function showBelow() {
  const list = byId('alerts');
  const end = list.getBoundingClientRect().bottom + 4;
  let hidden = 0;
  for (const { row } of rows.values()) {
    // One whose place and value are in view has been seen.
    const head = row.offsetParent ? row.querySelector('.line').getBoundingClientRect() : null;
    if (head && head.bottom > end) hidden += 1;
  }
  const below = byId('below');
  below.hidden = hidden === 0;
  below.textContent = hidden ? words('below', { n: hidden }) : '';
}

/** Close the incidents that somebody opened, and go back to the top: nobody is at the keyboard any more. */
export function atRest() {
  opened.clear();
  byId('alerts').scrollTop = 0;
}

/** The alarm rate, marked where it is more than anybody can follow, and where it is a guess. */
export function showRate({ alarms_10m: ten, alarms_1h: hour, alarms_about: about }) {
  const figure = (value) => (value === null || value === undefined ? '–' : `${about ? '≈ ' : ''}${number(value, 0)}`);
  const flood = ten > FLOOD;
  const rate = byId('rate');
  const text = words('rate', { ten: figure(ten), hour: figure(hour) }) + (flood ? ` · ! ${words('alarmFlood')}` : '');
  rate.classList.toggle('flood', flood);
  if (rate.textContent !== text) rate.textContent = text;
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
