// A minute of the engine's counters, and the rates between them.

export const SPAN_MS = 60000;
const SMOOTH_MS = 2000;  // a rate is over the last two seconds
const HIT_WINDOW_MS = 10000;  // hits and first tokens come seldom: over ten
const GAP_MS = 3000;  // nobody looked for so long: the line has a hole

export class History {
  constructor() {
    this.samples = [];  // `stats` events, oldest first
    this.points = {decode: [], prefill: [], hits: [], first: []};  // {time, value}; null: nothing to tell
  }

  get last() {
    return this.samples[this.samples.length - 1];
  }

  // A server that started anew counts from zero.
  add(stats) {
    if (this.last && (stats.time_ms < this.last.time_ms || stats.steps < this.last.steps)) {
      Object.assign(this, new History());
    }
    if (this.last && stats.time_ms - this.last.time_ms > GAP_MS) {
      for (const points of Object.values(this.points)) points.push({time: this.last.time_ms, value: null});
    }
    this.samples.push(stats);
    const now = stats.time_ms;
    while (this.samples[0].time_ms < now - SPAN_MS - HIT_WINDOW_MS) this.samples.shift();
    const recent = this.#before(now - SMOOTH_MS);
    const older = this.#before(now - HIT_WINDOW_MS);
    this.#point('decode', rate(recent, stats, (s) => s.generated_tokens));
    this.#point('prefill', rate(recent, stats, (s) => s.computed_prompt_tokens + s.recomputed_tokens));
    this.#point('hits', ratio(stats.cached_prompt_tokens - older.cached_prompt_tokens,
      stats.prompt_tokens - older.prompt_tokens));
    this.#point('first', ratio(stats.first_token.seconds - older.first_token.seconds,
      stats.first_token.count - older.first_token.count));
  }

  value(name) {
    return this.points[name][this.points[name].length - 1]?.value ?? null;
  }

  // The last that was known.
  lastValue(name) {
    return this.points[name].findLast(({value}) => value !== null)?.value ?? null;
  }

  // Over all that was seen.
  hitRate() {
    const first = this.samples[0];
    return first ? ratio(this.last.cached_prompt_tokens - first.cached_prompt_tokens,
      this.last.prompt_tokens - first.prompt_tokens) : null;
  }

  #point(name, value) {
    const points = this.points[name];
    points.push({time: this.last.time_ms, value});
    while (points[0].time < this.last.time_ms - SPAN_MS) points.shift();
  }

  #before(time) {
    return this.samples.findLast((s) => s.time_ms <= time) ?? this.samples[0];
  }
}

function rate(from, to, count) {
  const ms = to.time_ms - from.time_ms;
  return ms > 0 ? (count(to) - count(from)) * 1000 / ms : 0;
}

function ratio(part, whole) {
  return whole > 0 ? part / whole : null;
}

// How many tokens of a sequence were computed or answered in a second, from one picture to the next.
export class SequenceSpeeds {
  constructor() {
    this.seen = new Map();
  }

  update(sequences) {
    const now = performance.now();
    const next = new Map();
    for (const s of sequences) {
      const before = this.seen.get(s.id);
      const entry = {time: now, computed: s.computed, speed: before?.speed ?? 0};
      if (before && now > before.time) {
        const speed = Math.max(0, s.computed - before.computed) * 1000 / (now - before.time);
        entry.speed = before.speed ? 0.6 * before.speed + 0.4 * speed : speed;
      }
      next.set(s.id, entry);
    }
    this.seen = next;
  }

  of(sequence) {
    return this.seen.get(sequence.id)?.speed ?? 0;
  }
}
