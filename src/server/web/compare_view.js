// The same prompt to several servers or settings, side by side.
import {Api} from './api.js';
import {fetchAnswer, newAnswer} from './answer.js';
import {Composer, throttled} from './composer.js';
import {requestMessages} from './conversation.js';
import {copyText, h, icon, iconButton, saveFile} from './dom.js';
import {AnswerView} from './message_view.js';
import {server} from './server_state.js';
import {openSettings, requestBody, summaryOf} from './settings.js';
import {newId, readSetting, writeSetting} from './store.js';

const MOST_COLUMNS = 8;
const ENDED = ['done', 'stopped', 'failed'];

// Where two texts part, as words under an answer.
function likeness(text, first) {
  if (text === first) return 'same text as the first';
  let at = 0;
  while (at < text.length && text[at] === first[at]) ++at;
  return `differs from the first at character ${at + 1}`;
}

class Column {
  constructor(data, owner) {
    this.data = data;  // {id, settings: {server, key, model, ...}}
    this.answer = null;
    this.name = h('h2', {});
    this.where = h('p', {class: 'where'});
    this.chips = h('p', {class: 'chips'});
    this.likeness = h('p', {class: 'likeness'});
    this.place = h('div', {class: 'column-answer', tabindex: '0', role: 'region'}, h('p', {class: 'note'}, 'The answer appears here.'));
    this.element = h('section', {class: 'column'},
      h('header', {}, h('div', {class: 'who'}, this.name, this.where),
        iconButton('copy', 'Copy answer', (event) => copyText(this.answer?.content ?? '', event.currentTarget)),
        iconButton('sliders', 'Settings of this column', () => this.#openSettings(owner)),
        iconButton('close', 'Remove this column', () => owner.remove(this))),
      this.chips, this.place, this.likeness);
    this.#showHead();
    this.look();
  }

  get api() {
    const {server: address, key} = this.data.settings;
    return new Api(address, address ? key : server.key);
  }

  // Which model answers there.
  async look() {
    const asked = this.data.settings.server;
    try {
      const {data} = await this.api.get('v1/models');
      if (asked !== this.data.settings.server) return;
      this.model = data[0]?.id ?? '';
      this.problem = '';
    } catch (error) {
      this.model = '';
      this.problem = error.message;
    }
    this.#showHead();
  }

  #showHead() {
    const {settings} = this.data;
    this.name.textContent = settings.name || settings.model || this.model || 'Model';
    this.where.textContent = this.problem || settings.server || 'this server';
    this.where.classList.toggle('error', Boolean(this.problem));
    this.place.setAttribute('aria-label', `Answer of ${this.name.textContent}`);
    this.chips.replaceChildren(...summaryOf(settings).map((text) => h('span', {class: 'chip'}, text)));
  }

  #openSettings(owner) {
    openSettings({
      title: 'Column', settings: this.data.settings, defaults: server.defaults,
      more: [{key: 'name', name: 'Name', hint: 'over the column'},
        {key: 'server', name: 'Server', placeholder: 'this one, or http://127.0.0.1:8081'},
        {key: 'key', name: 'API key', type: 'password', hint: 'of that server'},
        {key: 'model', name: 'Model', hint: 'where a server has several'}],
      changed: () => {
        owner.save();
        this.#showHead();
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.look(), 500);
      }});
  }

  async ask(prompt, signal, changed) {
    this.answer = newAnswer();
    this.likeness.textContent = '';
    const view = new AnswerView();
    this.place.replaceChildren(view.element);
    const {settings} = this.data;
    const drawing = throttled(() => view.show(this.answer), 100);
    view.show(this.answer);
    try {
      const messages = requestMessages(settings.system, [{role: 'user', content: prompt}]);
      const body = requestBody(settings, messages, !settings.server);
      await fetchAnswer(this.api, body, this.answer, signal, () => drawing.ask());
    } catch (error) {
      Object.assign(this.answer, {state: 'failed', error: error.message});
    }
    drawing.now();
    changed();
  }
}

class CompareView {
  constructor() {
    const one = () => ({id: newId(), settings: {}});
    const two = [one(), one()];
    two[1].settings.temperature = '0';
    this.columns = readSetting('compare', two).map((data) => new Column(data, this));
    this.running = null;
    this.prompt = '';
    this.asked = h('p', {class: 'asked'});
    this.grid = h('div', {class: 'columns'});
    this.addButton = h('button', {type: 'button', class: 'button quiet', onclick: () => this.add()}, icon('plus'), 'Add column');
    this.composer = new Composer({
      placeholder: 'Prompt for all columns', onSend: (text) => this.send(text), onStop: () => this.running?.abort()});
    this.element = h('div', {class: 'compare-layout'},
      h('header', {class: 'compare-head'}, h('h1', {}, 'Compare'), this.asked,
        iconButton('download', 'Export answers', () => this.#save()), this.addButton),
      this.grid, h('div', {class: 'foot'}, this.composer.element));
    this.onKey = (event) => {
      if (event.key === 'Escape' && !document.querySelector('dialog[open]')) this.running?.abort();
    };
    this.#arrange();
  }

  attach(main) {
    main.append(this.element);
    document.addEventListener('keydown', this.onKey);
    return () => document.removeEventListener('keydown', this.onKey);
  }

  save() {
    writeSetting('compare', this.columns.map(({data}) => data));
  }

  #arrange() {
    this.grid.replaceChildren(...this.columns.map(({element}) => element));
    this.addButton.disabled = this.columns.length >= MOST_COLUMNS;
    this.asked.textContent = this.prompt || 'One prompt, several servers or settings.';
  }

  // As the last one, to be changed.
  add() {
    const settings = structuredClone(this.columns[this.columns.length - 1]?.data.settings ?? {});
    this.columns.push(new Column({id: newId(), settings: {...settings, name: ''}}, this));
    this.save();
    this.#arrange();
    this.columns[this.columns.length - 1].element.scrollIntoView({inline: 'end', block: 'nearest'});
  }

  remove(column) {
    this.columns = this.columns.filter((other) => other !== column);
    this.save();
    this.#arrange();
  }

  async send(prompt) {
    this.prompt = prompt;
    this.#arrange();
    const running = this.running = new AbortController();
    this.composer.setBusy(true);
    await Promise.all(this.columns.map(
      (column) => column.ask(prompt, running.signal, () => this.#compare())));
    this.running = null;
    this.composer.setBusy(false);
  }

  #compare() {
    const [first, ...others] = this.columns;
    if (first?.answer?.state !== 'done') return;
    for (const {answer, likeness: place} of others) {
      if (answer?.state === 'done') place.textContent = likeness(answer.content, first.answer.content);
    }
  }

  #save() {
    const answers = this.columns.filter(({answer}) => ENDED.includes(answer?.state)).map(({data, answer, name}) => {
      const {key, ...settings} = data.settings;
      return {name: name.textContent, settings, answer};
    });
    saveFile('comparison.json', 'application/json', JSON.stringify({prompt: this.prompt, answers}, null, 2));
  }
}

let view = null;

export function open(main) {
  view ??= new CompareView();
  return view.attach(main);
}
