// One alert as a row of the list: what, where, how much, since when, what operators did, and their buttons.
// Texts from alerts are hostile until proven otherwise: they only ever become textContent.

import { isAside } from './groups.js';
import { element, sign } from './signs.js';
import { amount, inLanguage, moment, since, words } from './texts.js';

export const place = (alert) => alert.commune_name || words('outside');

const KIND = /^(?:Phường|Xã|Thị trấn|Đặc khu)\s+/u;

// The place, its kind apart: from far away there is no room for it.
function placeName(alert) {
  const made = element('strong', 'place');
  const [kind = ''] = KIND.exec(place(alert)) ?? [];
  if (kind) made.append(element('span', 'kind', kind));
  made.append(element('span', '', place(alert).slice(kind.length)));
  return made;
}

export function heading(alert) {
  const label = inLanguage(alert.label);
  return (label ? `${label} · ` : '') + inLanguage(alert.title);
}

/** Make the row of an alert: {row, sinceElement}. `extra` has `pending`, `buttons` and, of an incident, `toggle`. */
export function makeRow(alert, extra, now, choose, operating) {
  const waiting = alert.acknowledged === null;
  const row = element('li', `alert ${alert.severity}${isAside(alert) ? ' aside' : ''}${waiting ? ' waiting' : ''}`);
  row.tabIndex = 0;
  row.dataset.id = alert.id;
  const what = element('div', 'what');
  const head = element('div', 'line');
  head.append(placeName(alert));
  if (alert.value !== null) head.append(element('span', 'value', amount(alert, alert.value)));
  const details = element('div', 'line details');
  const facts = element('span', 'facts');
  const sinceElement = element('span', 'since', since(alert.started, now));
  const subject = inLanguage(alert.subject_name) || (alert.value === null ? '' : alert.subject);
  facts.append(element('span', 'seen', waiting ? words('waiting') : `✓ ${words('seen')}`));
  if (alert.change === 'escalated') facts.append(element('span', 'up', `▲ ${words('escalated')}`));
  if (alert.change === 'lowered') facts.append(element('span', 'down', `▼ ${words('lowered')}`));
  facts.append(sinceElement);
  if (alert.bound !== null) {
    facts.append(element('span', 'bound', words('threshold', { value: amount(alert, alert.bound) })));
  }
  facts.append(element('span', 'begun', moment(alert.started, now)), element('span', 'subject', subject));
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
function marksOf(alert, { pending, toggle }, now) {
  const marks = [];
  const mark = (name, text) => marks.push(element('span', `mark ${name}`, text));
  if (alert.overdue) mark('overdue', `! ${words('overdue')}`);
  if (toggle) {
    const together = element('div', 'together'); // in one line, whatever the incident is called
    together.append(...marks, ...makeToggle(toggle));
    marks.splice(0, marks.length, together);
  }
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
  if (alert.comments) mark('comments', `“ ${words('comments', { n: alert.comments })}`);
  for (const { text, late } of pending) mark(late ? 'pending late' : 'pending', `… ${text}`);
  return marks;
}

// Opens and closes the incident whose first alert this is; where all are open, says what it is alone. `all`
// acknowledges its alerts together, where whoever is signed in may: {text, name, busy, act}.
function makeToggle({ text, open, flip, all }) {
  const parts = [flip ? makeFlip(text, open, flip) : element('span', 'mark', text)];
  if (all) {
    const button = element('button', 'all', all.text);
    button.type = 'button';
    button.ariaLabel = button.title = all.name;
    button.disabled = all.busy;
    button.dataset.action = 'acknowledge-all';
    button.addEventListener('click', (event) => {
      event.stopPropagation();
      all.act();
    });
    parts.push(button);
  }
  return parts;
}

function makeFlip(text, open, flip) {
  const button = element('button', 'toggle', text);
  button.type = 'button';
  button.ariaExpanded = String(open);
  button.dataset.action = 'incident';
  button.addEventListener('click', (event) => {
    event.stopPropagation();
    flip();
  });
  return button;
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
