// What lies over the map: nothing that must be read may lie below it.

const OVER = '.legend, .leaflet-control, .filters, .inset';

/** Boxes of what lies over an element, in its pixels: {left, right, top, bottom}; without what is not shown. */
export function coveredBoxes(frame, over = OVER) {
  const origin = frame.getBoundingClientRect();
  return [...document.querySelectorAll(over)].map((one) => {
    const { left, right, top, bottom } = one.getBoundingClientRect();
    return { left: left - origin.left, right: right - origin.left, top: top - origin.top, bottom: bottom - origin.top };
  }).filter((box) => box.right > box.left && box.bottom > box.top);
}
