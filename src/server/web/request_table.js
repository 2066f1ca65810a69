// The requests that the engine has: who runs, who waits, how far each is.
import {time} from './answer.js';
import {h} from './dom.js';
import {setAttributes, setText, ViewList} from './live_dom.js';

const MOST_ROWS = 40;

// The prompt's part of the bar: what the cache gave, what was computed.
class Progress {
  constructor() {
    this.cached = h('span', {class: 'cached'});
    this.prompt = h('span', {});
    this.answer = h('span', {});
    this.element = h('div', {class: 'progress', role: 'progressbar', 'aria-valuemin': '0', 'aria-valuemax': '100'},
      this.cached, this.prompt, this.answer);
  }

  show(s, colour) {
    const whole = Math.max(1, s.prompt_tokens + (s.max_answer_tokens ?? s.answer_tokens));
    const prompt = Math.min(s.computed, s.prompt_tokens);
    const cached = Math.min(s.cached_tokens, prompt);
    for (const [piece, tokens] of [[this.cached, cached], [this.prompt, prompt - cached], [this.answer, s.answer_tokens]]) {
      piece.style.width = `${(100 * tokens / whole).toFixed(1)}%`;
    }
    setAttributes(this.prompt, {class: `prompt seq-${colour}`});
    setAttributes(this.answer, {class: `seq-${colour}`});
    setAttributes(this.element, {
      'aria-valuenow': Math.round(100 * (prompt + s.answer_tokens) / whole), 'aria-label': `Progress of ${s.id}`,
      title: `${cached} from the cache, ${prompt - cached} of the prompt computed, ${s.answer_tokens} answered`});
  }
}

// Ids that the server made count up at their end; of others a short form must do.
function shortId(id) {
  const own = /^req-[0-9a-f]+-(\d+)$/.exec(id);
  if (own) return `#${own[1]}`;
  return id.length > 16 ? `…${id.slice(-15)}` : id;
}

function stateOf(s) {
  if (s.status !== 'running') return s.status;
  return s.computed < s.prompt_tokens ? 'reading' : 'writing';
}

class Row {
  constructor() {
    this.swatch = h('span');
    this.name = h('span');
    this.id = h('td', {class: 'id'}, this.swatch, this.name);
    this.tag = h('span');
    this.paused = h('small');
    this.progress = new Progress();
    this.numbers = ['prompt', 'answer', 'speed', 'age'].map(() => h('td'));
    this.element = h('tr', {}, this.id, h('td', {}, this.tag, this.paused),
      h('td', {class: 'wide'}, this.progress.element), ...this.numbers);
  }

  show({sequence: s, colour, speed}) {
    const state = stateOf(s);
    setAttributes(this.element, {class: `state-${s.status}`});
    setAttributes(this.id, {title: s.id});
    setAttributes(this.swatch, {class: `swatch seq-${colour}`});
    setText(this.name, shortId(s.id));
    setAttributes(this.tag, {class: `tag ${state}`});
    setText(this.tag, state);
    setText(this.paused, s.pauses > 0 ? ` paused ${s.pauses}×` : '');
    this.progress.show(s, colour);
    const texts = [
      s.cached_tokens > 0 ? `${s.prompt_tokens} (${s.cached_tokens} cached)` : String(s.prompt_tokens),
      String(s.answer_tokens), s.status === 'running' ? speed.toFixed(1) : '–', time(s.age_ms)];
    this.numbers.forEach((cell, i) => setText(cell, texts[i]));
  }
}

export class RequestTable {
  constructor() {
    const body = h('tbody');
    this.rows = new ViewList(body, () => new Row());
    this.note = h('p', {class: 'note'});
    this.element = h('div', {class: 'requests'},
      h('div', {class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Requests'},
        h('table', {}, h('thead', {}, h('tr', {},
          ...['Request', 'State', 'Progress', 'Prompt', 'Answer', 'tok/s', 'Age'].map((name) => h('th', {scope: 'col'}, name)))),
        body)), this.note);
  }

  show(sequences, leftOut, colours, speeds) {
    const shown = sequences.slice(0, MOST_ROWS);
    this.rows.show(shown.map((sequence) => ({sequence, colour: colours.of(sequence.id), speed: speeds.of(sequence)})));
    const more = sequences.length - shown.length + leftOut;
    setText(this.note, sequences.length === 0 ? 'Nobody asks anything now.' : more > 0 ? `${more} more wait.` : '');
  }
}
