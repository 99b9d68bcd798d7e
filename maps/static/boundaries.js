// The communes as they are drawn, for whoever needs more of them than the map does: names and outlines.

let asked = null;

/** The communes: [{code, name, label, outlines}], `label` where the name goes, `outlines` rings of [lon, lat]. */
export function communes() {
  asked ??= fetch(document.body.dataset.boundaries).then((answer) => {
    if (!answer.ok) throw new Error(`boundaries: HTTP ${answer.status}`);
    return answer.json();
  }).then((drawing) => drawing.features.map(({ properties, geometry }) => {
    const polygons = geometry.type === 'Polygon' ? [geometry.coordinates] : geometry.coordinates;
    const outlines = polygons.flat();
    return { code: String(properties.code), name: properties.name, label: properties.label ?? middle(outlines), outlines };
  }));
  return asked;
}

function middle(outlines) {
  const points = outlines.flat();
  const [lons, lats] = [points.map((point) => point[0]), points.map((point) => point[1])];
  const between = (values) => (Math.min(...values) + Math.max(...values)) / 2;
  return [between(lons), between(lats)];
}

/** A commune's name without its kind. */
export const shortName = (name) => name.replace(/^(Phường|Xã|Thị trấn|Đặc khu)\s+/u, '');
