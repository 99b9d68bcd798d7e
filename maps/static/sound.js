// Tones for what is grave and has not been acknowledged. Extreme: three short high ones; severe: two falling ones.
// Off until somebody at this screen turns it on; browsers allow a sound only after a click or a key.

import { inOrder } from './groups.js';
import { rank } from './signs.js';
import { saveSettings, screenSettings } from './screen.js';

// Hz, and seconds of each tone and of the pause behind it; seconds until it is heard again.
const TONES = {
  extreme: { hertz: [988, 988, 988], length: 0.16, pause: 0.09, again: 15 },
  severe: { hertz: [659, 523], length: 0.3, pause: 0.06, again: 45 },
};
const LOUD = 0.5;
const LEAST_MS = 3000; // between two sounds, however much is new

let wanted = screenSettings().sound;
let context = null;
let waiting = []; // grave alerts that nobody has acknowledged, worst first
let heard = new Map(); // alert id -> severity that has sounded
let lastAt = -Infinity;
let showState = () => {};
const played = { extreme: 0, severe: 0 };

/** Put the tones of a severity into an audio context, from `at` seconds of its clock on; when they end. */
export function schedule(audio, severity, at) {
  const { hertz, length, pause } = TONES[severity];
  let from = at;
  for (const frequency of hertz) {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    tone.type = 'triangle'; // a pure sine is hard to tell the direction of
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, from);
    volume.gain.linearRampToValueAtTime(LOUD, from + 0.01); // a hard edge would click
    volume.gain.setValueAtTime(LOUD, from + length - 0.03);
    volume.gain.linearRampToValueAtTime(0, from + length);
    tone.connect(volume).connect(audio.destination);
    tone.start(from);
    tone.stop(from + length);
    from += length + pause;
  }
  return from;
}

/** off, on, or blocked: it is to be on, and the browser waits for a click. */
export const state = () => (!wanted ? 'off' : context?.state === 'running' ? 'on' : 'blocked');

/** Begin. `onState` is called whenever `state` may have changed. */
export function start(onState) {
  showState = onState;
  if (wanted) open();
  for (const event of ['pointerdown', 'keydown']) {
    document.addEventListener(event, () => wanted && context?.state !== 'running' && open());
  }
  setInterval(repeat, 1000);
  showState();
}

function open() {
  if (!context) {
    context = new AudioContext();
    context.addEventListener('statechange', () => {
      showState();
      repeat();
    });
  }
  // Without a click it waits for one; with one it answers at once.
  context.resume().then(showState, showState);
}

/** Turn the sound on or off, at this screen alone; a click that comes while the browser waits for it turns it on. */
export function flip() {
  wanted = state() !== 'on';
  saveSettings({ sound: wanted ? 'on' : 'off' });
  if (wanted) open();
  else context?.suspend();
  lastAt = -Infinity;
  showState();
}

/**
 * Take the alerts that ask for attention. What is new, or worse than before, is heard at once. Null where they are not
 * known: it is silent until they are.
 */
export function take(alerts) {
  if (alerts === null) {
    waiting = [];
    return;
  }
  waiting = alerts.filter((alert) => alert.severity in TONES && !alert.acknowledged).sort(inOrder);
  const ids = new Set(waiting.map((alert) => alert.id));
  for (const id of [...heard.keys()]) if (!ids.has(id)) heard.delete(id);
  repeat();
}

function repeat() {
  if (!waiting.length || state() !== 'on') return;
  const since = performance.now() - lastAt;
  const isNew = (alert) => !heard.has(alert.id) || rank(alert.severity) < rank(heard.get(alert.id));
  const news = waiting.filter(isNew);
  const { severity } = news[0] ?? waiting[0];
  if (since < (news.length ? LEAST_MS : TONES[severity].again * 1000)) return;
  lastAt = performance.now();
  heard = new Map(waiting.map((alert) => [alert.id, alert.severity]));
  schedule(context, severity, context.currentTime + 0.05);
  played[severity] += 1;
}

/** How often each has sounded since the page was loaded. */
export const soundsPlayed = () => ({ ...played });
