// The radiograph: window, zoom, inversion, and a heat map in colours over it.

// Every 15th colour of viridis, as in models/explain.py.
const VIRIDIS = (
  "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e 1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f " +
  "d8e219 fde725"
).split(" ").map((colour) => [0, 2, 4].map((at) => parseInt(colour.slice(at, at + 2), 16)));
const MAP_LONG_SIDE_PX = 256;
const CLOSEST = 12;

function viridis(heat) {
  const at = heat * (VIRIDIS.length - 1);
  const below = Math.min(Math.floor(at), VIRIDIS.length - 2);
  return VIRIDIS[below].map((low, channel) => low + (at - below) * (VIRIDIS[below + 1][channel] - low));
}

// The value of a grid of cells at a place in [0, 1) of its width and height; linear between the middles of cells.
function between(values, across, down) {
  const side = (count, place) => {
    const at = Math.min(Math.max(place * count - 0.5, 0), count - 1);
    const first = Math.min(Math.floor(at), Math.max(count - 2, 0));
    return [first, Math.min(first + 1, count - 1), at - first];
  };
  const [top, bottom, y] = side(values.length, down);
  const [left, right, x] = side(values[0].length, across);
  const row = (cells) => cells[left] * (1 - x) + cells[right] * x;
  return row(values[top]) * (1 - y) + row(values[bottom]) * y;
}

class Viewer {
  constructor(root) {
    this.stage = root.querySelector(".stage");
    this.film = root.querySelector(".film");
    this.image = root.querySelector(".radiograph");
    this.heat = root.querySelector(".heat");
    this.windowing = root.querySelectorAll("#thorax-window feComponentTransfer > *");
    this.drags = "window";
    this.reset();
    new ResizeObserver(() => this.lay()).observe(this.stage);
    this.stage.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.onDown(event));
    this.stage.addEventListener("dblclick", () => this.fit());
    this.image.addEventListener("load", () => this.lay());
  }

  show(picture, words) {
    this.image.src = picture;
    this.image.alt = `Chest radiograph, ${words}`;
    this.film.hidden = false;
    this.heat.hidden = true;
    this.reset();
    this.apply();
  }

  reset() {
    Object.assign(this, { centre: 0.5, width: 1, inverted: false });
    this.fit();
  }

  fit() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.apply();
  }

  lay() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    if (!width) return;
    const scale = Math.min(this.stage.clientWidth / width, this.stage.clientHeight / height);
    this.film.style.width = `${width * scale}px`;
    this.film.style.height = `${height * scale}px`;
  }

  apply() {
    // A grey g becomes (g - lower edge) / width, and one minus that where it is inverted.
    const sign = this.inverted ? -1 : 1;
    const slope = sign / this.width;
    const intercept = (this.inverted ? 1 : 0) - slope * (this.centre - this.width / 2);
    for (const channel of this.windowing) {
      channel.setAttribute("slope", slope);
      channel.setAttribute("intercept", intercept);
    }
    const plain = !this.inverted && this.width === 1 && this.centre === 0.5;
    this.image.style.filter = plain ? "none" : "url(#thorax-window)";
    this.film.style.transform = `translate(-50%, -50%) translate(${this.x}px, ${this.y}px) scale(${this.zoom})`;
  }

  invert() {
    this.inverted = !this.inverted;
    this.apply();
    return this.inverted;
  }

  // Zooms by a factor and leaves the point under (x, y), px from the middle of the stage, where it is.
  zoomBy(factor, x = 0, y = 0) {
    const zoom = Math.min(Math.max(this.zoom * factor, 0.5), CLOSEST);
    this.x = x - ((x - this.x) * zoom) / this.zoom;
    this.y = y - ((y - this.y) * zoom) / this.zoom;
    this.zoom = zoom;
    this.apply();
  }

  onWheel(event) {
    if (this.film.hidden) return;
    event.preventDefault();
    const box = this.stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - box.width / 2, event.clientY - box.top - box.height / 2];
    this.zoomBy(Math.exp(-event.deltaY / 500), x, y);
  }

  onDown(event) {
    if (this.film.hidden || event.button > 1) return;
    this.stage.setPointerCapture(event.pointerId);
    const moves = this.drags === "move" || event.shiftKey || event.button === 1;
    const drag = (moved) => (moves ? this.moveBy(moved.movementX, moved.movementY) : this.windowBy(moved.movementX, moved.movementY));
    this.stage.addEventListener("pointermove", drag);
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, () => this.stage.removeEventListener("pointermove", drag), { once: true });
    }
  }

  moveBy(x, y) {
    this.x += x;
    this.y += y;
    this.apply();
  }

  // Right widens the window, down raises its centre, as on a workstation; the stage is two whole ranges wide.
  windowBy(x, y) {
    this.width = Math.min(Math.max(this.width + (2 * x) / this.stage.clientWidth, 0.02), 2);
    this.centre = Math.min(Math.max(this.centre + y / this.stage.clientHeight, 0), 1);
    this.apply();
  }

  // Colours a map over the part of the radiograph that the model saw; the hotter, the less of it shows.
  drawMap(values, { rows, columns, region }) {
    const scale = MAP_LONG_SIDE_PX / Math.max(rows, columns);
    const [width, height] = [Math.max(1, Math.round(columns * scale)), Math.max(1, Math.round(rows * scale))];
    const hottest = Math.max(...values.flat());
    Object.assign(this.heat, { width, height });
    const context = this.heat.getContext("2d");
    const pixels = context.createImageData(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const across = (((x + 0.5) / width) * columns - region.left) / (region.right - region.left);
        const down = (((y + 0.5) / height) * rows - region.top) / (region.bottom - region.top);
        const inside = across >= 0 && across < 1 && down >= 0 && down < 1 && hottest > 0;
        const heat = inside ? between(values, across, down) / hottest : 0;
        pixels.data.set([...viridis(heat), 255 * heat], 4 * (y * width + x));
      }
    }
    context.putImageData(pixels, 0, 0);
  }
}
