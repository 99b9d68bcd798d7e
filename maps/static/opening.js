// The form for an alert that an operator opens by hand, after a telephone call for example: what, how bad, and where.
// The place is a point: where the map was clicked, that of a commune's name, or one that is typed.

import { allCommunes, communeAt, communeOf } from './communes.js';
import { element, SEVERITIES } from './signs.js';
import { addWords, fillWords, words } from './texts.js';

addWords({
  vi: {
    openTitle: 'Mở cảnh báo', openWhat: 'Nội dung (tiếng Việt)', openWhatEn: 'Nội dung (tiếng Anh, nếu có)',
    openHazard: 'Loại', openSeverity: 'Mức', openCommune: 'Phường, xã', openNone: '– chọn, hoặc nhập tọa độ –',
    openLat: 'Vĩ độ (°)', openLon: 'Kinh độ (°)', openHere: 'Mở cảnh báo ở đây',
    hazard_flood: 'Ngập lụt', hazard_traffic: 'Giao thông', hazard_fire: 'Cháy nổ', hazard_storm: 'Mưa bão, lốc',
    hazard_erosion: 'Sạt lở', hazard_power: 'Mất điện', hazard_water: 'Nước sạch', hazard_salinity: 'Xâm nhập mặn',
    hazard_health: 'Y tế', hazard_security: 'An ninh trật tự', hazard_equipment: 'Thiết bị', hazard_other: 'Khác',
  },
  en: {
    openTitle: 'Open an alert', openWhat: 'What (Vietnamese)', openWhatEn: 'What (English, if known)',
    openHazard: 'Kind', openSeverity: 'Severity', openCommune: 'Commune', openNone: '– choose, or enter a point –',
    openLat: 'Latitude (°)', openLon: 'Longitude (°)', openHere: 'Open an alert here',
    hazard_flood: 'Flood', hazard_traffic: 'Traffic', hazard_fire: 'Fire', hazard_storm: 'Storm',
    hazard_erosion: 'Erosion', hazard_power: 'Power cut', hazard_water: 'Water supply', hazard_salinity: 'Salinity',
    hazard_health: 'Health', hazard_security: 'Security', hazard_equipment: 'Equipment', hazard_other: 'Other',
  },
});

// The first four are those of the rules that ship; agencies that are told by hazard see the others where they name them.
const HAZARDS = ['flood', 'traffic', 'salinity', 'equipment', 'fire', 'storm', 'erosion', 'power', 'water', 'health',
  'security', 'other'];

const byId = (id) => document.getElementById(id);
let clicked = null; // {lat, lng}: where the map was clicked, while what was clicked is chosen

/** A place on the map was clicked; null: nothing is chosen any more. */
export const pointAt = (latlng) => {
  clicked = latlng;
};

/** Begin. `send` is called with an opening as POST /api/commands takes it, and what it is in words. */
export function startOpening(send) {
  byId('open-hazard').replaceChildren(...HAZARDS.map((one) => option(one, `hazard_${one}`)));
  byId('open-severity').replaceChildren(...SEVERITIES.map((one) => option(one, one)));
  byId('open-commune').addEventListener('change', () => {
    const its = communeOf(byId('open-commune').value);
    if (its) setPoint(its.anchor);
  });
  for (const id of ['open-lat', 'open-lon']) byId(id).addEventListener('input', showCommune);
  byId('open-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const { lat, lng } = point();
    const vi = byId('open-vi').value.trim();
    const en = byId('open-en').value.trim();
    if (!vi) return;
    byId('opening').close();
    const name = communeAt({ lat, lng })?.name ?? words('outside');
    send({ hazard: byId('open-hazard').value, severity: byId('open-severity').value, lon: lng, lat,
      title: en ? { vi, en } : { vi } }, `${name}, ${vi}`);
  });
}

function option(value, key) {
  const made = element('option');
  made.value = value;
  made.dataset.text = key;
  return made;
}

/** The button that opens the form. */
export function openingButton() {
  const button = element('button', '', words('openTitle'));
  button.type = 'button';
  button.id = 'open-button';
  button.addEventListener('click', showForm);
  return button;
}

/** Show the form, for the place that was clicked where there is one. */
export function showForm() {
  const none = option('', 'openNone');
  byId('open-commune').replaceChildren(none, ...allCommunes().sort((a, b) => a.name.localeCompare(b.name, 'vi'))
    .map(({ code, name }) => {
      const made = element('option', '', name);
      made.value = code;
      return made;
    }));
  fillWords(byId('opening'));
  byId('open-severity').value = 'severe';
  for (const id of ['open-vi', 'open-en']) byId(id).value = '';
  setPoint(clicked);
  showCommune();
  byId('opening').showModal();
  byId('open-vi').focus();
}

function setPoint(at) {
  byId('open-lat').value = at ? at.lat.toFixed(5) : '';
  byId('open-lon').value = at ? at.lng.toFixed(5) : '';
}

const point = () => ({ lat: Number(byId('open-lat').value), lng: Number(byId('open-lon').value) });

function showCommune() {
  byId('open-commune').value = communeAt(point())?.code ?? '';
}
