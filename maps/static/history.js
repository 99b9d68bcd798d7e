// The wall as it was: a slider over the hours that are kept. While the past is shown it says so, the present goes on
// unseen but is counted and heard, and after some minutes without a hand the page returns to it.

import { element, SEVERITIES, sign } from './signs.js';
import { addWords, hourMinute, moment, words } from './texts.js';
import { onTheme, paint } from './theme.js';

addWords({
  vi: {
    history: 'Xem lại', historyOf: 'Xem lại {from} – {to}', historyTime: 'Thời điểm xem lại',
    past: 'ĐANG XEM QUÁ KHỨ: {time}', meanwhile: 'Hiện tại:', backToNow: 'Trở về hiện tại',
    noHistory: 'Chưa có gì để xem lại', notKnown: 'Không có dữ liệu lúc {time}', notRead: 'Chưa đọc được dữ liệu lúc {time}',
    earlier: '10 phút trước', later: '10 phút sau', worse: 'CÓ CẢNH BÁO KHẨN CẤP MỚI',
    unnamed: 'còn {n} cảnh báo không nêu tên',
  },
  en: {
    history: 'History', historyOf: 'History {from} – {to}', historyTime: 'Time to look at',
    past: 'YOU SEE THE PAST: {time}', meanwhile: 'Now:', backToNow: 'Return to now',
    noHistory: 'There is no history yet', notKnown: 'Nothing is known of {time}', notRead: 'What was at {time} could not be read',
    earlier: '10 minutes earlier', later: '10 minutes later', worse: 'NEW EXTREME ALERT',
    unnamed: '{n} further alerts without a name',
  },
});

const MINUTE_MS = 60000;
const SETTLE_MS = 150; // a slider that is moved asks when it rests
const IDLE_MS = 5 * 60000;
const REFRESH_MS = 20000;

const byId = (id) => document.getElementById(id);

let wall = null;
let shown = false; // the past is shown, as it was at:
let shownAt = 0;
let frames = []; // rows of [minute, extreme, severe, moderate, minor, alarms, communes]
let asked = 0; // requests so far
let settleTimer = 0;
let idleTimer = 0;
let refreshTimer = 0;
let present = {};
let extremeBefore = 0;
let state = () => '';

export const isShown = () => shown;
/** The time that is shown while the past is, ms since 1970. */
export const shownTime = () => shownAt;

/** Begin. `show` is called with the picture of a time that is past, `live` when the present is wanted again. */
export function startHistory({ show, live }) {
  wall = { show, live };
  const button = element('button', 'history-open');
  button.id = 'history-open';
  button.type = 'button';
  button.dataset.text = 'history';
  button.ariaExpanded = 'false';
  button.addEventListener('click', () => (byId('history').hidden ? openBar() : leave()));
  byId('screen-button').before(button);
  document.querySelector('.bottom').before(makeBar());
  byId('banner').before(makeBanner());
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !byId('history').hidden && !document.querySelector('dialog[open]')) leave();
  });
  for (const event of ['pointerdown', 'keydown', 'input']) document.addEventListener(event, stay);
  new ResizeObserver(drawStrip).observe(byId('history-strip'));
  onTheme(drawStrip);
}

function makeBar() {
  const bar = element('section', 'history');
  bar.id = 'history';
  bar.hidden = true;
  bar.dataset.label = 'history';
  const strip = element('canvas', 'history-strip');
  strip.id = 'history-strip';
  strip.ariaHidden = 'true';
  const slider = element('input', 'history-slider');
  slider.id = 'history-slider';
  slider.type = 'range';
  slider.step = '1';
  slider.dataset.label = 'historyTime';
  slider.addEventListener('input', move);
  const track = element('div', 'history-track');
  track.append(strip, slider);
  const steps = [['earlier', '◀', -10], ['later', '▶', 10]].map(([key, arrow, minutes]) => {
    const step = element('button', `history-${key}`, arrow);
    step.type = 'button';
    step.dataset.label = key;
    step.addEventListener('click', () => {
      slider.value = String(Number(slider.value) + minutes);
      move();
    });
    return step;
  });
  const time = element('output', 'history-time');
  time.id = 'history-time';
  const back = element('button', 'history-back');
  back.type = 'button';
  back.dataset.text = 'backToNow';
  back.addEventListener('click', leave);
  bar.append(steps[0], track, steps[1], time, back);
  return bar;
}

function makeBanner() {
  const banner = element('div', 'banner past-banner');
  banner.id = 'past';
  banner.role = 'status';
  banner.hidden = true;
  const back = element('button', 'history-back');
  back.type = 'button';
  back.dataset.text = 'backToNow';
  back.addEventListener('click', leave);
  const text = element('span');
  text.id = 'past-text';
  const now = element('span', 'past-now');
  now.id = 'past-now';
  const worse = element('strong', 'past-worse');
  worse.id = 'past-worse';
  worse.role = 'alert';
  banner.append(text, now, worse, back);
  return banner;
}

async function openBar() {
  byId('history').hidden = false;
  byId('history-open').ariaExpanded = 'true';
  stay();
  await readFrames();
  refreshTimer = setInterval(readFrames, REFRESH_MS);
  if (frames.length && !shown) byId('history-slider').value = byId('history-slider').max;
  say();
  byId('history-slider').focus();
}

async function readFrames() {
  const answer = await fetch('/api/history').catch(() => null);
  frames = answer?.ok ? (await answer.json()).frames : frames;
  const slider = byId('history-slider');
  slider.disabled = frames.length === 0;
  if (frames.length) {
    const value = slider.value;
    slider.min = String(frames[0][0]);
    slider.max = String(frames[frames.length - 1][0]);
    if (shown) slider.value = value;
  }
  drawStrip();
  if (!shown) say();
}

function move() {
  const time = Number(byId('history-slider').value) * MINUTE_MS;
  state = () => timeOf(time);
  say();
  clearTimeout(settleTimer);
  settleTimer = setTimeout(() => look(time), SETTLE_MS);
}

async function look(time) {
  const mine = ++asked;
  const answer = await fetch(`/api/history/at?t=${time}`).catch(() => null);
  const picture = answer?.ok ? await answer.json() : null;
  if (mine !== asked || byId('history').hidden) return; // another time is wanted by now
  if (!picture) {
    state = () => words(answer?.status === 404 ? 'notKnown' : 'notRead', { time: timeOf(time) });
    say();
    return;
  }
  shown = true;
  document.body.classList.add('past');
  byId('past').hidden = false;
  shownAt = picture.event_ms;
  const { unnamed } = picture;
  state = () => timeOf(shownAt) + (unnamed ? ` · ${words('unnamed', { n: unnamed })}` : '');
  wall.show(picture); // which also says it
}

const timeOf = (ms) => moment(ms, null);

/** Return to the present. */
function leave() {
  ++asked;
  clearTimeout(settleTimer);
  clearTimeout(idleTimer);
  clearInterval(refreshTimer);
  const was = shown;
  shown = false;
  state = () => '';
  document.body.classList.remove('past');
  byId('history').hidden = byId('past').hidden = true;
  byId('past-worse').textContent = '';
  byId('history-open').ariaExpanded = 'false';
  byId('history-open').focus();
  if (was) wall.live();
}

// Nobody may be at the keyboard: a wall must not stay in the past.
function stay() {
  clearTimeout(idleTimer);
  if (wall && !byId('history').hidden) idleTimer = setTimeout(leave, IDLE_MS);
}

/** What is open now, by severity, while the past is shown or not. */
export function meanwhile(counts) {
  if (shown && (counts.extreme ?? 0) > extremeBefore) byId('past-worse').textContent = words('worse');
  extremeBefore = counts.extreme ?? 0;
  present = counts;
  if (shown) showPresent();
}

function showPresent() {
  const parts = [element('span', '', words('meanwhile'))];
  for (const severity of SEVERITIES) parts.push(sign(severity), element('strong', '', String(present[severity] ?? 0)));
  byId('past-now').replaceChildren(...parts);
}

/** Say it, in the language that holds now. */
export function say() {
  const time = byId('history-time');
  const text = frames.length ? state() : words('noHistory');
  time.textContent = text;
  const slider = byId('history-slider');
  slider.ariaValueText = frames.length ? timeOf(Number(slider.value) * MINUTE_MS) : '';
  if (shown) {
    byId('past-text').textContent = words('past', { time: timeOf(shownAt) });
    showPresent();
  }
}

const HOURS = [1, 2, 3, 6, 12, 24]; // between two marks of the strip's axis
const MARK_REM = 4; // the least room that one needs

// Whole hours of local time, as many as there is room for.
function drawAxis(pen, first, span, width, height, rem) {
  const step = HOURS.find((hours) => (hours * 60 * width) / span >= MARK_REM * rem) ?? HOURS[HOURS.length - 1];
  pen.fillStyle = pen.strokeStyle = paint('quiet');
  pen.font = `400 ${rem}px "Be Vietnam Pro", sans-serif`;
  pen.textAlign = 'center';
  pen.textBaseline = 'alphabetic';
  const ahead = 7 * 60; // Asia/Ho_Chi_Minh
  const every = step * 60;
  for (let minute = Math.ceil((first + ahead) / every) * every - ahead; minute <= first + span; minute += every) {
    const x = ((minute - first) / span) * width;
    pen.fillRect(Math.round(x), height, 1, 0.3 * rem);
    if (x > 2 * rem && x < width - 2 * rem) pen.fillText(hourMinute(minute * MINUTE_MS), x, height + 1.2 * rem);
  }
}

// Minute by minute how many alerts were open, the worst at the bottom: where to look.
function drawStrip() {
  const strip = byId('history-strip');
  const { clientWidth: width, clientHeight: whole } = strip;
  if (!width || !frames.length) return;
  const scale = window.devicePixelRatio || 1;
  strip.width = width * scale;
  strip.height = whole * scale;
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  const height = whole - 1.4 * rem;
  const pen = strip.getContext('2d');
  pen.scale(scale, scale);
  pen.fillStyle = paint('map-fill');
  pen.fillRect(0, 0, width, height);
  const first = frames[0][0];
  const span = Math.max(1, frames[frames.length - 1][0] - first);
  drawAxis(pen, first, span, width, height, rem);
  const top = Math.max(6, ...frames.map((row) => row[1] + row[2] + row[3] + row[4]));
  const column = Math.max(1, width / span);
  for (const row of frames) {
    let y = height;
    SEVERITIES.forEach((severity, index) => {
      const tall = (row[index + 1] / top) * height;
      if (!tall) return;
      pen.fillStyle = paint(severity);
      pen.fillRect(((row[0] - first) / span) * (width - column), y - tall, column + 0.5, tall);
      y -= tall;
    });
  }
}
