// The cache, live: fed by GET /kv/events as long as somebody looks.
import {time} from './answer.js';
import {Tile} from './chart.js';
import {SequenceColours} from './colours.js';
import {h} from './dom.js';
import {History, SequenceSpeeds} from './kv_history.js';
import {setAttributes, setText, ViewList} from './live_dom.js';
import {PoolMap} from './pool_map.js';
import {PrefixTreeView} from './prefix_tree.js';
import {RequestTable} from './request_table.js';
import {server} from './server_state.js';

const INTERVAL_MS = 1000;
const RETRY_MS = 2000;
const TOGETHER_MS = 120;  // what comes within is drawn at once: a picture comes a step after the numbers of its time

const number = new Intl.NumberFormat('en', {maximumFractionDigits: 0});

function bytes(count) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  for (; count >= 1024 && at + 1 < units.length; ++at) count /= 1024;
  return `${count.toFixed(count < 10 && at > 0 ? 1 : 0)} ${units[at]}`;
}

function panel(title, note, ...children) {
  return h('section', {class: 'panel', 'aria-label': title}, h('header', {}, h('h2', {}, title), note), ...children);
}

const history = new History();  // outlives the view: who comes back sees the last minute, with a gap

class Count {
  constructor() {
    this.name = h('dt');
    this.value = h('dd');
    this.element = h('div', {}, this.name, this.value);
  }

  show([name, value]) {
    setText(this.name, name);
    setText(this.value, typeof value === 'number' ? number.format(value) : value);
  }
}

// What the colours of the map mean, and how many blocks each has.
class Legend {
  constructor() {
    const entry = (kind, text) => h('li', {}, h('span', {class: `swatch ${kind}`}), text);
    this.free = h('span');
    this.cached = h('span');
    this.used = h('span');
    const swatches = h('span', {class: 'swatches'});
    this.owners = new ViewList(swatches, () => {
      const element = h('span');
      return {element, show: (colour) => setAttributes(element, {class: `swatch seq-${colour}`})};
    });
    this.shared = entry('shared', 'shared by several');
    this.element = h('ul', {class: 'legend'}, entry('free', this.free), entry('cached', this.cached),
      h('li', {}, swatches, this.used), this.shared);
  }

  show({groups: [{blocks, map}], sequences}, colours) {
    setText(this.free, `free ${number.format(blocks.free)}`);
    setText(this.cached, `cached ${number.format(blocks.cached)}`);
    setText(this.used, `in use ${number.format(blocks.used)}, a colour a request`);
    this.owners.show(sequences.filter((s) => s.blocks[0] > 0).slice(0, 8).map((s) => colours.of(s.id)));
    this.shared.hidden = !map.runs.some((state, i) => i % 2 === 0 && state === 2);
  }
}

class CacheView {
  constructor() {
    this.colours = new SequenceColours();
    this.speeds = new SequenceSpeeds();
    this.maps = [];  // of each group
    this.tiles = {
      decode: new Tile('Generated', {unit: 'tok/s'}),
      prefill: new Tile('Prompts computed', {unit: 'tok/s'}),
      hits: new Tile('Hit rate', {most: 1}),
      first: new Tile('Time to first token'),
    };
    this.state = h('p', {class: 'live', role: 'status'}, 'connecting');
    this.poolNote = h('p', {class: 'note'});
    this.pools = h('div', {class: 'pools'});
    const counts = h('dl', {class: 'counts'});
    this.counts = new ViewList(counts, () => new Count());
    this.requests = new RequestTable();
    this.requestNote = h('p', {class: 'note'});
    this.treeNote = h('p', {class: 'note'});
    this.tree = new PrefixTreeView();
    this.legend = new Legend();
    this.element = h('div', {class: 'cache-layout'},
      h('header', {class: 'cache-head'}, h('h1', {}, 'Cache'), this.state),
      h('div', {class: 'tiles'}, ...Object.values(this.tiles).map((tile) => tile.element)),
      panel('Blocks', this.poolNote, this.pools, this.legend.element),
      panel('Requests', this.requestNote, this.requests.element),
      panel('Prefix tree', this.treeNote, this.tree.element),
      panel('Since the server started', null, counts));
    this.redraw = () => this.maps.forEach((map) => map.drawAnew());
    this.watch = () => (document.hidden ? this.stop() : this.start());
    this.onServer = () => server.status === 'ready' && !this.stream && this.start();
  }

  attach(main) {
    main.append(this.element);
    addEventListener('themechange', this.redraw);
    document.addEventListener('visibilitychange', this.watch);
    server.addEventListener('change', this.onServer);
    this.watch();
    return () => {
      removeEventListener('themechange', this.redraw);
      document.removeEventListener('visibilitychange', this.watch);
      server.removeEventListener('change', this.onServer);
      this.stop();
      this.tree.close();
      this.maps.forEach((map) => map.close());
    };
  }

  stop() {
    clearTimeout(this.timer);
    clearTimeout(this.drawing);
    this.drawing = 0;
    this.stream?.abort();
    this.stream = null;
  }

  async start() {
    this.stop();
    const stream = this.stream = new AbortController();
    try {
      for await (const {event, data} of await server.api.events(`kv/events?interval_ms=${INTERVAL_MS}`, stream.signal)) {
        if (stream.signal.aborted) return;
        if (event === 'error') break;
        const news = JSON.parse(data);
        if (event === 'stats') history.add(this.stats = news);
        if (event === 'kv') this.speeds.update((this.kv = news).sequences);
        this.drawing ||= setTimeout(() => this.#draw(), TOGETHER_MS);
        this.#say('live', 'live');
      }
    } catch (error) {
      if (stream.signal.aborted) return;
      this.#say('gone', error.message);
    }
    if (stream !== this.stream) return;
    this.stream = null;
    if (server.status === 'ready') server.look();  // it may be gone, or want a key
    this.timer = setTimeout(() => this.start(), RETRY_MS);
  }

  #say(state, text) {
    if (this.state.textContent === text) return;
    this.state.dataset.state = state;
    this.state.textContent = text;
  }

  #draw() {
    this.drawing = 0;
    if (this.stats) this.#showStats(this.stats);
    if (this.kv) this.#showPicture(this.kv);
    this.stats = this.kv = null;
  }

  #showStats(stats) {
    const {tiles} = this;
    const {points} = history;
    const speed = (name) => {
      const value = history.value(name) ?? 0;
      return value < 10 ? value.toFixed(1) : number.format(value);
    };
    const peak = (name) => `peak ${number.format(Math.max(0, ...points[name].map(({value}) => value ?? 0)))} in the last minute`;
    tiles.decode.show(speed('decode'), peak('decode'), points.decode);
    tiles.prefill.show(speed('prefill'), peak('prefill'), points.prefill);
    const hits = history.lastValue('hits'), whole = history.hitRate();
    tiles.hits.show(hits === null ? '–' : `${Math.round(100 * hits)} %`,
      whole === null ? 'no prompt in the last minute' : `${Math.round(100 * whole)} % of prompt tokens while you watched`, points.hits);
    const first = history.lastValue('first');
    tiles.first.show(first === null ? '–' : time(1000 * first),
      first === null ? 'no answer in the last minute' : 'mean of ten seconds', points.first);
    setText(this.requestNote, `${stats.running} running, ${stats.waiting} waiting${stats.paused ? `, ${stats.paused} paused` : ''}`);
    this.#showCounts(stats);
  }

  #showCounts(s) {
    const mean = (times) => (times.count > 0 ? time(1000 * times.seconds / times.count) : '–');
    this.counts.show([['Answers finished', s.finished], ['Left by their clients', s.cancelled], ['Failed', s.failed], ['Refused, queue full', s.rejected],
      ['Prompt tokens', s.prompt_tokens], ['of them cached', s.cached_prompt_tokens],
      ['Generated tokens', s.generated_tokens], ['Blocks evicted', s.evicted_blocks],
      ...(s.host?.total > 0 ? [['Blocks kept on the host', s.host.kept], ['Blocks back from there', s.host.loaded_blocks]] : []),
      ['Pauses', s.pauses], ['Tokens computed again', s.recomputed_tokens],
      ['Mean wait in the queue', mean(s.queue)], ['Mean time between tokens', mean(s.token_gap)]]);
  }

  #showPicture(kv) {
    this.colours.update(kv.sequences.filter((s) => s.blocks.some((n) => n > 0)).map((s) => s.id));
    this.#showPools(kv);
    this.legend.show(kv, this.colours);
    this.requests.show(kv.sequences, kv.sequences_left_out, this.colours, this.speeds);
    const {blocks, tokens, evicted_blocks: evicted} = kv.tree;
    setText(this.treeNote, `${number.format(tokens)} tokens in ${number.format(blocks)} blocks`
      + (evicted > 0 ? `, ${number.format(evicted)} evicted so far` : ''));
    this.tree.show(kv.tree);
  }

  #showPools(kv) {
    while (this.maps.length < kv.groups.length) {
      const {window} = kv.groups[this.maps.length];
      const name = kv.groups.length === 1 ? 'Blocks' : window > 0 ? `Sliding window of ${window} tokens` : 'Full attention';
      const map = new PoolMap(name);
      this.maps.push(map);
      if (kv.groups.length > 1) this.pools.append(h('h3', {}, name));
      this.pools.append(map.element);
    }
    kv.groups.forEach((group, i) => this.maps[i].show(group, kv.sequences, this.colours));
    const whole = kv.groups.reduce((sum, group) => sum + group.bytes, 0);
    setText(this.poolNote, `${number.format(kv.pool_tokens)} tokens, ${kv.block_tokens} in a block, ${bytes(whole)}`);
  }
}

export function open(main) {
  return new CacheView().attach(main);
}
