// What one screen shows: everything, the map, the list, incidents, or one commune. Each has an address of its own, so
// that several screens need no hand: ?view=map, ?view=list, ?view=incidents, ?view=commune:CODE.
// On a phone list and map are tabs, the list first.

import { communeOf } from './communes.js';
import { askedView, inKiosk } from './screen.js';

const KINDS = ['all', 'map', 'list', 'incidents', 'commune'];
const byId = (id) => document.getElementById(id);

/** The view that the address asks for: {kind, commune}; null where it asks for one that does not exist. */
export function viewOf(text) {
  const [kind, commune = ''] = (text || 'all').split(':', 2);
  if (!KINDS.includes(kind) || (kind === 'commune') !== (commune !== '')) return null;
  return { kind, commune };
}

let view = viewOf(askedView) ?? { kind: 'all', commune: '' };

export const currentView = () => view;

/** Lay the page out for its view. `unknown` is called with what the address asks for in vain. */
export function startView(unknown) {
  document.body.classList.toggle('kiosk', inKiosk);
  document.body.dataset.view = view.kind;
  showTab(view.kind === 'map' || view.kind === 'commune' ? 'map' : 'list');
  if (viewOf(askedView) === null) unknown(askedView);
  byId('tab-list').addEventListener('click', () => showTab('list'));
  byId('tab-map').addEventListener('click', () => showTab('map'));
}

/** Name the view's commune, once the map has its communes; where there is none of that code everything is shown. */
export function nameCommune(unknown) {
  if (!view.commune) return;
  const its = communeOf(view.commune);
  if (its) byId('where').textContent = its.name;
  else {
    view = { kind: 'all', commune: '' };
    document.body.dataset.view = 'all';
    unknown(askedView);
  }
}

/** Bring a tab to the front: list or map. Where the screen has room for both nothing changes. */
export function showTab(tab) {
  document.body.dataset.tab = tab;
  byId('tab-list').ariaPressed = String(tab === 'list');
  byId('tab-map').ariaPressed = String(tab === 'map');
}
