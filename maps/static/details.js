// What is known of one alert, incident, commune or source, beside the map. Texts of events only ever become
// textContent.

import { liesIn } from './groups.js';
import { chooseInAddress } from './links.js';
import { DOUBTFUL, severityOf, SILENT } from './marks.js';
import { showForm } from './opening.js';
import { mayAct } from './operating.js';
import { element, sign } from './signs.js';
import { amount, inLanguage, measured, moment, number, since, unitOf, words } from './texts.js';

const byId = (id) => document.getElementById(id);
// {alerts(), incident(id), commune(code), source(id), now(), past(), choose(kind, id), closed()}; past() is the time that
// is shown, ms since 1970, while it is not now.
let tools = null;
let chosen = null; // {kind, id}
let turn = 0; // an answer that comes after another choice is no longer wanted
let written = '';

export function startDetails(its) {
  tools = its;
  byId('details-close').addEventListener('click', () => tools.closed());
}

export const chosenNow = () => chosen;

/** Show one of them, and let the address name it. */
export function openDetails(kind, id) {
  if (chosen?.kind !== kind || chosen.id !== id) written = '';
  chosen = { kind, id };
  chooseInAddress(kind, id);
  return refreshDetails();
}

export function closeDetails() {
  if (!chosen) return;
  chosen = null;
  turn += 1;
  written = '';
  chooseInAddress(null, null);
  byId('details').hidden = true;
}

/** Bring what is shown up to date. */
export async function refreshDetails() {
  if (!chosen) return;
  turn += 1;
  const mine = turn;
  const { kind, id } = chosen;
  const parts = await PARTS[kind](id) ?? [heading(words('details')), element('p', 'quiet', words('gone', { what: id }))];
  if (mine !== turn) return;
  const panel = byId('details');
  const frame = element('div', 'detail');
  frame.append(...parts);
  // A text that stays the same is not written again: it may be being read, or a link in it have the focus.
  const now = `${kind} ${id} ${frame.textContent}`;
  panel.hidden = false;
  if (now === written) return;
  written = now;
  const scrolled = byId('details-parts').scrollTop;
  byId('details-parts').replaceChildren(frame);
  byId('details-parts').scrollTop = scrolled;
}

const ask = async (what, id) => {
  const past = tools.past();
  const its = `id=${encodeURIComponent(id)}`;
  try {
    const answer = await fetch(past === null ? `/api/${what}?${its}` : `/api/history/${what}?t=${past}&${its}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null; // the server is away: the banner says so
  }
};

const PARTS = {
  async alert(id) {
    const alert = await ask('alert', id);
    if (!alert) return null;
    const now = tools.now();
    const label = inLanguage(alert.label);
    const value = (one) => (one === null ? '' : amount(alert, one));
    const parts = [
      heading((label ? `${label} · ` : '') + inLanguage(alert.title), alert.severity),
      element('p', 'place', alert.commune_name || words('outside')),
      facts([
        ['state', words(alert.state === 'open' ? alert.severity : alert.state)],
        ['source', inLanguage(alert.subject_name) || alert.subject],
        ['valueNow', value(alert.value)],
        ['bound', value(alert.bound)],
        ['peak', alert.peak === null ? '' : `${value(alert.peak)}${alert.peaked ? ` · ${moment(alert.peaked, now)}` : ''}`],
        ['began', ago(alert.started, now)],
        ['changed', `${moment(alert.time, now)} · ${alert.sequence}`],
        ['rule', words('ruleVersion', { rule: alert.rule, version: alert.rule_version })],
        ['citation', alert.citation],
        ['boundarySet', alert.boundaries],
      ]),
    ];
    if (alert.doubts.length) parts.push(element('p', 'doubts', `? ${words('doubted', { why: doubtWords(alert.doubts) })}`));
    if (alert.certainty !== 'observed') parts.push(element('p', 'doubts', `~ ${words(alert.certainty)}`));
    parts.push(links([['source', alert.subject], ['commune', alert.commune], ['incident', alert.incident]]));
    parts.push(element('h3', '', words(alert.evidence.length ? 'evidence' : 'noEvidence', { n: alert.evidence.length })));
    parts.push(list(alert.evidence.map((one) => {
      const row = element('li');
      row.append(element('strong', '', one.value === null ? words(`layer_${one.stream}`) : measured(one.value, alert.unit)),
        element('span', '', ` ${moment(one.time, now)} · `), link('source', one.source),
        element('code', '', one.event));
      if (one.doubts.length) row.append(element('span', 'doubts', `? ${doubtWords(one.doubts)}`));
      return row;
    })));
    if (alert.said?.length) parts.push(element('h3', '', words('said')), list(alert.said.map(({ by, time, text }) => {
      const row = element('li');
      row.append(element('strong', '', by), element('span', '', moment(time, now)), element('p', 'said', text));
      return row;
    })));
    if (alert.simulated) parts.push(element('em', '', words('simulatedShort')));
    return parts;
  },

  async incident(id) {
    const incident = tools.incident(id);
    if (!incident) return null;
    const now = tools.now();
    const units = new Map(tools.alerts().map((alert) => [alert.id, alert]));
    const its = units.get(incident.members[0]?.alert) ?? { unit: '', measure: '' };
    const evidence = Object.entries(incident.evidence).map(([stream, n]) => `${words(`layer_${stream}`)} ${n}`).join(' · ');
    return [
      heading(inLanguage(incident.title), incident.severity),
      element('p', 'place', incident.communes.map((code) => tools.commune(code)?.name ?? code).join(', ')),
      facts([
        ['state', words(incident.state === 'open' ? 'openIncident' : 'quietIncident')],
        ['began', ago(incident.started, now)],
        ['changed', moment(incident.time, now)],
        ['evidenceOf', evidence],
      ]),
      ...(incident.peaks.length ? [element('h3', '', words('highWater')), list(incident.peaks.map((peak) => {
        const row = element('li');
        row.append(sign(peak.severity), element('strong', '', peak.value === null ? '' : amount(its, peak.value)),
          element('span', '', ` ${peak.time ? moment(peak.time, now) : ''} · `), link('source', peak.subject));
        return row;
      }))] : []),
      element('h3', '', words('member')),
      list(incident.members.map((member) => {
        const row = element('li', member.until === null ? '' : 'over');
        row.append(sign(member.severity), link('alert', member.alert, alertWords(units.get(member.alert)) || member.subject),
          element('span', '', ` ${moment(member.since, now)}${member.until === null ? '' : `–${moment(member.until, now)}`}`));
        return row;
      })),
    ];
  },

  async commune(code) {
    const commune = tools.commune(code);
    if (!commune) return null;
    const [live, all] = commune.coverage;
    const open = tools.alerts().filter((alert) => liesIn(alert, code));
    const parts = [
      heading(commune.name, commune.severity),
      element('p', live ? 'place' : 'doubts', words(live ? 'watched' : all ? 'unwatched' : 'noSensors', { live, all })),
      element('h3', '', words(open.length ? 'communeAlerts' : 'noAlerts')),
      list(open.map((alert) => {
        const row = element('li');
        row.append(sign(alert.severity), link('alert', alert.id, alertWords(alert)));
        return row;
      })),
    ];
    if (mayAct() && tools.past() === null) {
      const button = element('button', 'to', words('openHere'));
      button.type = 'button';
      button.addEventListener('click', showForm);
      parts.push(button);
    }
    return parts;
  },

  async source(id) {
    const source = await ask('source', id);
    if (!source) return null;
    const now = tools.now();
    const { event } = source;
    const severity = severityOf(source.state);
    const states = [];
    if (severity) states.push(words(severity));
    if (source.state & DOUBTFUL) states.push(words('doubtfulDot'));
    if (source.state & SILENT) states.push(words(source.time === null ? 'neverHeard' : 'silentFor'));
    const { id: event_id, source: _source, stream: _stream, time: _time, lon: _lon, lat: _lat, place, run, simulated, doubts,
      ...rest } = event ?? {};
    const doubted = Object.values(doubts ?? {}).flat();
    const parts = [
      heading(inLanguage(source.name) || source.id, severity),
      element('p', 'place', [place?.commune_name ?? tools.commune(source.commune)?.name ?? words('outside'),
        words(`layer_${source.stream}`)].join(' · ')),
      facts([
        ['source', source.id],
        ['state', states.join(' · ') || words('normal')],
        ['lastHeard', source.time === null ? '' : ago(source.time, now)],
        ...Object.entries(rest).map(([name, value]) => [`m_${name}`, typeof value === 'number' ? measured(value, unitOf(name))
          : String(value), name]),
        ['interval', source.interval === null ? '' : words('seconds', { n: number(source.interval) })],
        ['kind', source.kind],
        ['owner', source.owner],
        ['position', `${number(source.lat, 5)}, ${number(source.lon, 5)}`],
        ['boundarySet', place?.boundaries ?? ''],
        ['event', event_id ?? ''],
      ]),
    ];
    if (doubted.length) parts.push(element('p', 'doubts', `? ${words('doubted', { why: doubtWords(doubted) })}`));
    const open = tools.alerts().filter((alert) => alert.subject === id);
    parts.push(list(open.map((alert) => {
      const row = element('li');
      row.append(sign(alert.severity), link('alert', alert.id, alertWords(alert)));
      return row;
    })), links([['commune', source.commune]]));
    if (simulated) parts.push(element('em', '', words('simulatedShort')));
    return parts;
  },

  // A citizen's report: there is no link to it, and nothing more to ask for.
  async report(id) {
    const report = tools.report(id);
    if (!report) return null;
    return [
      heading(`${report.category} · ${moment(report.time, tools.now())}`),
      element('p', 'place', report.commune_name ?? words('outside')),
      element('p', '', report.text),
      ...(report.simulated ? [element('em', '', words('simulatedShort'))] : []),
    ];
  },
};

function heading(text, severity = null) {
  const made = element('h2');
  if (severity) made.append(sign(severity));
  made.append(element('span', '', text));
  return made;
}

// Name and value, where there is one. A name without words is said as it is.
function facts(rows) {
  const made = element('dl');
  for (const [key, value, name] of rows) {
    if (value === '' || value === null || value === undefined) continue;
    const known = words(key);
    made.append(element('dt', '', known === key ? (name ?? key) : known), element('dd', '', value));
  }
  return made;
}

function list(rows) {
  const made = element('ul');
  made.append(...rows);
  return made;
}

function link(kind, id, text = id) {
  const made = element('button', 'to', text || id);
  made.type = 'button';
  made.addEventListener('click', () => tools.choose(kind, id));
  return made;
}

function links(wanted) {
  const made = element('p', 'links');
  for (const [kind, id] of wanted) {
    if (!id || (kind === 'source' && !tools.source(id)) || (kind === 'commune' && !tools.commune(id))
      || (kind === 'incident' && !tools.incident(id))) continue;
    made.append(link(kind, id, kind === 'commune' ? tools.commune(id).name : words(kind)));
  }
  return made;
}

const doubtWords = (doubts) => doubts.map((doubt) => words(`doubt_${doubt}`)).join(', ');

function alertWords(alert) {
  if (!alert) return '';
  const label = inLanguage(alert.label);
  return (label ? `${label} · ` : '') + inLanguage(alert.title);
}

function ago(time, now) {
  const age = since(time, now);
  return age ? words('agoOf', { time: moment(time, now), age }) : moment(time, now);
}
