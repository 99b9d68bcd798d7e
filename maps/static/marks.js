// What stands on the map at a place, and how it is drawn. The shape says what it is, the colour and the digit how bad
// it is; grey is normal. Hollow: it has fallen silent. A question mark: its last reading is doubted.

import { rank, SEVERITIES } from './signs.js';
import { paint } from './theme.js';

export const DOUBTFUL = 8;
export const SILENT = 16;
const STATES = 32;

/** Kinds of what is drawn, in the order of their numbers. */
export const KINDS = ['traffic', 'flood', 'camera', 'source', 'report', 'alert', 'incident', 'ring'];
const NUMBER = Object.fromEntries(KINDS.map((kind, index) => [kind, index]));

/** A look as L.Dots has it. `state`: 0 to 4 for the worst open alert, with DOUBTFUL and SILENT. */
export const lookOf = (kind, state) => NUMBER[kind] * STATES + state;
export const kindOf = (look) => KINDS[Math.floor(look / STATES)];
export const stateOf = (look) => look % STATES;

/** Severity of a state; null for none. Its number grows with it, the digit on the sign falls. */
export const severityOf = (state) => ((state & 7) ? SEVERITIES[4 - (state & 7)] : null);
export const stateFor = (severity) => (severity ? 4 - rank(severity) : 0);

/** What is drawn later covers the rest, and is what a click means. */
export function orderOf(look) {
  const state = stateOf(look);
  const kind = kindOf(look);
  const worst = state & 7;
  if (kind === 'incident') return 20 + worst;
  if (worst) return 10 + worst;
  if (kind === 'report') return 3;
  return (state & DOUBTFUL ? 2 : 0) + (state & SILENT ? 1 : 0);
}

let size = 1;

/** Signs are drawn so many times as large. */
export const setSize = (times) => {
  size = times;
};

const HERE = [0, 0];
const BESIDE = 14; // an incident stands so far to the right of its place, and above it

/** Where the middle of a look is, from its place. */
export const middleOf = (look) => (kindOf(look) === 'incident' ? [BESIDE * size, -BESIDE * size] : HERE);

const reachOf = (kind, state) => {
  if (kind === 'ring') return 15;
  if (kind === 'incident') return 26;
  if (state & 7) return 11;
  if (state & DOUBTFUL) return 7.5;
  return kind === 'report' ? 5.5 : 4.2;
};

/** Draw a look around (0, 0) and say how far it reaches; without a context only that. For L.Dots. */
export function drawLook(look, context) {
  const [kind, state] = [kindOf(look), stateOf(look)];
  const reach = reachOf(kind, state) * size;
  if (!context) return reach;
  context.scale(size, size);
  context.textAlign = 'center';
  context.lineJoin = 'round';
  if (kind === 'ring') drawRing(context);
  else if (kind === 'incident') drawIncident(context, severityOf(state));
  else if (state & 7) drawAbnormal(context, kind, state);
  else drawNormal(context, kind, state);
  return reach;
}

// Outlines of a radius of about 1: what it is shows without colour.
const OUTLINES = {
  traffic: (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
  flood: (c, r) => { // a drop
    c.moveTo(0, -1.35 * r);
    c.bezierCurveTo(0.5 * r, -0.6 * r, r, -0.2 * r, r, 0.3 * r);
    c.arc(0, 0.3 * r, r, 0, Math.PI);
    c.bezierCurveTo(-r, -0.2 * r, -0.5 * r, -0.6 * r, 0, -1.35 * r);
  },
  camera: (c, r) => c.rect(-0.95 * r, -0.95 * r, 1.9 * r, 1.9 * r),
  source: (c, r) => polygon(c, 6, r),
  report: (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
  incident: (c, r) => polygon(c, 6, r),
};

// As the signs of the list: signs.js.
const SEVERITY_OUTLINES = {
  extreme: (c, r) => polygon(c, 4, 1.1 * r),
  severe: (c, r) => c.rect(-0.9 * r, -0.9 * r, 1.8 * r, 1.8 * r),
  moderate: (c, r) => {
    c.moveTo(0, -1.05 * r);
    c.lineTo(1.1 * r, 0.9 * r);
    c.lineTo(-1.1 * r, 0.9 * r);
    c.closePath();
  },
  minor: (c, r) => c.arc(0, 0, r, 0, 2 * Math.PI),
};

function polygon(c, corners, r) {
  for (let corner = 0; corner < corners; corner += 1) {
    const angle = (2 * Math.PI * corner) / corners - Math.PI / 2;
    c[corner ? 'lineTo' : 'moveTo'](r * Math.cos(angle), r * Math.sin(angle));
  }
  c.closePath();
}

function shape(context, outline, r) {
  context.beginPath();
  outline(context, r);
  context.closePath();
}

function letter(context, text, pixels, y = 0) {
  context.font = `700 ${pixels}px "Be Vietnam Pro", sans-serif`;
  context.textBaseline = 'alphabetic';
  context.fillText(text, 0, y + pixels * 0.36);
}

function drawNormal(context, kind, state) {
  const outline = OUTLINES[kind] ?? OUTLINES.source;
  const hollow = state & SILENT || kind === 'report';
  context.strokeStyle = paint(kind === 'report' ? 'report' : 'dot');
  context.fillStyle = paint('dot');
  context.globalAlpha = 1;
  if (state & DOUBTFUL) {
    shape(context, outline, kind === 'flood' ? 5 : 5.6);
    context.fillStyle = hollow ? paint('map-fill') : paint('dot');
    context.fill();
    context.lineWidth = 1.2;
    context.stroke();
    context.fillStyle = paint(hollow ? 'dot' : 'dot-edge');
    letter(context, '?', 9, kind === 'flood' ? 1.4 : 0);
    return;
  }
  shape(context, outline, kind === 'report' ? 4 : 2.5);
  if (hollow) {
    context.lineWidth = kind === 'report' ? 1.5 : 1.1;
    context.stroke();
  } else context.fill();
}

function drawAbnormal(context, kind, state) {
  const severity = severityOf(state);
  const outline = kind === 'alert' ? SEVERITY_OUTLINES[severity] : (OUTLINES[kind] ?? OUTLINES.source);
  const hollow = state & SILENT;
  const low = kind === 'flood' || (kind === 'alert' && severity === 'moderate') ? 2 : 0;
  shape(context, outline, 7.6);
  context.fillStyle = hollow ? paint('ground') : paint(severity);
  context.fill();
  context.lineWidth = hollow ? 2.4 : 1.4;
  context.strokeStyle = hollow ? paint(severity) : paint('dot-edge');
  context.stroke();
  context.fillStyle = hollow ? paint('text') : paint('ink');
  letter(context, (state & DOUBTFUL ? '?' : '') + (rank(severity) + 1), state & DOUBTFUL ? 9 : 11, low);
}

// Beside its place, so that it covers neither the source nor the alert that it began with.
function drawIncident(context, severity) {
  context.strokeStyle = paint('text');
  context.lineWidth = 1.2;
  context.beginPath();
  context.moveTo(0, 0);
  context.lineTo(BESIDE, -BESIDE);
  context.stroke();
  context.translate(BESIDE, -BESIDE);
  shape(context, OUTLINES.incident, 10.5);
  context.fillStyle = paint('ground');
  context.fill();
  context.lineWidth = 3;
  context.strokeStyle = paint(severity);
  context.stroke();
  context.fillStyle = paint('text');
  letter(context, String(rank(severity) + 1), 11);
}

function drawRing(context) {
  context.beginPath();
  context.arc(0, 0, 12.5, 0, 2 * Math.PI);
  context.strokeStyle = paint('halo');
  context.lineWidth = 5;
  context.stroke();
  context.strokeStyle = paint('focus');
  context.lineWidth = 2.5;
  context.stroke();
}

/** A small picture of a look, for the legend. */
export function pictureOf(kind, state) {
  const canvas = document.createElement('canvas');
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = canvas.height = 24 * ratio;
  canvas.className = 'look';
  canvas.ariaHidden = 'true';
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 12 * ratio, 12 * ratio);
  const before = size;
  size = kind === 'incident' ? 0.45 : 1.3;
  if (kind === 'incident') context.translate(-6, 6);
  drawLook(lookOf(kind, state), context);
  size = before;
  return canvas;
}
