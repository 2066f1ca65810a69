// The box that a prompt is written in, with the button that sends it or stops the answer.
import {growing, h, icon} from './dom.js';

export class Composer {
  // onSend(text), onStop(), onEditLast(): arrow up in an empty box.
  constructor({placeholder, onSend, onStop, onEditLast, before = []}) {
    this.busy = false;
    this.onSend = onSend;
    this.onStop = onStop;
    this.box = h('textarea', {rows: '1', placeholder, 'aria-label': placeholder, enterkeyhint: 'send'});
    this.fit = growing(this.box);
    this.button = h('button', {type: 'submit', class: 'send'});
    this.element = h('form', {class: 'composer', onsubmit: (event) => { event.preventDefault(); this.#act(); }},
      h('div', {class: 'composer-box'}, this.box, h('div', {class: 'composer-row'}, ...before, this.button)));
    this.box.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        if (!this.busy) this.#act();
      }
      if (event.key === 'ArrowUp' && this.box.value === '') {
        event.preventDefault();
        onEditLast?.();
      }
    });
    this.setBusy(false);
  }

  #act() {
    if (this.busy) {
      this.onStop();
      return;
    }
    const text = this.box.value;
    if (!text.trim()) return;
    this.box.value = '';
    this.fit();
    this.onSend(text);
  }

  setBusy(busy) {
    this.busy = busy;
    this.button.replaceChildren(icon(busy ? 'stop' : 'send'));
    this.button.classList.toggle('stop', busy);
    const name = busy ? 'Stop' : 'Send';
    this.button.setAttribute('aria-label', name);
    this.button.title = busy ? 'Stop (Esc)' : 'Send (Enter)';
  }

  focus() {
    this.box.focus();
  }
}

// Calls `draw` for many changes at most every so often, and once after the last. (Not by animation frames: a
// page in the background has none, and its answer must grow all the same.)
export function throttled(draw, ms = 60) {
  let timer = 0;
  let last = 0;
  return {
    ask() {
      if (timer) return;
      timer = setTimeout(() => {
        timer = 0;
        last = performance.now();
        draw();
      }, Math.max(0, last + ms - performance.now()));
    },
    now() {
      clearTimeout(timer);
      timer = 0;
      draw();
    },
  };
}
