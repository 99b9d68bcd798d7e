// Severity by colour, shape and digit at once: never by colour alone. Colours after Okabe and Ito, which the
// common forms of colour blindness tell apart; wall.css has them for a dark and for a light ground.

import { plain } from './plain.js';
import { paint } from './theme.js';

export const SEVERITIES = ['extreme', 'severe', 'moderate', 'minor'];

const SIGNS = {
  extreme: { digit: '1', shape: 'M12 0.5 23.5 12 12 23.5 0.5 12z', y: 12 },
  severe: { digit: '2', shape: 'M2 2h20v20H2z', y: 12 },
  moderate: { digit: '3', shape: 'M12 1 23.5 22.5H0.5z', y: 15.5 },
  minor: { digit: '4', shape: 'M12 1a11 11 0 1 1 0 22a11 11 0 1 1 0-22z', y: 12 },
};
const SVG = 'http://www.w3.org/2000/svg';

/** Colour of a severity in the present theme. */
export const colour = (severity) => paint(severity);
/** Colour of its outline: on a light ground yellow alone would not show. */
export const edge = (severity) => paint(`${severity}-edge`);
/** Its digit, 1 for the worst. */
export const digit = (severity) => SIGNS[severity].digit;
export const rank = (severity) => SEVERITIES.indexOf(severity);

/** Draw the sign of a severity on a canvas, its upper left corner at (x, y), as wide as `size`. */
export function drawSign(pen, severity, x, y, size) {
  const { shape, y: middle } = SIGNS[severity];
  pen.save();
  pen.translate(x, y);
  pen.scale(size / 24, size / 24);
  const path = new Path2D(shape);
  pen.fillStyle = colour(severity);
  pen.fill(path);
  if (paint('sign-edge') !== 'none') {
    pen.strokeStyle = paint('sign-edge');
    pen.lineWidth = 1.4;
    pen.stroke(path);
  }
  pen.fillStyle = paint('ink');
  pen.font = '700 13px "Be Vietnam Pro", sans-serif';
  pen.textAlign = 'center';
  pen.textBaseline = 'alphabetic';
  pen.fillText(digit(severity), 12, middle + 4.7);
  pen.restore();
}

/** The sign of a severity, as an element. */
export function sign(severity) {
  const { shape, y } = SIGNS[severity];
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('class', `sign ${severity}`);
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS(SVG, 'path');
  path.setAttribute('d', shape);
  const text = document.createElementNS(SVG, 'text');
  text.setAttribute('x', '12');
  text.setAttribute('y', String(y));
  text.textContent = digit(severity);
  svg.append(path, text);
  return svg;
}

/** An element with a class and a text. The text is only ever text, and nothing in it is hidden. */
export function element(name, className = '', text = '') {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = plain(text);
  return made;
}
