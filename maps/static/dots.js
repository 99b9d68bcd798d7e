// L.Dots: ten thousand small signs on one canvas, drawn anew as a whole. Each sign has a number, a place and a look;
// the page says how a look is drawn. The signs are written into the canvas' pixels directly: asking the canvas to draw
// ten thousand times would take several times as long, and again as long to carry out. What counts is memory: the signs
// are sorted into bands of rows, and each band is drawn in one small store that stays in the processor's cache, then
// copied. Pixels are signed numbers, which V8 keeps in registers.

(() => {
  const NONE = -1;
  const BAND = 64; // rows of the canvas that are drawn and copied together, as far as they have signs

  // Longitude and latitude to the square of Mercator, 0 to 1.
  const across = (lon) => lon / 360 + 0.5;
  const down = (lat) => 0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);

  // A sign's pixels, as distances from its middle one: those that cover what is below, and those of its edge, that let
  // it through. `reach`: how many rows and columns they are from there at most.
  function pixelsOf(image, width) {
    const words = new Int32Array(image.data.buffer);
    const half = image.width >> 1;
    const [opaque, edge] = [[[], []], [[], []]];
    let reach = 0;
    words.forEach((word, index) => {
      const alpha = word >>> 24;
      if (alpha < 8) return;
      const [into, colours] = alpha > 247 ? opaque : edge;
      const [down, right] = [Math.floor(index / image.width) - half, (index % image.width) - half];
      reach = Math.max(reach, Math.abs(down), Math.abs(right));
      into.push(down * width + right);
      colours.push(word);
    });
    const [covering, covers, fringe, fringes] = [...opaque, ...edge].map((list) => Int32Array.from(list));
    return { reach, covering, covers, fringe, fringes };
  }

  // Write a sign's pixels around one of a band that has all of them.
  function stamp(pixels, middle, { covering, covers, fringe, fringes }) {
    for (let i = 0; i < covering.length; i += 1) pixels[middle + covering[i]] = covers[i];
    for (let i = 0; i < fringe.length; i += 1) {
      const at = middle + fringe[i];
      const below = pixels[at];
      pixels[at] = below === 0 ? fringes[i] : blend(fringes[i], below);
    }
  }

  // The same where some belong to the band above or below, which has the sign too.
  function stampPart(pixels, middle, { covering, covers, fringe, fringes }) {
    const end = pixels.length;
    for (let i = 0; i < covering.length; i += 1) {
      const at = middle + covering[i];
      if (at >= 0 && at < end) pixels[at] = covers[i];
    }
    for (let i = 0; i < fringe.length; i += 1) {
      const at = middle + fringe[i];
      if (at >= 0 && at < end) pixels[at] = pixels[at] === 0 ? fringes[i] : blend(fringes[i], pixels[at]);
    }
  }

  // Red and blue are mixed together, in one number: `k` of 256 parts are of what is above.
  function blend(above, below) {
    const alpha = above >>> 24;
    const sum = alpha + ((((below >>> 24) * (255 - alpha)) / 255) | 0);
    const k = ((alpha << 8) / sum) | 0;
    const odd = (Math.imul(above & 0xff00ff, k) + Math.imul(below & 0xff00ff, 256 - k)) >>> 8;
    const even = (Math.imul(above & 0xff00, k) + Math.imul(below & 0xff00, 256 - k)) >>> 8;
    return (sum << 24) | (odd & 0xff00ff) | (even & 0xff00);
  }

  // The columns of each band that have signs, from `left` to `right`; none where that is less.
  const makeExtent = (bands, width) => ({ left: new Int32Array(bands).fill(width), right: new Int32Array(bands).fill(-1) });

  L.Dots = L.Renderer.extend({
    options: { pane: 'dots', padding: 0.05 },

    initialize(options) {
      L.Renderer.prototype.initialize.call(this, options);
      this._room(1024);
      this._count = 0;
      this._cache = [];
      this._make = null;
      this._orderOf = () => 0;
      this._orders = []; // by look, as far as they were asked for
      this._middleOf = () => [0, 0];
    },

    /**
     * How looks are drawn. `make(look, context)` draws one around (0, 0) and returns how far it reaches, in CSS pixels;
     * it is called once without a context, to ask only. `orderOf(look)`: what is drawn later, and found first.
     * `middleOf(look)`: where it is to be clicked, from its place, in CSS pixels. Orders are whole numbers, 0 to 31.
     */
    setLooks(make, orderOf, middleOf) {
      this._make = make;
      this._orderOf = orderOf;
      this._orders = [];
      this._middleOf = middleOf;
      return this.restyle();
    },

    /** Looks are drawn otherwise from now on, as in another theme. */
    restyle() {
      this._cache = [];
      return this.changed();
    },

    /** Put the sign `number` somewhere. It stays as invisible as it was. */
    move(number, lon, lat) {
      if (number >= this._looks.length) this._room(Math.max(number + 1, 2 * this._looks.length));
      if (number >= this._count) this._count = number + 1;
      this._x[number] = across(lon);
      this._y[number] = down(lat);
      return this;
    },

    /** Move many that are somewhere already: `numbers`, and as many places in the square of Mercator, 0 to 2^32. */
    moveAll(numbers, xs, ys) {
      const { _x: x, _y: y } = this;
      for (let at = 0; at < numbers.length; at += 1) {
        x[numbers[at]] = xs[at] / 4294967296;
        y[numbers[at]] = ys[at] / 4294967296;
      }
      return this;
    },

    /** Show the sign `number` with a look; -1 hides it. */
    look(number, look) {
      if (number < this._count) this._looks[number] = look;
      return this;
    },

    lookOf(number) {
      return number < this._count ? this._looks[number] : NONE;
    },

    /** Forget all signs. */
    clear() {
      this._looks.fill(NONE);
      this._count = 0;
      return this.changed();
    },

    /** Draw a sign apart, in front of all: {number, look}, or null. */
    setMarked(marked) {
      this._marked = marked;
      return this.changed();
    },

    /** Draw with the next frame. */
    changed() {
      if (this._map && !this._asked) this._asked = L.Util.requestAnimFrame(this._paint, this);
      return this;
    },

    latLngOf(number) {
      const y = Math.PI * (1 - 2 * this._y[number]);
      return L.latLng((180 / Math.PI) * Math.atan(Math.sinh(y)), (this._x[number] - 0.5) * 360);
    },

    /** The sign within `reach` pixels of a point of the map's container: the foremost of them, the nearest of those. */
    at(point, reach) {
      const { scale, left, top } = this._frame();
      const corner = this._map.containerPointToLayerPoint([0, 0]);
      const [px, py] = [point.x + corner.x, point.y + corner.y];
      let [found, foremost, nearest] = [NONE, -1, 0];
      for (let number = 0; number < this._count; number += 1) {
        const look = this._looks[number];
        if (look === NONE) continue;
        const [middleX, middleY] = this._middleOf(look);
        const dx = this._x[number] * scale - left + middleX - px;
        const dy = this._y[number] * scale - top + middleY - py;
        const its = dx * dx + dy * dy;
        if (its > reach * reach) continue;
        const order = this._order(look);
        if (order > foremost || (order === foremost && its < nearest)) [found, foremost, nearest] = [number, order, its];
      }
      return found;
    },

    _room(size) {
      const grown = (old, made) => {
        if (old) made.set(old);
        return made;
      };
      const before = this._looks;
      this._x = grown(this._x, new Float64Array(size));
      this._y = grown(this._y, new Float64Array(size));
      this._looks = grown(before, new Int16Array(size).fill(NONE));
      this._later = new Int32Array(size);
      // Looks, columns and rows of the signs on the canvas, in the order of drawing; one more for the marked one.
      this._shown = new Int16Array(size + 1);
      this._columns = new Int32Array(size + 1);
      this._rows = new Int32Array(size + 1);
    },

    // Leaflet's own plane: pixels of the whole world at this zoom, and where its layers begin in it.
    _frame() {
      const origin = this._map.getPixelOrigin();
      return { scale: this._map.options.crs.scale(this._map.getZoom()), left: origin.x, top: origin.y };
    },

    _initContainer() {
      this._container = L.DomUtil.create('canvas', 'dots');
      // The pixels are written here, so they are better kept here than on a graphics card.
      this._context = this._container.getContext('2d', { willReadFrequently: true });
    },

    _destroyContainer() {
      L.Util.cancelAnimFrame(this._asked);
      this._asked = null;
      this._container.remove();
      this._container = null;
    },

    // The map was moved, zoomed or resized.
    _update() {
      if (this._map._animatingZoom && this._bounds) return;
      L.Renderer.prototype._update.call(this);
      const size = this._bounds.getSize();
      this._ratio = Math.min(window.devicePixelRatio || 1, 2);
      const [width, height] = [Math.round(size.x * this._ratio), Math.round(size.y * this._ratio)];
      L.DomUtil.setPosition(this._container, this._bounds.min);
      if (this._container.width !== width || this._container.height !== height) {
        Object.assign(this._container, { width, height });
        Object.assign(this, { _width: width, _height: height }); // asking the element takes time, ten thousand times
        Object.assign(this._container.style, { width: `${size.x}px`, height: `${size.y}px` });
        this._image = width && height ? this._context.createImageData(width, BAND) : null;
        this._pixels = this._image && new Int32Array(this._image.data.buffer);
        this._cache = [];
        const bands = Math.ceil(height / BAND);
        Object.assign(this, { _drawn: makeExtent(bands, width), _before: makeExtent(bands, width) });
        this._ends = new Int32Array(bands + 1); // where the signs of each band end in `_sorted`
        this._sorted = new Int32Array(1024);
      }
      // At once, or the signs would be seen beside their places for a frame.
      this._paint();
    },

    _updatePaths() {},

    _sprite(look) {
      const ratio = this._ratio;
      const reach = Math.ceil((this._make(look, null) + 1) * ratio);
      const canvas = document.createElement('canvas');
      canvas.width = canvas.height = 2 * reach + 1;
      const context = canvas.getContext('2d', { willReadFrequently: true });
      context.setTransform(ratio, 0, 0, ratio, reach + 0.5, reach + 0.5);
      this._make(look, context);
      const made = pixelsOf(context.getImageData(0, 0, canvas.width, canvas.height), this._width);
      this._cache[look] = made;
      return made;
    },

    _order(look) {
      this._orders[look] ??= this._orderOf(look);
      return this._orders[look];
    },

    _paint() {
      this._asked = null;
      if (!this._map || !this._make || !this._image) return;
      const began = performance.now();
      const frame = this._frame();
      this._scale = frame.scale * this._ratio;
      this._left = (frame.left + this._bounds.min.x) * this._ratio;
      this._top = (frame.top + this._bounds.min.y) * this._ratio;
      [this._before, this._drawn] = [this._drawn, this._before];
      this._drawn.left.fill(this._width);
      this._drawn.right.fill(-1);
      this._ends.fill(0);
      this._sort(this._place());
      for (let band = 0; band < this._drawn.left.length; band += 1) this._draw(band);
      this.fire('painted', { ms: performance.now() - began });
    },

    // Find the pixels of all signs that are seen, in the order of drawing; how many there are.
    _place() {
      const looks = this._looks;
      const later = this._later;
      let shown = 0;
      let waiting = 0;
      let orders = 0;
      for (let number = 0; number < this._count; number += 1) {
        const look = looks[number];
        if (look === NONE) continue;
        const order = this._order(look);
        if (order === 0) shown = this._show(shown, number, look);
        else {
          later[waiting] = number;
          waiting += 1;
          orders |= 1 << order;
        }
      }
      for (let order = 1; orders >>> order; order += 1) {
        if (!((orders >>> order) & 1)) continue;
        for (let at = 0; at < waiting; at += 1) {
          const look = looks[later[at]];
          if (this._order(look) === order) shown = this._show(shown, later[at], look);
        }
      }
      const marked = this._marked;
      return marked && this.lookOf(marked.number) !== NONE ? this._show(shown, marked.number, marked.look) : shown;
    },

    // Whole signs only: one at the edge of the canvas is outside the map.
    _show(shown, number, look) {
      const { reach } = this._cache[look] ?? this._sprite(look);
      const x = this._x[number] * this._scale - this._left;
      const y = this._y[number] * this._scale - this._top;
      if (x < reach || y < reach || x > this._width - reach - 1 || y > this._height - reach - 1) return shown;
      const column = (x + 0.5) | 0;
      const row = (y + 0.5) | 0;
      this._shown[shown] = look;
      this._columns[shown] = column;
      this._rows[shown] = row;
      const { left, right } = this._drawn;
      for (let band = ((row - reach) / BAND) | 0; band * BAND <= row + reach; band += 1) {
        if (column - reach < left[band]) left[band] = column - reach;
        if (column + reach > right[band]) right[band] = column + reach;
        this._ends[band + 1] += 1;
      }
      return shown + 1;
    },

    // Sort them by band, those that reach into two into both; within a band the order stays.
    _sort(shown) {
      const { _ends: ends, _rows: rows } = this;
      for (let band = 1; band < ends.length; band += 1) ends[band] += ends[band - 1];
      const all = ends[ends.length - 1];
      if (all > this._sorted.length) this._sorted = new Int32Array(2 * all);
      const sorted = this._sorted;
      for (let at = 0; at < shown; at += 1) {
        const { reach } = this._cache[this._shown[at]];
        for (let band = ((rows[at] - reach) / BAND) | 0; band * BAND <= rows[at] + reach; band += 1) {
          sorted[ends[band]] = at;
          ends[band] += 1;
        }
      }
    },

    // Draw a band, and show it where there are signs or were before.
    _draw(band) {
      const { _drawn: drawn, _before: before, _sorted: sorted, _pixels: pixels, _width: width, _ends: ends } = this;
      const left = Math.min(drawn.left[band], before.left[band]);
      const right = Math.max(drawn.right[band], before.right[band]);
      if (right < 0) return;
      const top = band * BAND;
      for (let row = 0; row < pixels.length; row += width) pixels.fill(0, row + left, row + right + 1);
      const { _rows: rows, _columns: columns, _shown: shown, _cache: cache } = this;
      const end = ends[band];
      for (let i = band ? ends[band - 1] : 0; i < end; i += 1) {
        const at = sorted[i];
        const sprite = cache[shown[at]];
        const row = rows[at] - top;
        const middle = row * width + columns[at];
        if (row >= sprite.reach && row < BAND - sprite.reach) stamp(pixels, middle, sprite);
        else stampPart(pixels, middle, sprite);
      }
      this._context.putImageData(this._image, 0, top, left, 0, right - left + 1, BAND);
    },
  });

  L.dots = (options) => new L.Dots(options);
})();
