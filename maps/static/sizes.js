// Sizes of what must be read from a distance, from the angle at which the eye sees them. Capital letters of 16 minutes
// of arc can be read, of 20 comfortably: 29 mm at five metres.

export const READ_ARCMIN = 20;
export const LEAST_ARCMIN = 16;
// Height of a capital letter as a part of the font's size. Be Vietnam Pro has 0.74; other fonts, should it be missing,
// have less.
const CAPITAL = 0.7;
const MM_PER_INCH = 25.4;
const INCHES = 55; // a panel whose size nobody has said

/** How high a letter must be, in mm, to be seen at so many minutes of arc from so many metres. */
export const letterHeight = (metres, arcmin) => 2 * metres * 1000 * Math.tan((arcmin / 60) * (Math.PI / 180) / 2);

/** Pixels in a millimetre of a panel: its diagonal in inches, its lines, its width by its height. */
export function pixelsPerMillimetre(inches, lines, aspect = 16 / 9) {
  const height = (inches * MM_PER_INCH) / Math.hypot(aspect, 1);
  return lines / height;
}

/** Font size in pixels for letters of so many minutes of arc. */
export function fontPixels(arcmin, { distance, inches, px }, aspect = 16 / 9) {
  return (letterHeight(distance, arcmin) * pixelsPerMillimetre(inches, px, aspect)) / CAPITAL;
}

/**
 * Put the sizes into the page: --read for what must be read at a glance, --least for the smallest that must be read.
 * Without a distance it is a desk, and the style sheet's own sizes hold.
 */
export function applySizes({ distance, inches, px }) {
  const root = document.documentElement;
  if (distance === null) {
    delete root.dataset.far;
    for (const name of ['--read', '--least']) root.style.removeProperty(name);
    return;
  }
  const { width, height } = window.screen;
  const panel = { distance, inches: inches ?? INCHES, px: px ?? height };
  // Larger than this, not one alert would fit: the panel is too small for the distance.
  const most = Math.min(window.innerHeight / 12, window.innerWidth / 20);
  const read = fontPixels(READ_ARCMIN, panel, width / height);
  const least = fontPixels(LEAST_ARCMIN, panel, width / height);
  root.dataset.far = read > most ? 'short' : 'full';
  root.style.setProperty('--read', `${Math.min(read, most).toFixed(1)}px`);
  root.style.setProperty('--least', `${Math.min(least, most).toFixed(1)}px`);
}
