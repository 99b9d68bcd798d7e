// Which alerts and which signs are shown, in the list and on the map alike: by severity, by stream and by commune.
// Counters, sounds and the alarm rate keep to all of them, and what is hidden is counted beside the list. Filters stand
// in the address, so that a link shows what its sender saw.

import { allCommunes } from './communes.js';
import { liesIn } from './groups.js';
import { readAddress, writeAddress } from './links.js';
import { element, SEVERITIES, sign } from './signs.js';
import { fillWords, words } from './texts.js';

const STREAMS = ['traffic', 'flood', 'camera', 'report'];

const byId = (id) => document.getElementById(id);
const followers = new Set();
let severities = new Set(SEVERITIES);
let streams = new Set(STREAMS);
let commune = '';

export const communeFilter = () => commune;

/** Call whenever filters have changed. */
export const onFilters = (follow) => followers.add(follow);

/** Whether an alert passes the filters. One that rests on no event, such as one opened by hand, is of every stream. */
export const passes = (alert) => severities.has(alert.severity) && (!commune || liesIn(alert, commune))
  && (!alert.streams?.length || alert.streams.some((stream) => streams.has(stream)));

/** Whether a source or a report passes; one with an alert only where its severity does. */
export const sourcePasses = (kind, its, severity) => (!commune || its === commune)
  && (!STREAMS.includes(kind) || streams.has(kind)) && (!severity || severities.has(severity));

export const isFiltered = () => severities.size < SEVERITIES.length || streams.size < STREAMS.length || commune !== '';

/** Begin with what the address says; `find` gives rows for what is looked for. */
export function startFilters(find) {
  // Leaflet's control for layers stands with the filters: one place for what is shown.
  byId('filter-layers').append(document.querySelector('.leaflet-control-layers'));
  byId('filter-severities').append(...SEVERITIES.map((severity) => box(severity, severity, sign(severity))));
  byId('filter-streams').append(...STREAMS.map((stream) => box(stream, `layer_${stream}`)));
  byId('filter-commune').addEventListener('change', take);
  for (const id of ['filter-reset', 'sieve-reset']) byId(id).addEventListener('click', () => set(SEVERITIES, STREAMS, ''));
  byId('filter-find').addEventListener('input', () => {
    byId('filter-found').replaceChildren(...find(byId('filter-find').value.trim().toLowerCase()));
  });
  fromAddress();
}

function box(value, key, ...before) {
  const label = element('label');
  const made = element('input');
  Object.assign(made, { type: 'checkbox', value, id: `filter-${value}` });
  made.addEventListener('change', take);
  const name = element('span');
  name.dataset.text = key;
  label.append(made, ...before, name);
  return label;
}

/** The communes are there to choose from. */
export function listCommunes() {
  const every = element('option');
  every.dataset.text = 'everyCommune';
  every.value = '';
  const options = allCommunes().sort((a, b) => a.name.localeCompare(b.name, 'vi')).map(({ code, name }) => {
    const option = element('option', '', name);
    option.value = code;
    return option;
  });
  byId('filter-commune').replaceChildren(every, ...options);
  byId('filter-commune').value = commune;
  fillWords(byId('filter-commune'));
}

/** Take the filters that the address names. */
export function fromAddress() {
  severities = named('severities', SEVERITIES);
  streams = named('streams', STREAMS);
  commune = readAddress().get('in') ?? '';
  show();
}

// Those of a list that the address names; all where it names none of them.
function named(key, all) {
  const asked = readAddress().get(key) ?? '';
  const found = asked.split(',').filter((one) => all.includes(one));
  return new Set(found.length || asked === 'none' ? found : all);
}

function take() {
  const checked = (all) => all.filter((one) => byId(`filter-${one}`).checked);
  set(checked(SEVERITIES), checked(STREAMS), byId('filter-commune').value);
}

function set(wanted, from, its) {
  [severities, streams, commune] = [new Set(wanted), new Set(from), its];
  const part = (chosen, all) => (chosen.size < all.length ? [...chosen].join(',') || 'none' : null);
  writeAddress({ severities: part(severities, SEVERITIES), streams: part(streams, STREAMS), in: commune || null });
  show();
}

function show() {
  for (const one of SEVERITIES) byId(`filter-${one}`).checked = severities.has(one);
  for (const one of STREAMS) byId(`filter-${one}`).checked = streams.has(one);
  byId('filter-commune').value = commune;
  const filtered = isFiltered();
  const summary = byId('filters').querySelector('summary');
  summary.textContent = filtered ? `! ${words('filtered')}` : words('filters');
  summary.dataset.text = filtered ? 'filtered' : 'filters';
  byId('filters').classList.toggle('filtered', filtered);
  byId('filter-reset').hidden = !filtered;
  for (const follow of followers) follow();
}

/** Say beside the list that it is filtered, and what that hides: the alerts that would be there. */
export function showSieve(hidden) {
  const line = byId('sieve');
  line.hidden = !isFiltered();
  if (line.hidden) return;
  const worst = SEVERITIES.find((severity) => hidden.some((alert) => alert.severity === severity));
  byId('sieve-text').replaceChildren(words(hidden.length ? 'sifted' : 'siftedNone', { n: hidden.length }),
    ...(worst ? [sign(worst)] : []));
}
