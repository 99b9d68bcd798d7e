// Which of all that the map could show it shows: by severity and by commune; the layers' control says which streams.
// Filters stand in the address, so that a link shows what its sender saw.

import { allCommunes } from './communes.js';
import { readAddress, writeAddress } from './links.js';
import { element, SEVERITIES, sign } from './signs.js';
import { fillWords, words } from './texts.js';

const byId = (id) => document.getElementById(id);
let changed = () => {};
let severities = new Set(SEVERITIES);
let commune = '';

export const communeFilter = () => commune;

/** Whether an alert or an incident passes the filters. */
export const passes = ({ severity, commune: its, communes = [] }) => severities.has(severity)
  && (!commune || its === commune || communes.includes(commune));

/** Whether a source of this commune passes; one with an alert only where its severity does. */
export const sourcePasses = (its, severity) => (!commune || its === commune) && (!severity || severities.has(severity));

export const isFiltered = () => severities.size < SEVERITIES.length || commune !== '';

/** Begin with what the address says; `onChange` is called whenever filters have changed. */
export function startFilters(onChange, find) {
  changed = onChange;
  byId('filter-severities').replaceChildren(...SEVERITIES.map((severity) => {
    const label = element('label');
    const box = element('input');
    Object.assign(box, { type: 'checkbox', value: severity, id: `filter-${severity}` });
    box.addEventListener('change', take);
    const name = element('span');
    name.dataset.text = severity;
    label.append(box, sign(severity), name);
    return label;
  }));
  byId('filter-commune').addEventListener('change', take);
  byId('filter-reset').addEventListener('click', () => set(new Set(SEVERITIES), ''));
  byId('filter-find').addEventListener('input', () => {
    byId('filter-found').replaceChildren(...find(byId('filter-find').value.trim().toLowerCase()));
  });
  fromAddress();
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
}

/** Take the filters that the address names. */
export function fromAddress() {
  const address = readAddress();
  const asked = address.get('severities') ?? '';
  const named = asked.split(',').filter((one) => SEVERITIES.includes(one));
  severities = new Set(named.length || asked === 'none' ? named : SEVERITIES);
  commune = address.get('in') ?? '';
  show();
  changed();
}

function take() {
  const checked = SEVERITIES.filter((severity) => byId(`filter-${severity}`).checked);
  set(new Set(checked), byId('filter-commune').value);
}

function set(wanted, its) {
  severities = wanted;
  commune = its;
  writeAddress({ severities: severities.size < SEVERITIES.length ? [...severities].join(',') || 'none' : null, in: commune || null });
  show();
  changed();
}

function show() {
  for (const severity of SEVERITIES) byId(`filter-${severity}`).checked = severities.has(severity);
  byId('filter-commune').value = commune;
  const filtered = isFiltered();
  const summary = byId('filters').querySelector('summary');
  summary.textContent = filtered ? `! ${words('filtered')}` : words('filters');
  summary.dataset.text = filtered ? 'filtered' : 'filters';
  byId('filters').classList.toggle('filtered', filtered);
  byId('filter-reset').hidden = !filtered;
  fillWords(byId('filters'));
}
