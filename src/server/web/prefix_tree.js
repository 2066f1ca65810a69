// The prefix tree as a picture: tokens run to the right, branches lie below each other, a run of tokens is a bar.
// Below it the same as a table.
import {time} from './answer.js';
import {h, svg} from './dom.js';
import {setAttributes, setText, ViewList} from './live_dom.js';

const ROW = 24, GAP = 3, AXIS = 20;
const MOST_ROWS = 36;
const COLUMNS = ['Run', 'After', 'From token', 'Tokens', 'Hits', 'Used by', 'Idle'];
const LABEL_WIDTH = 54;  // a bar narrower than this has no words

// Gives each run a row and how many rows it spans: a leaf takes one, a parent as many as its leaves.
export function layOut(nodes) {
  const placed = [];
  let row = 0;
  let leftOut = 0;
  const roots = nodes.filter((n) => n.parent === null);
  const place = (node) => {
    if (row >= MOST_ROWS) {
      ++leftOut;
      return false;
    }
    const first = row;
    const entry = {node, row: first, rows: 1};
    placed.push(entry);
    for (const child of node.children) place(nodes[child]);
    if (row === first) ++row;
    entry.rows = row - first;
    return true;
  };
  for (const root of roots) place(root);
  return {placed, rows: row, leftOut};
}

// How much a cached run has faded: 1 just used, towards 0 after ten minutes.
function freshness(idleMs) {
  return Math.max(0, 1 - Math.log10(1 + idleMs / 1000) / Math.log10(601));
}

function describe(node) {
  const use = node.sequences > 0 ? `in use by ${node.sequences}` : `last used ${time(node.idle_ms)} ago`;
  return `${node.tokens} tokens from ${node.start}, hit ${node.hits} times, ${use}`;
}

function axisStep(tokens) {
  for (const step of [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768]) {
    if (tokens / step <= 6) return step;
  }
  return 65536;
}

// As much as there is room for.
function label(node, width) {
  const use = node.sequences > 0 ? `in use by ${node.sequences}` : node.idle_ms < 1000 ? 'just now' : `${time(node.idle_ms)} ago`;
  const words = [`${node.tokens} tokens`, ...(node.hits > 0 ? [`×${node.hits}`] : []), use];
  const room = Math.floor(width / 7.2);
  let text = words[0].length <= room ? words[0] : String(node.tokens);
  for (const word of words.slice(1)) {
    if (`${text} · ${word}`.length <= room) text += ` · ${word}`;
  }
  return text;
}

class Bar {
  constructor() {
    this.title = svg('title');
    this.box = svg('rect', {rx: 4});
    this.text = svg('text');
    this.element = svg('g', {}, this.title, this.box, this.text);
  }

  // `x` is the place of a token.
  show({node, row, rows, x}) {
    const left = x(node.start), width = Math.max(3, x(node.start + node.tokens) - left - GAP);
    const top = AXIS + row * ROW, height = rows * ROW - GAP;
    const used = node.sequences > 0;
    setAttributes(this.element, {class: used ? 'run used' : 'run cached'});
    setText(this.title, describe(node));
    setAttributes(this.box, {x: left.toFixed(1), y: top, width: width.toFixed(1), height,
      'fill-opacity': used ? 1 : (0.25 + 0.75 * freshness(node.idle_ms)).toFixed(2)});
    setAttributes(this.text, {x: (left + 7).toFixed(1), y: top + Math.min(height, 3 * ROW) / 2 + 4});
    setText(this.text, width > LABEL_WIDTH ? label(node, width) : '');
  }
}

class Tick {
  constructor() {
    this.line = svg('line', {class: 'axis', y1: AXIS - 4});
    this.text = svg('text', {class: 'axis', y: 11, 'text-anchor': 'end'});
    this.element = svg('g', {}, this.line, this.text);
  }

  show({token, x, height}) {
    const place = x(token).toFixed(1);
    setAttributes(this.line, {x1: place, x2: place, y2: height});
    setAttributes(this.text, {x: x(token) - 4});
    setText(this.text, String(token));
  }
}

class TableRow {
  constructor() {
    this.cells = COLUMNS.map(() => h('td'));
    this.element = h('tr', {}, this.cells);
  }

  show(node) {
    const values = [node.id, node.parent ?? '–', node.start, node.tokens, node.hits, node.sequences || '–', time(node.idle_ms)];
    this.cells.forEach((cell, i) => setText(cell, String(values[i])));
  }
}

export class PrefixTreeView {
  constructor() {
    const zero = svg('text', {class: 'axis', x: 0, y: 11}, 'token 0');
    this.picture = svg('svg', {class: 'tree-picture', role: 'img'}, zero);
    this.ticks = new ViewList(this.picture, () => new Tick(), zero);
    this.bars = new ViewList(this.picture, () => new Bar());
    this.note = h('p', {class: 'note'});
    const body = h('tbody');
    this.rows = new ViewList(body, () => new TableRow());
    this.table = h('details', {class: 'tree-table'}, h('summary', {}, 'As a table'),
      h('div', {class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Prefix tree as a table'},
        h('table', {}, h('thead', {}, h('tr', {}, ...COLUMNS.map((name) => h('th', {scope: 'col'}, name)))), body)));
    this.element = h('div', {class: 'tree'}, this.picture, this.note, this.table);
    this.table.addEventListener('toggle', () => this.tree && this.#fillTable());
    this.observer = new ResizeObserver(([{contentRect}]) => {
      this.width = Math.floor(contentRect.width);
      if (this.tree) this.#draw();
    });
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
  }

  show(tree) {
    this.tree = tree;
    this.#draw();
    this.#fillTable();
  }

  #draw() {
    if (this.width === undefined) return;
    const {nodes, blocks, nodes_left_out: leftOutAtServer} = this.tree;
    const width = Math.max(200, this.width);
    const {placed, rows, leftOut} = layOut(nodes);
    const tokens = Math.max(16, ...placed.map(({node}) => node.start + node.tokens));
    const height = AXIS + Math.max(1, rows) * ROW;
    const x = (token) => token / tokens * width;
    setAttributes(this.picture, {viewBox: `0 0 ${width} ${height}`, width, height,
      'aria-label': `Prefix tree: ${blocks} blocks in ${nodes.length} runs, the longest path has ${tokens} tokens`});
    const step = axisStep(tokens);
    const ticks = [];
    for (let token = step; token < tokens; token += step) ticks.push({token, x, height});
    this.ticks.show(ticks);
    this.bars.show(placed.map((entry) => ({...entry, x})));
    const hidden = leftOut + leftOutAtServer;
    setText(this.note, nodes.length === 0 ? 'Nothing is cached yet.'
      : hidden > 0 ? `${hidden} more runs, used longer ago, are not shown.` : '');
  }

  #fillTable() {
    if (this.table.open) this.rows.show(this.tree.nodes);
  }
}
