// The light and the dark theme. Colours stand in wall.css alone; whoever draws on a canvas asks for them here.

const prefersLight = window.matchMedia('(prefers-color-scheme: light)');
const followers = new Set();
let asked = 'dark';
let colours = new Map();

/** Take a theme: light, dark, or auto for what the system prefers. */
export function applyTheme(theme) {
  asked = theme;
  const light = asked === 'light' || (asked === 'auto' && prefersLight.matches);
  document.documentElement.dataset.theme = light ? 'light' : 'dark';
  colours = new Map();
  for (const follow of followers) follow();
}

prefersLight.addEventListener('change', () => {
  if (asked === 'auto') applyTheme(asked);
});

/** A colour of the present theme by its name in wall.css without the dashes, such as `extreme` or `map-line`. */
export function paint(name) {
  if (!colours.has(name)) {
    colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  }
  return colours.get(name);
}

/** Call whenever the theme has changed. */
export const onTheme = (follow) => followers.add(follow);
