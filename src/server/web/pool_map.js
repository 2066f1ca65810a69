// The pool as a map: one square a block (or some neighbours, in a large pool), by who holds it.
import {h} from './dom.js';
import {styleColours} from './colours.js';
import {setAttributes} from './live_dom.js';

const FREE = 0, CACHED = 1, SHARED = 2, FIRST_OWNER = 3;
const LARGEST = 18, SMALLEST = 4;  // pixels of a square, its gap included
const MOST_HEIGHT = 300;

// The side of a square with which `count` of them fill the width and not too much height.
function sideFor(count, width) {
  for (let side = LARGEST; side > SMALLEST; --side) {
    if (Math.ceil(count / Math.floor(width / side)) * side <= MOST_HEIGHT) return side;
  }
  return SMALLEST;
}

export class PoolMap {
  constructor(name) {
    this.canvas = h('canvas', {class: 'pool-map', role: 'img'});
    this.hint = h('div', {class: 'tip', hidden: true});
    this.element = h('div', {class: 'pool'}, h('div', {class: 'pool-canvas'}, this.canvas, this.hint));
    this.name = name;
    this.canvas.addEventListener('pointermove', (event) => this.#point(event));
    this.canvas.addEventListener('pointerleave', () => { this.hint.hidden = true; });
    this.observer = new ResizeObserver(([{contentRect}]) => {
      this.width = Math.floor(contentRect.width);
      this.draw();
    });
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
  }

  show(group, sequences, colours) {
    this.cells = [];
    const {runs, blocks_per_cell: perCell} = group.map;
    for (let i = 0; i < runs.length; i += 2) {
      for (let n = 0; n < runs[i + 1]; ++n) this.cells.push(runs[i]);
    }
    this.perCell = perCell;
    this.sequences = sequences;
    this.colours = colours;
    const {total, free, cached, used} = group.blocks;
    setAttributes(this.canvas,
      {'aria-label': `${this.name}: of ${total} blocks ${used} are in use, ${cached} cached, ${free} free`});
    this.draw();
  }

  // All of it: the page has other colours now.
  drawAnew() {
    this.palette = null;
    this.draw();
  }

  // The squares whose colour is another than before. The wrapper's width decides, so that the page can be of any.
  draw() {
    const {width} = this;
    if (!this.cells || !(width >= SMALLEST)) return;
    const side = sideFor(this.cells.length, width);
    const perRow = Math.floor(width / side);
    const height = Math.ceil(this.cells.length / perRow) * side;
    const scale = devicePixelRatio || 1;
    const shape = [side, perRow, height, scale].join();
    if (shape !== this.shape || !this.palette) {
      Object.assign(this, {shape, side, perRow, palette: styleColours(), painted: []});
      this.canvas.width = Math.round(width * scale);  // clears it, too
      this.canvas.height = Math.round(height * scale);
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    this.cells.forEach((state, i) => {
      const colour = this.#colour(state);
      if (this.painted[i] === colour) return;
      this.painted[i] = colour;
      this.#paint(i, colour, scale);
    });
  }

  #paint(cell, colour, scale) {
    const {side} = this;
    const gap = side > 7 ? 2 : 1;
    const x = (cell % this.perRow) * side, y = Math.floor(cell / this.perRow) * side;
    const context = this.context ??= this.canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.fillStyle = colour;
    if (side < 8) {
      context.fillRect(x, y, side - gap, side - gap);
    } else {
      context.clearRect(x, y, side, side);  // or its corners would keep a rim of the colour before
      context.beginPath();
      context.roundRect(x, y, side - gap, side - gap, side / 6);
      context.fill();
    }
  }

  #owner(state) {
    return this.sequences[state - FIRST_OWNER];
  }

  #colour(state) {
    const {palette} = this;
    if (state === FREE) return palette.free;
    if (state === CACHED) return palette.cached;
    if (state === SHARED) return palette.shared;
    return palette.sequences[this.colours.of(this.#owner(state)?.id)];
  }

  #point({offsetX, offsetY}) {
    const column = Math.floor(offsetX / this.side);
    const cell = Math.floor(offsetY / this.side) * this.perRow + column;
    const state = column < this.perRow ? this.cells?.[cell] : undefined;
    this.hint.hidden = state === undefined;
    if (state === undefined) return;
    const first = cell * this.perCell;
    const what = state === FREE ? 'free' : state === CACHED ? 'cached, free to be used again'
      : state === SHARED ? 'in use by several' : `in use by ${this.#owner(state)?.id ?? 'a request'}`;
    this.hint.textContent = `${this.perCell > 1 ? `blocks ${first} to ${first + this.perCell - 1}, most` : `block ${first}`}: ${what}`;
    this.hint.style.left = `${Math.min(offsetX + 12, this.width - 180)}px`;
    this.hint.style.top = `${offsetY + 16}px`;
  }
}
