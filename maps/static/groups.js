// The order of the list, and what stands together in it: one entry for an incident, however many alerts it has.

import { rank } from './signs.js';

/** Whether an open alert is put aside: suppressed, or shelved by an operator. */
export const isAside = (alert) => Boolean(alert.suppressed) || alert.shelved_until !== null;

/** Whether an alert lies in a commune, wholly or in part. */
export const liesIn = (alert, commune) => alert.commune === commune || (alert.communes ?? []).includes(commune);

/** Worst first; of the same severity those that nobody has acknowledged; then the newest. */
export const inOrder = (a, b) => rank(a.severity) - rank(b.severity)
  || Boolean(a.acknowledged) - Boolean(b.acknowledged) || b.started - a.started || (a.id < b.id ? -1 : 1);

/**
 * Entries of the list in their order: {id, incident, alerts}. `incident` is the incident's record, null for an alert
 * that stands alone; of an incident whose record is not known it is {id}. The first of its alerts leads.
 * With `single`, an incident of one alert is one too.
 */
export function entriesOf(alerts, incidents, single = false) {
  const together = Map.groupBy(alerts.filter((alert) => alert.incident), (alert) => alert.incident);
  const entries = [];
  for (const alert of [...alerts].sort(inOrder)) {
    const members = together.get(alert.incident);
    const record = incidents.get(alert.incident);
    if (!members || !(single || members.length > 1 || record?.peaks?.length > 1)) {
      entries.push({ id: alert.id, incident: null, alerts: [alert] });
    } else if (members.length) {
      const incident = record ?? { id: alert.incident };
      entries.push({ id: `incident ${incident.id}`, incident, alerts: [...members].sort(inOrder) });
      members.length = 0; // its other alerts stand in this entry
    }
  }
  return entries;
}
