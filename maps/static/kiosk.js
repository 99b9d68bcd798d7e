// A screen that nobody touches: it stays awake, and goes back to its view when somebody did touch it and left.

import { inKiosk } from './screen.js';

const REST_MS = 60000;
let lock = null;

/** Keep the screen awake where the browser allows it, and call `rest` a minute after the last touch or key. */
export function startKiosk(rest) {
  if (!inKiosk) return;
  let timer = 0;
  for (const event of ['pointerdown', 'keydown', 'wheel']) {
    document.addEventListener(event, () => {
      clearTimeout(timer);
      timer = setTimeout(rest, REST_MS);
    }, { passive: true, capture: true });
  }
  document.addEventListener('visibilitychange', stayAwake);
  stayAwake();
}

// The browser gives the lock up whenever the page is hidden.
async function stayAwake() {
  if (document.visibilityState !== 'visible' || (lock && !lock.released)) return;
  try {
    lock = await navigator.wakeLock.request('screen');
  } catch {
    lock = null; // not over plain HTTP from another machine, or not on this system: its own settings decide
  }
}

/** Whether the screen is kept awake. */
export const isAwake = () => lock !== null && !lock.released;
