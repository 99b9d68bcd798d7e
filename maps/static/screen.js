// What this screen is: from how far it is read, its theme, its sound. The address says it, else what was saved here:
// a browser that shows a wall for months has one address and one place.

const KEY = 'wall.screen';
const asked = new URLSearchParams(location.search);

const positive = (text) => {
  const value = Number.parseFloat(text);
  return Number.isFinite(value) && value > 0 ? value : null;
};

function saved() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {}; // nothing can be kept here, or somebody kept something else
  }
}

/** The settings in force: {distance, inches, px} or null each, theme, sound. */
export function screenSettings() {
  const kept = saved();
  const pick = (name) => asked.get(name) ?? kept[name] ?? null;
  const theme = pick('theme');
  return {
    distance: positive(pick('distance')),
    inches: positive(pick('inches')),
    px: positive(pick('px')),
    theme: ['light', 'dark', 'auto'].includes(theme) ? theme : 'dark',
    sound: pick('sound') === 'on',
  };
}

/** Keep settings for this screen; they take the place of what the address said. Whether they could be kept. */
export function saveSettings(changes) {
  const url = new URL(location.href);
  for (const name of Object.keys(changes)) {
    asked.delete(name);
    url.searchParams.delete(name);
  }
  history.replaceState(null, '', url);
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...saved(), ...changes }));
    return true;
  } catch {
    for (const [name, value] of Object.entries(changes)) if (value !== null) asked.set(name, value);
    return false;
  }
}

export const inKiosk = asked.has('kiosk') && asked.get('kiosk') !== '0';
export const askedView = asked.get('view') ?? '';
