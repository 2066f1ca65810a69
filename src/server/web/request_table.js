// The requests that the engine has: who runs, who waits, how far each is.
import {time} from './answer.js';
import {h} from './dom.js';

const MOST_ROWS = 40;

// The prompt's part of the bar: what the cache gave, what was computed.
function bar(s, colour) {
  const whole = Math.max(1, s.prompt_tokens + (s.max_answer_tokens ?? s.answer_tokens));
  const prompt = Math.min(s.computed, s.prompt_tokens);
  const part = (kind, tokens) => {
    const piece = h('span', {class: kind});
    piece.style.width = `${100 * tokens / whole}%`;
    return piece;
  };
  const cached = Math.min(s.cached_tokens, prompt);
  const percent = Math.round(100 * (prompt + s.answer_tokens) / whole);
  const track = h('div', {class: 'progress', role: 'progressbar', 'aria-valuenow': String(percent), 'aria-valuemin': '0',
    'aria-valuemax': '100', 'aria-label': `Progress of ${s.id}`},
  part('cached', cached), part(`prompt seq-${colour}`, prompt - cached), part(`seq-${colour}`, s.answer_tokens));
  track.title = `${cached} from the cache, ${prompt - cached} of the prompt computed, ${s.answer_tokens} answered`;
  return track;
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

export class RequestTable {
  constructor() {
    this.body = h('tbody');
    this.note = h('p', {class: 'note'});
    this.element = h('div', {class: 'requests'},
      h('div', {class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Requests'},
        h('table', {}, h('thead', {}, h('tr', {},
          ...['Request', 'State', 'Progress', 'Prompt', 'Answer', 'tok/s', 'Age'].map((name) => h('th', {scope: 'col'}, name)))),
        this.body)), this.note);
  }

  show(sequences, leftOut, colours, speeds) {
    const shown = sequences.slice(0, MOST_ROWS);
    this.body.replaceChildren(...shown.map((s) => {
      const state = stateOf(s);
      return h('tr', {class: `state-${s.status}`},
        h('td', {class: 'id', title: s.id}, h('span', {class: `swatch seq-${colours.of(s.id)}`}), shortId(s.id)),
        h('td', {}, h('span', {class: `tag ${state}`}, state), s.pauses > 0 ? h('small', {}, ` paused ${s.pauses}×`) : null),
        h('td', {class: 'wide'}, bar(s, colours.of(s.id))),
        h('td', {}, s.cached_tokens > 0 ? `${s.prompt_tokens} (${s.cached_tokens} cached)` : String(s.prompt_tokens)),
        h('td', {}, String(s.answer_tokens)),
        h('td', {}, s.status === 'running' ? speeds.of(s).toFixed(1) : '–'),
        h('td', {}, time(s.age_ms)));
    }));
    const more = sequences.length - shown.length + leftOut;
    this.note.textContent = sequences.length === 0 ? 'Nobody asks anything now.' : more > 0 ? `${more} more wait.` : '';
  }
}
