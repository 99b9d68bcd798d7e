// Readings as the server packs them (maps/readings.py): columns of numbers, as bytes, as letters. The bytes lie in a
// store that is used again each time, so that a page that runs for weeks leaves nothing to be collected.

let store = new Uint8Array(1 << 18);

function bytesOf(text) {
  const most = Math.ceil(text.length / 4) * 3;
  if (most > store.length) store = new Uint8Array(2 * most);
  if (store.setFromBase64) return store.setFromBase64(text).written;
  const letters = atob(text);
  for (let at = 0; at < letters.length; at += 1) store[at] = letters.charCodeAt(at);
  return letters.length;
}

// Two columns of four bytes and one of two: `First` and `Second` are their kinds.
function columns(text, First, Second) {
  const rows = bytesOf(text) / 10;
  const { buffer } = store;
  return [new First(buffer, 0, rows), new Second(buffer, 4 * rows, rows), new Uint16Array(buffer, 8 * rows, rows)];
}

/** Who spoke: seconds from the base, values (NaN where there is none) and numbers. They hold until the next call. */
export const unpackRead = (text) => columns(text, Int32Array, Float32Array);

/** Who moved: places in the square of Mercator, 0 to 2^32 to the east and south; numbers. They hold until the next call. */
export const unpackMoved = (text) => columns(text, Uint32Array, Uint32Array);
