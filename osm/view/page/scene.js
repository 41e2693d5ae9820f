"use strict";
/* A scene on a canvas: tiles below, boxes above; moved and zoomed by pointer, touch and keys. */
class SceneView {
  /* onPick(point, reach): a click at a point of the scene; onMove(point or null): where the pointer is. */
  constructor(canvas, { tilePx, onPick, onMove, onTrouble }) {
    Object.assign(this, { canvas, tilePx, onPick, onMove, onTrouble });
    this.pen = canvas.getContext("2d");
    this.tiles = new Map();
    this.left = new AbortController();
    this.loading = 0;
    this.scene = null;
    this.layers = [];
    this.marked = null;
    this.pointers = new Map();
    new ResizeObserver(() => this.#resize()).observe(canvas);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 300), this.#place(event));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (event) => this.#up(event));
    canvas.addEventListener("pointerleave", () => this.onMove(null));
    canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  /* Show another scene: { number, width, height, levels }. */
  open(scene) {
    this.scene = scene;
    for (const tile of this.tiles.values()) tile.picture?.close();
    this.tiles = new Map();
    this.marked = null;
    // whoever waits for a large scene does not keep the next one waiting
    this.left.abort();
    this.left = new AbortController();
    this.fit();
  }

  /* Boxes to draw, the last on top: [{ boxes: [[x1, y1, x2, y2]], colour, dash }]. */
  draw(layers) { this.layers = layers; this.#later(); }

  mark(box) { this.marked = box; this.#later(); }

  fit() {
    if (!this.scene) return;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    this.x = this.scene.width / 2;
    this.y = this.scene.height / 2;
    this.fitted = Math.min(w / this.scene.width, h / this.scene.height) || 1;
    this.scale = this.fitted;
    this.whole = true;
    this.#later();
  }

  /* Centre a place, and zoom in until a box of it can be seen. */
  show(box) {
    const side = Math.max(box[2] - box[0], box[3] - box[1], 8);
    const wanted = Math.min(this.canvas.clientWidth, this.canvas.clientHeight) / (side * 8);
    this.scale = Math.max(this.scale, Math.min(4, wanted, this.#most()));
    [this.x, this.y] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    this.#pan(0, 0);
  }

  /* Zoom about a point of the canvas, its centre if none is given. */
  zoom(factor, point = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    if (!this.scene) return;
    const [sx, sy] = this.toScene(point);
    const least = Math.min(this.fitted * 0.8, 1 / devicePixelRatio);
    this.scale = Math.max(least, Math.min(this.#most(), this.scale * factor));
    const [tx, ty] = this.toScene(point);
    this.#pan(sx - tx, sy - ty);
  }

  full() { this.zoom(1 / devicePixelRatio / this.scale); }

  toScene([px, py]) {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    return [this.x + (px - w / 2) / this.scale, this.y + (py - h / 2) / this.scale];
  }

  toCanvas([x, y]) {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    return [(x - this.x) * this.scale + w / 2, (y - this.y) * this.scale + h / 2];
  }

  #most() { return Math.max(32, this.fitted * 2); }

  #pan(dx, dy) {
    // the scene fills the canvas where it can, but for a margin
    const within = (centre, extent, canvas) => {
      const half = Math.min(extent / 2, (canvas / 2 - 40) / this.scale);
      return Math.max(half, Math.min(extent - half, centre));
    };
    this.x = within(this.x + dx, this.scene.width, this.canvas.clientWidth);
    this.y = within(this.y + dy, this.scene.height, this.canvas.clientHeight);
    this.whole = false;
    this.#later();
  }

  #place(event) {
    const frame = this.canvas.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  }

  #down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.#place(event));
    // a second finger makes it a pinch, whatever the first did
    this.travelled = this.pointers.size > 1 ? Infinity : 0;
  }

  #move(event) {
    if (!this.scene) return;
    const now = this.#place(event);
    const before = this.pointers.get(event.pointerId);
    if (event.pointerType === "mouse") this.onMove(this.toScene(now));
    if (!before) return;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const apart = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      const middle = (one) => [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2];
      this.#pan((middle(before)[0] - middle(now)[0]) / this.scale, (middle(before)[1] - middle(now)[1]) / this.scale);
      this.zoom(apart(now) / apart(before), middle(now));
      return;
    }
    this.travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
    // a hand that trembles still clicks
    if (this.travelled > 4) this.#pan((before[0] - now[0]) / this.scale, (before[1] - now[1]) / this.scale);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId) || !this.scene) return;
    if (event.type === "pointerup" && this.travelled <= 4 && event.button === 0) {
      this.onPick(this.toScene(this.#place(event)), (event.pointerType === "mouse" ? 3 : 12) / this.scale);
    }
  }

  #key(event) {
    if (!this.scene || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = 60 / this.scale;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) this.#pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.5);
    else if (event.key === "-") this.zoom(1 / 1.5);
    else if (event.key === "0") this.fit();
    else if (event.key === "1") this.full();
    else return;
    event.preventDefault();
  }

  #resize() {
    const { clientWidth: w, clientHeight: h } = this.canvas;
    this.canvas.width = Math.max(1, Math.round(w * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(h * devicePixelRatio));
    if (this.whole) this.fit();
    this.#later();
  }

  #later() {
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.#paint(); });
  }

  #paint() {
    const { pen, scene } = this;
    pen.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
    pen.clearRect(0, 0, this.canvas.clientWidth, this.canvas.clientHeight);
    this.canvas.dataset.settled = "";
    if (!scene) return;
    if (scene.levels) this.#paintTiles();
    const [left, top] = this.toCanvas([0, 0]);
    pen.strokeStyle = "#6b757e";
    pen.lineWidth = 1;
    pen.strokeRect(left - 0.5, top - 0.5, scene.width * this.scale + 1, scene.height * this.scale + 1);
    const marked = this.marked ? [{ boxes: [this.marked], colour: "#fff", dash: [], grow: 7 }] : [];
    const layers = [...this.layers, ...marked];
    // dark edges first, so that boxes stand out on bright land too, and none hides another
    for (const layer of layers) this.#paintBoxes({ ...layer, colour: "#000a", dash: [] }, 4);
    for (const layer of layers) this.#paintBoxes(layer, 2);
  }

  #paintBoxes({ boxes, colour, dash, grow = 0 }, width) {
    const { pen } = this;
    const { clientWidth: w, clientHeight: h } = this.canvas;
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.beginPath();
    for (const box of boxes) {
      const [x1, y1] = this.toCanvas([box[0], box[1]]);
      const [x2, y2] = this.toCanvas([box[2], box[3]]);
      if (x2 < 0 || y2 < 0 || x1 > w || y1 > h) continue;
      // a ship of less than a few pixels of the screen is still a mark
      const px = Math.max(0, 5 - (x2 - x1)) / 2 + grow, py = Math.max(0, 5 - (y2 - y1)) / 2 + grow;
      // whole pixels: lines are sharp
      const [left, top] = [Math.round(x1 - px), Math.round(y1 - py)];
      pen.rect(left, top, Math.round(x2 + px) - left, Math.round(y2 + py) - top);
    }
    pen.stroke();
    pen.setLineDash([]);
  }

  /* Tiles of the level whose pixels come closest to those of the screen; below them what is there of coarser ones. */
  #paintTiles() {
    const { pen, scene } = this;
    const fine = Math.log2(1 / (this.scale * devicePixelRatio));
    const level = Math.max(0, Math.min(scene.levels - 1, Math.floor(fine + 0.3)));
    pen.imageSmoothingEnabled = this.scale * devicePixelRatio < 1;
    pen.save();
    pen.beginPath();
    pen.rect(...this.toCanvas([0, 0]), scene.width * this.scale, scene.height * this.scale);
    pen.clip();
    let open = 0;
    for (let one = scene.levels - 1; one >= level; one--) {
      const wanted = one === level || one === scene.levels - 1;
      for (const [column, row] of this.#inView(one)) {
        const key = `${one}/${column}/${row}`;
        if (wanted) this.#want(key);
        const tile = this.tiles.get(key);
        if (!tile?.picture) { open += one === level && !tile?.failed; continue; }
        const side = 2 ** one;
        // edges on whole pixels of the screen: no seams between tiles
        const snap = (point) => this.toCanvas(point).map((value) => Math.round(value * devicePixelRatio) / devicePixelRatio);
        const [x, y] = [column * this.tilePx, row * this.tilePx];
        const [left, top] = snap([x * side, y * side]);
        const [right, bottom] = snap([(x + tile.picture.width) * side, (y + tile.picture.height) * side]);
        pen.drawImage(tile.picture, left, top, right - left, bottom - top);
      }
    }
    pen.restore();
    if (!open) this.canvas.dataset.settled = `${scene.number}`;
  }

  *#inView(level) {
    const side = this.tilePx * 2 ** level;
    const [x1, y1] = this.toScene([0, 0]);
    const [x2, y2] = this.toScene([this.canvas.clientWidth, this.canvas.clientHeight]);
    const last = (end, extent) => Math.min(Math.floor(end / side), Math.ceil(extent / side) - 1);
    for (let row = Math.max(0, Math.floor(y1 / side)); row <= last(y2, this.scene.height); row++) {
      for (let column = Math.max(0, Math.floor(x1 / side)); column <= last(x2, this.scene.width); column++) {
        yield [column, row];
      }
    }
  }

  #busy(change) {
    this.loading += change;
    this.canvas.parentElement.toggleAttribute("data-busy", this.loading > 0);
  }

  /* Ask for a tile, six at a time; whoever has to wait is asked for again when the next picture is painted. */
  async #want(key) {
    if (this.tiles.has(key) || this.loading >= 6) return;
    const { scene, tiles } = this;
    const tile = {};
    tiles.set(key, tile);
    this.#busy(1);
    try {
      const reply = await fetch(`tile/${scene.number}/${key}`, { signal: this.left.signal });
      if (!reply.ok) throw new Error((await reply.json()).error);
      const broken = reply.headers.get("X-Broken");
      if (broken && scene === this.scene) this.onTrouble(decodeURIComponent(broken));
      tile.picture = await createImageBitmap(await reply.blob());
      if (scene !== this.scene) tile.picture.close();
    } catch (error) {
      tile.failed = true;
      if (scene === this.scene) this.onTrouble(error.message);
    }
    this.#busy(-1);
    // the oldest go first; those in view are asked for again
    for (const old of tiles.size > 600 ? [...tiles.keys()].slice(0, 200) : []) {
      tiles.get(old).picture?.close();
      tiles.delete(old);
    }
    this.#later();
  }
}
