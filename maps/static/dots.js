// L.Dots: ten thousand small signs on one canvas, drawn anew as a whole. Each sign has a number, a place and a look;
// the page says how a look is drawn. The signs are written into the canvas' pixels directly: asking the canvas to draw
// ten thousand times would take several times as long, and again as long to carry out.

(() => {
  const NONE = -1;

  // Longitude and latitude to the square of Mercator, 0 to 1.
  const across = (lon) => lon / 360 + 0.5;
  const down = (lat) => 0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);

  // A sign's pixels: those that cover what is below, and those of its edge, that let it through.
  function pixelsOf(image, width) {
    const words = new Uint32Array(image.data.buffer);
    const half = [image.width >> 1, image.height >> 1];
    const [opaque, edge] = [[[], []], [[], []]];
    words.forEach((word, index) => {
      const alpha = word >>> 24;
      if (alpha < 8) return;
      const [into, colours] = alpha > 247 ? opaque : edge;
      into.push((Math.floor(index / image.width) - half[1]) * width + (index % image.width) - half[0]);
      colours.push(word);
    });
    return { half, opaque: Int32Array.from(opaque[0]), colours: Uint32Array.from(opaque[1]),
      edge: Int32Array.from(edge[0]), edgeColours: Uint32Array.from(edge[1]) };
  }

  function blend(above, below) {
    const alpha = above >>> 24;
    const under = ((below >>> 24) * (255 - alpha)) / 255;
    const sum = alpha + under;
    const part = (shift) => ((((above >>> shift) & 255) * alpha + ((below >>> shift) & 255) * under) / sum) & 255;
    return ((sum << 24) | (part(16) << 16) | (part(8) << 8) | part(0)) >>> 0;
  }

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
     * `middleOf(look)`: where it is to be clicked, from its place, in CSS pixels.
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
        this._image = width && height ? this._context.createImageData(width, height) : null;
        this._pixels = this._image && new Uint32Array(this._image.data.buffer);
        this._cache = [];
        this._drawn = null;
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

    _copy(before, drawn) {
      const both = [before, drawn].filter((one) => one && one.right >= 0);
      if (!both.length) return;
      const [left, top] = [Math.min(...both.map((one) => one.left)), Math.min(...both.map((one) => one.top))];
      const [right, bottom] = [Math.max(...both.map((one) => one.right)), Math.max(...both.map((one) => one.bottom))];
      this._context.putImageData(this._image, 0, 0, left, top, right - left + 1, bottom - top + 1);
    },

    _order(look) {
      this._orders[look] ??= this._orderOf(look);
      return this._orders[look];
    },

    // Write a look's pixels around a pixel of the canvas, and let `drawn` reach as far.
    _put(x, y, look, drawn) {
      const { half, opaque, colours, edge, edgeColours } = this._cache[look] ?? this._sprite(look);
      const [left, top, right, bottom] = [x - half[0], y - half[1], x + half[0], y + half[1]];
      if (left < 0 || top < 0 || right >= this._width || bottom >= this._height) return;
      if (left < drawn.left) drawn.left = left;
      if (top < drawn.top) drawn.top = top;
      if (right > drawn.right) drawn.right = right;
      if (bottom > drawn.bottom) drawn.bottom = bottom;
      const pixels = this._pixels;
      const at = y * this._width + x;
      for (let i = 0; i < opaque.length; i += 1) pixels[at + opaque[i]] = colours[i];
      for (let i = 0; i < edge.length; i += 1) {
        const below = pixels[at + edge[i]];
        pixels[at + edge[i]] = below === 0 ? edgeColours[i] : blend(edgeColours[i], below);
      }
    },

    _paint() {
      this._asked = null;
      if (!this._map || !this._make || !this._image) return;
      const began = performance.now();
      const { _x: xs, _y: ys, _looks: looks, _ratio: ratio, _marked: marked } = this;
      const frame = this._frame();
      const scale = frame.scale * ratio;
      const left = (frame.left + this._bounds.min.x) * ratio;
      const top = (frame.top + this._bounds.min.y) * ratio;
      // Only rows and columns that have signs, now or before, are cleared and copied.
      const before = this._drawn;
      const { _width: width, _height: height } = this;
      if (before) this._pixels.fill(0, before.top * width, (before.bottom + 1) * width);
      const drawn = { left: width, top: height, right: -1, bottom: -1 };
      const place = (number, look) => {
        this._put(Math.round(xs[number] * scale - left), Math.round(ys[number] * scale - top), look, drawn);
      };
      const later = [];
      for (let number = 0; number < this._count; number += 1) {
        const look = looks[number];
        if (look === NONE) continue;
        if (this._order(look) > 0) later.push(number);
        else place(number, look);
      }
      later.sort((a, b) => this._order(looks[a]) - this._order(looks[b]) || a - b);
      for (const number of later) place(number, looks[number]);
      if (marked && this.lookOf(marked.number) !== NONE) place(marked.number, marked.look);
      this._copy(before, drawn);
      this._drawn = drawn.right < 0 ? null : drawn;
      this.fire('painted', { ms: performance.now() - began });
    },
  });

  L.dots = (options) => new L.Dots(options);
})();
