// The prefix tree as a picture: tokens run to the right, branches lie below each other, a run of tokens is a bar.
// Below it the same as a table.
import {time} from './answer.js';
import {h, svg} from './dom.js';

const ROW = 24, GAP = 3, AXIS = 20;
const MOST_ROWS = 36;
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

export class PrefixTreeView {
  constructor() {
    this.picture = svg('svg', {class: 'tree-picture', role: 'img'});
    this.note = h('p', {class: 'note'});
    this.body = h('tbody');
    this.table = h('details', {class: 'tree-table'}, h('summary', {}, 'As a table'),
      h('div', {class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Prefix tree as a table'},
        h('table', {}, h('thead', {}, h('tr', {}, ...['Run', 'After', 'From token', 'Tokens', 'Hits', 'Used by', 'Idle'].map(
          (name) => h('th', {scope: 'col'}, name)))), this.body)));
    this.element = h('div', {class: 'tree'}, this.picture, this.note, this.table);
    this.table.addEventListener('toggle', () => this.tree && this.#fillTable());
    this.observer = new ResizeObserver(() => this.tree && this.#draw());
    this.observer.observe(this.element);
  }

  close() {
    this.observer.disconnect();
  }

  show(tree) {
    this.tree = tree;
    this.#draw();
    if (this.table.open) this.#fillTable();
  }

  #draw() {
    const {nodes, blocks, nodes_left_out: leftOutAtServer} = this.tree;
    const width = Math.max(200, Math.floor(this.element.clientWidth));
    const {placed, rows, leftOut} = layOut(nodes);
    const tokens = Math.max(16, ...placed.map(({node}) => node.start + node.tokens));
    const height = AXIS + Math.max(1, rows) * ROW;
    const x = (token) => token / tokens * width;
    this.picture.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.picture.setAttribute('width', width);
    this.picture.setAttribute('height', height);
    this.picture.setAttribute('aria-label',
      `Prefix tree: ${blocks} blocks in ${nodes.length} runs, the longest path has ${tokens} tokens`);
    const parts = [];
    for (let at = axisStep(tokens); at < tokens; at += axisStep(tokens)) {
      parts.push(svg('line', {class: 'axis', x1: x(at), x2: x(at), y1: AXIS - 4, y2: height}),
        svg('text', {class: 'axis', x: x(at) - 4, y: 11, 'text-anchor': 'end'}, String(at)));
    }
    parts.push(svg('text', {class: 'axis', x: 0, y: 11}, 'token 0'));
    for (const {node, row, rows: span} of placed) parts.push(this.#bar(node, row, span, x));
    this.picture.replaceChildren(...parts);
    const hidden = leftOut + leftOutAtServer;
    this.note.textContent = nodes.length === 0 ? 'Nothing is cached yet.'
      : hidden > 0 ? `${hidden} more runs, used longer ago, are not shown.` : '';
  }

  #bar(node, row, span, x) {
    const left = x(node.start), width = Math.max(3, x(node.start + node.tokens) - left - GAP);
    const top = AXIS + row * ROW, height = span * ROW - GAP;
    const group = svg('g', {class: node.sequences > 0 ? 'run used' : 'run cached'},
      svg('title', {}, describe(node)),
      svg('rect', {x: left, y: top, width, height, rx: 4,
        'fill-opacity': node.sequences > 0 ? 1 : (0.25 + 0.75 * freshness(node.idle_ms)).toFixed(2)}));
    if (width > LABEL_WIDTH) group.append(this.#label(node, left, top, width, height));
    return group;
  }

  // As much as there is room for.
  #label(node, left, top, width, height) {
    const use = node.sequences > 0 ? `in use by ${node.sequences}` : node.idle_ms < 1000 ? 'just now' : `${time(node.idle_ms)} ago`;
    const words = [`${node.tokens} tokens`, ...(node.hits > 0 ? [`×${node.hits}`] : []), use];
    const room = Math.floor(width / 7.2);
    let text = words[0].length <= room ? words[0] : String(node.tokens);
    for (const word of words.slice(1)) {
      if (`${text} · ${word}`.length <= room) text += ` · ${word}`;
    }
    return svg('text', {x: left + 7, y: top + Math.min(height, 3 * ROW) / 2 + 4}, text);
  }

  #fillTable() {
    this.body.replaceChildren(...this.tree.nodes.map((node) => h('tr', {}, ...[
      node.id, node.parent ?? '–', node.start, node.tokens, node.hits, node.sequences || '–', time(node.idle_ms),
    ].map((value) => h('td', {}, String(value))))));
  }
}
