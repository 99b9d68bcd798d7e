// What stands behind the # of the address: what is chosen (alert, incident, commune or source) and the filters.

export const CHOICES = ['alert', 'incident', 'commune', 'source'];

export const readAddress = () => new URLSearchParams(location.hash.slice(1));

/** Change parts of it; null takes one away. No entry in the history: going back would not mean anything. */
export function writeAddress(changes) {
  const parts = readAddress();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) parts.delete(name);
    else parts.set(name, value);
  }
  const url = new URL(location.href);
  url.hash = parts.toString();
  history.replaceState(null, '', url);
}

/** What the address chooses: {kind, id}, or null. */
export function chosenByAddress() {
  const parts = readAddress();
  const kind = CHOICES.find((one) => parts.get(one));
  return kind ? { kind, id: parts.get(kind) } : null;
}

/** Let the address choose this; null for nothing. */
export function chooseInAddress(kind, id) {
  writeAddress(Object.fromEntries(CHOICES.map((one) => [one, one === kind ? id : null])));
}
