// Operators at the wall: signing in, giving commands, and what became of them. A command is pending from the click
// until its outcome comes with the changes of the picture; what the alert is then, its own record says.

import { openingButton, startOpening } from './opening.js';
import { plain } from './plain.js';
import { element } from './signs.js';
import { reasonWords, words } from './texts.js';

const LATE_MS = 10000; // after so long without an outcome the page says so
const FORGOTTEN_MS = 600000;
const NOTICE_MS = 15000;
const SHELVE_MINUTES = 30;
const EARLY_MAX = 100;

const byId = (id) => document.getElementById(id);

let me = { sign_in: false, to_see: false, operator: null };
let known = false; // whether the server has said who is signed in
let changed = () => {};
let pending = []; // {id, alert, about, action, at, late, group}; the id comes with the server's answer
const early = new Map(); // outcomes by command, in case one is quicker than the answer that gives its id
let notice = { text: () => '', bad: false, at: 0 };
let saying = null; // what the dialog for a text will send

/** Whether somebody is signed in who may handle alerts. */
export const mayAct = () => Boolean(me.operator) && me.operator.role !== 'viewer';

/** Ask who is signed in, and listen to the dialogs. `onChange` is called when rows may look different. */
export function start(onChange) {
  changed = onChange;
  for (const dialog of document.querySelectorAll('dialog')) {
    dialog.querySelector('[data-close]').addEventListener('click', () => dialog.close());
  }
  byId('sign-in-form').addEventListener('submit', (event) => {
    event.preventDefault();
    signIn();
  });
  byId('say-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = byId('say-text').value.trim();
    if (!text || !saying) return;
    byId('say').close();
    give(saying.action, saying.alert, { text }, saying.about);
  });
  startOpening((opening, about) => give('open', { id: '' }, { opening }, about));
  askWho();
}

/** Ask who is signed in. Where nothing is shown without, whoever is not is asked to. */
export async function askWho() {
  const answer = await ask('GET', '/api/me');
  if (answer.status === 200) take(answer.content);
}

function take(content) {
  me = content;
  known = true;
  showAccount();
  changed();
  if (me.to_see && !me.operator && !byId('sign-in').open) openSignIn();
}

/** What the server answers; status 0 where it does not. */
async function ask(method, url, body) {
  try {
    const answer = await fetch(url, body === undefined ? { method } : {
      method,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: answer.status, content: await answer.json() };
  } catch {
    return { status: 0, content: { error: 'unreachable' } };
  }
}

// The account

export function showAccount() {
  const account = byId('account');
  if (!known) return;
  if (!me.sign_in) {
    account.replaceChildren(element('span', '', words('readOnly')));
    return;
  }
  const button = element('button', '', words(me.operator ? 'signOut' : 'signIn'));
  button.type = 'button';
  button.id = 'account-button';
  button.addEventListener('click', me.operator ? signOut : openSignIn);
  const parts = [button];
  if (me.operator) parts.unshift(element('strong', '', me.operator.name), element('span', '', words(me.operator.role)));
  if (mayAct()) parts.splice(2, 0, openingButton());
  account.replaceChildren(...parts);
}

function openSignIn() {
  byId('sign-in-problem').textContent = '';
  byId('sign-in-password').value = '';
  byId('sign-in').showModal();
  byId(byId('sign-in-id').value ? 'sign-in-password' : 'sign-in-id').focus();
}

async function signIn() {
  const password = byId('sign-in-password').value;
  const { status, content } = await ask('POST', '/api/sign-in', { id: byId('sign-in-id').value.trim(), password });
  if (status === 200) {
    byId('sign-in-password').value = '';
    byId('sign-in').close();
    take(content);
  } else {
    byId('sign-in-problem').textContent = reasonWords(content.error, content);
    byId('sign-in-password').select();
  }
}

async function signOut() {
  const { status, content } = await ask('POST', '/api/sign-out', {});
  byId('sign-in-id').value = ''; // the next one at this desk is somebody else
  if (status === 200 && content.to_see) location.reload(); // nothing of what was seen stays
  else if (status === 200) take(content);
  else say(() => reasonWords(content.error), true);
}

// Commands

/** The buttons of an alert for whoever is signed in: {action, to, busy}. */
export function buttonsFor(alert) {
  if (!mayAct()) return [];
  const { operator } = me;
  const actions = [];
  const add = (action, to = '') => actions.push({ action, to, busy: isPending(alert.id, action) });
  if (alert.shelved_until !== null) add('unshelve');
  else {
    if (!alert.acknowledged) add('acknowledge');
    add('shelve');
  }
  if (alert.assigned !== operator.id) add('assign', operator.id);
  add('comment');
  add('close');
  if (operator.role === 'supervisor') for (const agency of alert.awaiting) add('release', agency);
  return actions;
}

/**
 * The button that acknowledges the alerts of an incident together: {text, name, busy, act}; null where there is no need, or
 * nobody who may. Each alert gets a command of its own: one that has changed meanwhile is refused alone.
 */
export function togetherFor(alerts, about) {
  const waiting = alerts.filter((alert) => !alert.acknowledged);
  if (!mayAct() || waiting.length < 2) return null;
  const n = waiting.length;
  return { text: words('togetherShort', { n }), name: words('together', { n }), busy: waiting.every(({ id }) => isPending(id, 'acknowledge')),
    act: () => giveAll('acknowledge', waiting, about) };
}

async function giveAll(action, alerts, about) {
  const group = { action, about, done: 0, refused: 0, waiting: alerts.length };
  for (const alert of alerts) {
    if (!mayAct()) break; // the session has ended: that was said
    if (isPending(alert.id, action)) group.waiting -= 1;
    else await give(action, alert, {}, about, group);
  }
}

const isPending = (alert, action) => pending.some((one) => one.alert === alert && one.action === action && !one.late);

/** What an alert's commands wait for, in words: {text, late}. */
export const pendingOf = (alert) => pending.filter((one) => one.alert === alert).map(({ action, late }) => ({
  text: words(late ? 'pendingLate' : 'pending', { action: words(action), n: LATE_MS / 1000 }),
  late,
}));

/** An operator clicked a button. `about` names the alert in words. */
export function act(action, alert, to, about) {
  if (action === 'comment' || action === 'close') {
    saying = { action, alert, about };
    byId('say-title').textContent = words(action === 'close' ? 'sayClose' : 'sayComment');
    byId('say-about').textContent = plain(about);
    byId('say-text').value = '';
    byId('say').showModal();
    byId('say-text').focus();
  } else if (action === 'shelve') give(action, alert, { minutes: SHELVE_MINUTES }, about);
  else give(action, alert, to ? { to } : {}, about);
}

async function give(action, alert, more, about, group = null) {
  const one = { id: null, alert: alert.id, about, action, at: performance.now(), late: false, group };
  pending.push(one);
  changed();
  const body = { action, ...(alert.id ? { alert: alert.id, sequence: alert.sequence } : {}), ...more };
  const { status, content } = await ask('POST', '/api/commands', body);
  one.id = content.id ?? null;
  if (status === 202) {
    if (early.has(one.id)) settle(one, early.get(one.id));
  } else if (status === 504) {
    one.late = true;
    fail(one, content);
  } else {
    drop(one);
    fail(one, content);
    if (status === 401) {
      me = { ...me, operator: null };
      showAccount();
      openSignIn();
    }
  }
  changed();
}

const drop = (one) => {
  pending = pending.filter((other) => other !== one);
};

function fail({ action, about }, content) {
  say(() => words('failed', { action: words(action), alert: about, reason: reasonWords(content.error, content) }), true);
}

/** What became of commands, of anybody's. */
export function takeOutcomes(outcomes) {
  let mine = false;
  for (const outcome of outcomes ?? []) {
    const one = pending.find((other) => other.id === outcome.id);
    if (one) {
      settle(one, outcome);
      mine = true;
    } else {
      early.set(outcome.id, outcome);
      if (early.size > EARLY_MAX) early.delete(early.keys().next().value);
    }
  }
  if (mine) changed();
}

function settle(one, outcome) {
  drop(one);
  const { action, about, group } = one;
  if (group) {
    group[outcome.outcome === 'done' ? 'done' : 'refused'] += 1;
    group.waiting -= 1;
    say(() => words('allOf', { what: `${words(action)} – ${about}`, ...group }), group.refused > 0);
  } else if (outcome.outcome === 'done') say(() => words('done', { action: words(action), alert: about }), false);
  else {
    say(() => words('refused', { action: words(action), alert: about, reason: reasonWords(outcome.reason) }), true);
  }
}

// Notices

/** Show a notice for a while. `text` gives its words in the language of the moment. */
export function say(text, bad) {
  notice = { text, bad, at: performance.now() };
  showNotice();
}

function showNotice() {
  const place = byId('notice');
  const text = notice.text();
  place.classList.toggle('bad', notice.bad);
  if (place.textContent !== text) place.textContent = text;
}

/** Called now and then: says what has waited too long, and takes old notices away. */
export function watch() {
  const now = performance.now();
  let late = false;
  for (const one of pending) {
    if (one.late || now - one.at < LATE_MS) continue;
    one.late = true;
    late = true;
  }
  pending = pending.filter((one) => now - one.at < FORGOTTEN_MS);
  if (notice.at && now - notice.at > NOTICE_MS) notice = { text: () => '', bad: false, at: 0 };
  showNotice();
  if (late) changed();
}
