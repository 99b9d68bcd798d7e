// The wall: follows the server's events, keeps what they say, and shows it.

import * as city from './city.js';
import { onFilters, passes, showSieve } from './filters.js';
import * as history from './history.js';
import { isAside, liesIn } from './groups.js';
import { insetDrawn, plan, startInset } from './inset.js';
import { isAwake, startKiosk } from './kiosk.js';
import * as operating from './operating.js';
import * as panel from './panel.js';
import { saveSettings, screenSettings } from './screen.js';
import { applySizes } from './sizes.js';
import * as sounding from './sound.js';
import { applyTheme } from './theme.js';
import { currentView, nameCommune, showTab, startView } from './views.js';
import { clockTime, currentLanguage, fillWords, longDate, setLanguage, words } from './texts.js';

const REPORT_MS = 30 * 60000;
const HEARD_MS = 3000; // the server speaks each second
const REOPEN_MS = 8000; // a connection that is silent for so long is made anew
const SILENT_S = 4; // with the half second until the page looks again, old data shows within five seconds
const HOME_MS = 90000; // a map that was zoomed in returns by itself: nobody may be at the keyboard

const byId = (id) => document.getElementById(id);

let alerts = new Map();
let present = alerts; // the alerts of now, also while the past is shown
let incidents = new Map();
let ended = [];
let reports = new Map();
let latest = { counts: {}, aside: {}, stats: {}, event_ms: null, simulated: false, configuration_error: null };
let asideShown = false;
let beat = null;
let beatAt = 0;
let heardAt = performance.now();
let page = null;
let stream = null;
let isWhole = false; // whether a snapshot and what came after it have been taken: the first beat behind it says so
let openedAt = 0;
let homeTimer = 0;

const now = () => latest.event_ms;

function open() {
  stream?.close();
  openedAt = performance.now();
  stream = new EventSource('/events');
  stream.addEventListener('snapshot', hear(takePresent));
  stream.addEventListener('changes', hear(takeChanges));
  stream.addEventListener('readings', hear((readings) => history.isShown() || city.showReadings(readings)));
  stream.addEventListener('beat', hear(takeBeat));
  // The server has dropped us because we were slow: what follows is a new connection with a snapshot.
  stream.addEventListener('resync', open);
}

const hear = (take) => (event) => {
  heardAt = performance.now();
  take(JSON.parse(event.data));
};

// While the past is shown the present goes on unseen: it is only counted and heard.
function goOn(counts) {
  history.meanwhile(counts);
  if (history.isShown()) sound([...present.values()]);
  return history.isShown();
}

// A snapshot may be seconds old, with what changed since right behind it: nothing sounds for what is over by then.
function sound(its) {
  sounding.take(isWhole ? its.filter((alert) => !isAside(alert)) : null);
}

function takePresent(snapshot) {
  isWhole = false;
  present = new Map(snapshot.alerts.map((alert) => [alert.id, alert]));
  if (!goOn(snapshot.counts)) takeSnapshot(snapshot);
}

function takeSnapshot(snapshot) {
  if (page !== null && snapshot.page !== page) location.reload(); // another version of the wall, or other boundaries
  page = snapshot.page;
  alerts = history.isShown() ? new Map(snapshot.alerts.map((alert) => [alert.id, alert])) : present;
  incidents = new Map((snapshot.incidents ?? []).map((incident) => [incident.id, incident]));
  ended = snapshot.ended;
  reports = new Map(snapshot.reports.map((report) => [report.id, report]));
  latest = snapshot;
  operating.takeOutcomes(snapshot.outcomes);
  city.showSources(snapshot.sources, true);
  city.showIncidents(snapshot.incidents, [], true);
  city.showReports(snapshot.reports, true, oldestReport(), now);
  showAll();
  city.showDetails();
}

function takeChanges(changes) {
  for (const alert of changes.alerts) {
    if (alert.state === 'open') present.set(alert.id, alert);
    else present.delete(alert.id);
  }
  for (const id of changes.gone) present.delete(id);
  if (goOn(changes.counts)) return;
  for (const incident of changes.incidents ?? []) {
    if (incident.state === 'closed') incidents.delete(incident.id);
    else incidents.set(incident.id, incident);
  }
  for (const id of changes.incidents_gone ?? []) incidents.delete(id);
  if (changes.ended) ended = changes.ended;
  for (const report of changes.reports) reports.set(report.id, report);
  latest = { ...latest, ...changes };
  operating.takeOutcomes(changes.outcomes);
  const oldest = oldestReport();
  for (const [id, report] of reports) if (report.time < oldest) reports.delete(id);
  city.showSources(changes.sources, false);
  city.showIncidents(changes.incidents, changes.incidents_gone, false);
  city.showReports(changes.reports, false, oldest, now);
  if (changes.alerts.length || changes.gone.length || changes.sources.length || changes.incidents?.length) showAlerts();
  if (changes.alerts.length || changes.gone.length) panel.showCounters(latest.counts);
  if (changes.ended) panel.showEnded(ended.filter(passes), now());
  showMoment();
}

const oldestReport = () => (latest.event_ms === null ? -Infinity : latest.event_ms - REPORT_MS);

function takeBeat(next) {
  if (!isWhole) {
    isWhole = true;
    if (history.isShown()) sound([...present.values()]);
    else showAlerts();
  }
  beat = next;
  beatAt = performance.now();
  if (beat.event_ms !== null && !history.isShown()) latest.event_ms = beat.event_ms;
  showMoment();
  panel.showTimes(now());
  showState();
}

function showAll() {
  fillWords();
  byId('title').textContent = document.title = byId('title').dataset[currentLanguage()];
  byId('language').textContent = words('language');
  showSound();
  city.showBlind();
  panel.showCounters(latest.counts);
  panel.showEnded(ended.filter(passes), now());
  operating.showAccount();
  showAlerts();
  showMoment();
  showState();
  history.say();
}

// What is suppressed or shelved asks for no attention: it is counted, and shown to whoever wants to see it.
function showAlerts() {
  const { kind, commune } = currentView();
  const all = [...alerts.values()];
  const its = commune ? all.filter((alert) => liesIn(alert, commune)) : all;
  const list = its.filter(passes);
  panel.showAlerts(list.filter((alert) => !isAside(alert)), asideShown ? list.filter(isAside) : [], now(), choose,
    operating, { incidents, alone: kind === 'incidents' });
  showSieve(its.filter((alert) => !isAside(alert) && !passes(alert)));
  panel.showAside(latest.aside, asideShown);
  document.body.classList.toggle('all-simulated', all.length > 0 && all.every((alert) => alert.simulated));
  const calling = all.filter((alert) => !isAside(alert));
  city.showAlerts(calling);
  if (!history.isShown()) sound(its);
}

function choose(alert) {
  if (!city.zoomTo(alert)) return;
  showTab('map');
  document.body.classList.add('away');
  byId('home').hidden = false;
  clearTimeout(homeTimer);
  homeTimer = setTimeout(goHome, HOME_MS);
}

function goHome() {
  clearTimeout(homeTimer);
  byId('home').hidden = true;
  document.body.classList.remove('away');
  showTab(currentView().kind === 'map' ? 'map' : 'list');
  if (currentView().commune) city.zoomTo({ commune: currentView().commune });
  else city.fitHome();
}

// Nobody has touched a kiosk for a while.
function rest() {
  panel.atRest();
  asideShown = false;
  showAlerts();
  goHome();
}

function showSound() {
  const state = sounding.state();
  const button = byId('sound');
  button.className = `sound ${state}`;
  button.ariaPressed = String(state === 'on');
  button.textContent = `♪ ${words(`sound_${state}`)}`;
}

// How this screen shows: its distance, its size, its theme.
function applyScreen() {
  applyTheme(screenSettings().theme);
  fit();
  if (document.documentElement.dataset.far === 'short') operating.say(() => words('tooFar'), true);
}

function fit() {
  applySizes(screenSettings());
  plan();
  panel.showBelow();
}

function openScreen() {
  const { distance, inches, theme } = screenSettings();
  byId('screen-distance').value = distance ?? '';
  byId('screen-inches').value = inches ?? '';
  byId('screen-theme').value = theme;
  byId('this-screen').showModal();
}

function keepScreen(event) {
  event.preventDefault();
  byId('this-screen').close();
  const kept = saveSettings({ distance: byId('screen-distance').value || null, inches: byId('screen-inches').value || null,
    theme: byId('screen-theme').value });
  applyScreen();
  if (!kept) operating.say(() => words('notSaved'), true);
}

function showMoment() {
  const time = now();
  byId('clock').textContent = time === null ? '--:--:--' : clockTime(time);
  byId('date').textContent = time === null ? '' : longDate(time);
  byId('simulated').hidden = !latest.simulated;
  panel.showFigures(latest.stats);
  panel.showRate(latest.stats);
  let newest = null;
  for (const report of reports.values()) if (newest === null || report.time >= newest.time) newest = report;
  panel.showLatestReport(newest);
}

// Old data shows: whatever stands between an event and this screen, the operator reads it here.
function showState() {
  const unheard = performance.now() - heardAt;
  const silence = beat?.silence_s ?? null;
  const seconds = silence === null ? null : Math.round(silence + (performance.now() - beatAt) / 1000);
  let text = '';
  if (unheard > HEARD_MS) text = words('lost', { n: Math.round(unheard / 1000) });
  else if (beat?.state === 'lost') text = words('broker');
  else if (beat?.state === 'restoring') text = words('restoring');
  else if (beat && silence === null) text = words('noClock');
  else if (beat && seconds > SILENT_S) text = words('silent', { n: seconds });
  const banner = byId('banner');
  banner.hidden = text === '';
  if (banner.textContent !== text) banner.textContent = text;
  const error = latest.configuration_error;
  const wrong = error ? words('configurationError', { where: error.where, what: error.what }) : '';
  const lesser = byId('configuration-error');
  lesser.hidden = wrong === '';
  if (lesser.textContent !== wrong) lesser.textContent = wrong;
  const age = byId('age');
  age.textContent = seconds === null ? words('noAge') : words('age', { n: seconds });
  age.classList.toggle('old', text !== '');
}

function watch() {
  showState();
  operating.watch();
  const quiet = performance.now() - Math.max(heardAt, openedAt);
  // EventSource tries again by itself, except after an answer that is no stream and on a connection that hangs.
  if (quiet > REOPEN_MS || (stream.readyState === EventSource.CLOSED && quiet > 1000)) {
    if (stream.readyState === EventSource.CLOSED) operating.askWho(); // perhaps the session has ended
    open();
  }
}

byId('language').addEventListener('click', () => {
  setLanguage(words('otherLanguage'));
  showAll();
});
byId('home').addEventListener('click', goHome);
byId('sound').addEventListener('click', sounding.flip);
byId('screen-button').addEventListener('click', openScreen);
byId('screen-form').addEventListener('submit', keepScreen);
byId('alerts').addEventListener('scroll', panel.showBelow, { passive: true });
window.addEventListener('resize', fit);
new ResizeObserver(panel.showBelow).observe(byId('alerts')); // what stands above it may grow
byId('aside').addEventListener('click', () => {
  asideShown = !asideShown;
  showAlerts();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) goHome();
});

window.wall = { drawn: city.drawn, language: currentLanguage, inset: insetDrawn, sound: sounding.soundsPlayed, awake: isAwake };
onFilters(() => {
  panel.showEnded(ended.filter(passes), now());
  showAlerts();
});
history.startHistory({ show: takeSnapshot, live: open });
applyScreen();
const noView = (view) => operating.say(() => words('noView', { view }), true);
startView(noView);
showAll();
operating.start(() => {
  showAlerts();
  city.showDetails();
});
sounding.start(showSound);
startKiosk(rest);
city.loadCommunes(document.body.dataset.boundaries).then(() => {
  nameCommune(noView);
  showAlerts();
  if (currentView().commune) goHome();
  document.body.classList.add('ready');
  startInset((commune) => choose({ commune, lat: null, lon: null }));
});
open();
setInterval(watch, 500);
