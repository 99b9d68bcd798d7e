// Draws what the page has as data on the map that Folium has made. Texts only ever become textContent.

/* global L, map_snapshot, feature_group_communes, feature_group_sources, feature_group_reports, feature_group_labels */
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(`--${name}`).trim();
  const SEVERITIES = ['extreme', 'severe', 'moderate', 'minor'];
  const INSET_SHARE = 0.35; // alerted communes on less than this share of the city's width and height get an inset

  const text = (words) => {
    const made = document.createElement('span');
    made.textContent = words;
    return made;
  };
  // The signs stand in the line of counts already: the same ones, copied.
  const sign = (severity) => document.querySelector(`.counts .sign.${severity}`).cloneNode(true);
  const severityOf = (layer) => data.communes[layer.feature.properties.code];

  const styleOf = (severity) => (severity
    ? { color: colour(`${severity}-edge`), weight: 2.5, fillColor: colour(severity), fillOpacity: 0.62 }
    : { color: '#a2a8b0', weight: 0.8, fillColor: '#ffffff', fillOpacity: 1 });

  function drawCommunes(group) {
    const drawing = L.geoJSON(data.shapes, {
      interactive: false,
      style: ({ properties }) => styleOf(data.communes[properties.code]),
    });
    drawing.addTo(group);
    drawing.eachLayer((layer) => severityOf(layer) && layer.bringToFront());
    return drawing;
  }

  function drawNames(group, strong) {
    const names = [];
    for (const { properties } of data.shapes.features) {
      const severity = data.communes[properties.code];
      const content = document.createElement('div');
      content.className = severity ? `name alerted${strong ? '' : ' small'}` : 'name';
      if (severity) content.append(sign(severity));
      content.append(text(properties.name.replace(/^(Phường|Xã|Thị trấn|Đặc khu)\s+/u, '')));
      const [lon, lat] = properties.label;
      const icon = L.divIcon({ className: '', html: content, iconSize: [0, 0] });
      L.marker([lat, lon], { icon, interactive: false, keyboard: false }).addTo(group);
      names.push({ content, rank: severity ? SEVERITIES.indexOf(severity) : 9 });
    }
    return names;
  }

  // Names where there is room, those with an alert first; `always`: these show in any case.
  function place(names, always) {
    const taken = [];
    for (const { content, rank } of [...names].sort((a, b) => a.rank - b.rank)) {
      const box = content.getBoundingClientRect();
      const free = !taken.some((other) => box.left < other.right && other.left < box.right && box.top < other.bottom
        && other.top < box.bottom);
      const shown = free || (always && rank < 9);
      content.classList.toggle('crowded', !shown);
      if (shown) taken.push(box);
    }
  }

  function drawSources(group) {
    for (const [lon, lat, id, severity, silent] of data.sources) {
      const looks = severity
        ? { color: '#16181b', weight: 1.2, fillColor: colour(severity), fillOpacity: 1, radius: 5 }
        : { color: '#666c74', weight: silent ? 1 : 0, fillColor: '#666c74', fillOpacity: silent ? 0 : 0.55, radius: 2.2 };
      L.circleMarker([lat, lon], looks).bindTooltip(text(id)).addTo(group);
    }
  }

  function drawReports(group) {
    for (const [lon, lat, words] of data.reports) {
      if (lon === null || lat === null) continue;
      L.circleMarker([lat, lon], { color: '#16181b', weight: 1.4, fill: true, fillOpacity: 0, radius: 4 })
        .bindTooltip(text(words)).addTo(group);
    }
  }

  const drawing = drawCommunes(feature_group_communes);
  const home = drawing.getBounds();
  const names = drawNames(feature_group_labels, true);
  drawSources(feature_group_sources);
  drawReports(feature_group_reports);

  // Where all that is alerted lies close together, a second map shows it larger.
  let near = null;
  let inset = null;
  let insetNames = [];
  const alerted = L.latLngBounds([]);
  drawing.eachLayer((layer) => severityOf(layer) && alerted.extend(layer.getBounds()));
  const share = (of, all) => (of[1] - of[0]) / (all[1] - all[0]);
  if (alerted.isValid()
    && share([alerted.getWest(), alerted.getEast()], [home.getWest(), home.getEast()]) < INSET_SHARE
    && share([alerted.getSouth(), alerted.getNorth()], [home.getSouth(), home.getNorth()]) < INSET_SHARE) {
    near = alerted.pad(0.08);
    const frame = document.getElementById('inset');
    frame.hidden = false;
    inset = L.map(frame, { zoomControl: false, attributionControl: false, zoomSnap: 0.125, dragging: false,
      scrollWheelZoom: false, doubleClickZoom: false, boxZoom: false, keyboard: false });
    inset.fitBounds(near, { animate: false });
    const group = L.featureGroup().addTo(inset);
    drawCommunes(group);
    drawSources(group);
    drawReports(group);
    insetNames = drawNames(group, true);
    for (const { content, rank } of names) if (rank < 9) content.classList.add('small');
  }

  for (const [layer, words] of Object.entries(data.layers)) {
    const entry = document.createElement('li');
    const label = document.createElement('label');
    const box = document.createElement('input');
    box.type = 'checkbox';
    box.checked = true;
    const group = window[`feature_group_${layer}`];
    box.addEventListener('change', () => (box.checked ? group.addTo(map_snapshot) : group.remove()));
    label.append(box, ' ', words);
    entry.append(label);
    document.getElementById('key').append(entry);
  }

  const placeAll = () => {
    place(names, inset === null);
    place(insetNames, true);
  };
  map_snapshot.on('zoomend moveend resize', placeAll);
  // Paper has another width: the maps are fitted to it, and back.
  const fit = () => {
    map_snapshot.invalidateSize({ animate: false });
    // Beside the inset: what lies west of the middle is further up.
    const left = inset ? document.getElementById('inset').offsetWidth * 0.75 : 12;
    map_snapshot.fitBounds(home, { paddingTopLeft: [left, 12], paddingBottomRight: [12, 12], animate: false });
    inset?.invalidateSize({ animate: false });
    inset?.fitBounds(near, { animate: false });
    placeAll();
  };
  window.matchMedia('print').addEventListener('change', fit);
  document.fonts.ready.then(fit);
})();
