// The cache, live: fed by GET /kv/events as long as somebody looks.
import {time} from './answer.js';
import {Tile} from './chart.js';
import {SequenceColours} from './colours.js';
import {h} from './dom.js';
import {History, SequenceSpeeds} from './kv_history.js';
import {PoolMap} from './pool_map.js';
import {PrefixTreeView} from './prefix_tree.js';
import {RequestTable} from './request_table.js';
import {server} from './server_state.js';

const INTERVAL_MS = 500;
const RETRY_MS = 2000;

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
    this.counts = h('dl', {class: 'counts'});
    this.requests = new RequestTable();
    this.requestNote = h('p', {class: 'note'});
    this.treeNote = h('p', {class: 'note'});
    this.tree = new PrefixTreeView();
    this.legend = h('ul', {class: 'legend'});
    this.element = h('div', {class: 'cache-layout'},
      h('header', {class: 'cache-head'}, h('h1', {}, 'Cache'), this.state),
      h('div', {class: 'tiles'}, ...Object.values(this.tiles).map((tile) => tile.element)),
      panel('Blocks', this.poolNote, this.pools, this.legend),
      panel('Requests', this.requestNote, this.requests.element),
      panel('Prefix tree', this.treeNote, this.tree.element),
      panel('Since the server started', null, this.counts));
    this.redraw = () => this.maps.forEach((map) => map.draw());
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
    this.stream?.abort();
    this.stream = null;
  }

  async start() {
    this.stop();
    const stream = this.stream = new AbortController();
    try {
      for await (const {event, data} of await server.api.events(`kv/events?interval_ms=${INTERVAL_MS}`, stream.signal)) {
        if (stream.signal.aborted) return;
        if (event === 'stats') this.#showStats(JSON.parse(data));
        if (event === 'kv') this.#showPicture(JSON.parse(data));
        if (event === 'error') break;
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

  #showStats(stats) {
    history.add(stats);
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
    this.requestNote.textContent = `${stats.running} running, ${stats.waiting} waiting${stats.paused ? `, ${stats.paused} paused` : ''}`;
    this.#showCounts(stats);
  }

  #showCounts(s) {
    const mean = (times) => (times.count > 0 ? time(1000 * times.seconds / times.count) : '–');
    const rows = [['Answers finished', s.finished], ['Left by their clients', s.cancelled], ['Failed', s.failed], ['Refused, queue full', s.rejected],
      ['Prompt tokens', s.prompt_tokens], ['of them cached', s.cached_prompt_tokens],
      ['Generated tokens', s.generated_tokens], ['Blocks evicted', s.evicted_blocks],
      ['Pauses', s.pauses], ['Tokens computed again', s.recomputed_tokens],
      ['Mean wait in the queue', mean(s.queue)], ['Mean time between tokens', mean(s.token_gap)]];
    this.counts.replaceChildren(...rows.map(([name, value]) => h('div', {},
      h('dt', {}, name), h('dd', {}, typeof value === 'number' ? number.format(value) : value))));
  }

  #showPicture(kv) {
    this.colours.update(kv.sequences.filter((s) => s.blocks.some((n) => n > 0)).map((s) => s.id));
    this.speeds.update(kv.sequences);
    this.#showPools(kv);
    this.#showLegend(kv);
    this.requests.show(kv.sequences, kv.sequences_left_out, this.colours, this.speeds);
    const {blocks, tokens, evicted_blocks: evicted} = kv.tree;
    this.treeNote.textContent = `${number.format(tokens)} tokens in ${number.format(blocks)} blocks`
      + (evicted > 0 ? `, ${number.format(evicted)} evicted so far` : '');
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
    this.poolNote.textContent = `${number.format(kv.pool_tokens)} tokens, ${kv.block_tokens} in a block, ${bytes(whole)}`;
  }

  #showLegend(kv) {
    const {free, cached, used} = kv.groups[0].blocks;
    const shared = kv.groups[0].map.runs.some((state, i) => i % 2 === 0 && state === 2);
    const entry = (kind, text) => h('li', {}, h('span', {class: `swatch ${kind}`}), text);
    const owners = kv.sequences.filter((s) => s.blocks[0] > 0);
    this.legend.replaceChildren(
      entry('free', `free ${number.format(free)}`), entry('cached', `cached ${number.format(cached)}`),
      h('li', {}, h('span', {class: 'swatches'}, ...owners.slice(0, 8).map(
        (s) => h('span', {class: `swatch seq-${this.colours.of(s.id)}`}))), `in use ${number.format(used)}, a colour a request`),
      ...(shared ? [entry('shared', 'shared by several')] : []));
  }
}

export function open(main) {
  return new CacheView().attach(main);
}
