// The chat: a list of conversations, the messages of one, a box to write in.
import {fetchAnswer, newAnswer} from './answer.js';
import {ChatList} from './chat_list.js';
import {Composer, throttled} from './composer.js';
import * as conversation from './conversation.js';
import {h, icon, iconButton, saveFile, toast} from './dom.js';
import {assistantMessage, userMessage} from './message_view.js';
import {server} from './server_state.js';
import {openSettings, requestBody, summaryOf} from './settings.js';
import {conversations, readSetting, writeSetting} from './store.js';

const EXAMPLES = [
  'Explain in three sentences how a KV cache makes answers faster.',
  'Write a Python function that merges two sorted lists.',
  'Compare tea and coffee in a table.',
];
const NEAR_END = 80;  // pixels within which a reader counts as being at the end

class ChatView {
  constructor() {
    this.settings = readSetting('chat', {});
    this.conversation = conversation.newConversation();
    this.running = null;  // AbortController of the answer that grows
    this.atEnd = true;
    this.list = new ChatList({onOpen: (found) => this.load(found)});
    this.title = h('input', {class: 'title', 'aria-label': 'Title of this conversation', placeholder: 'New chat', spellcheck: 'false'});
    this.title.addEventListener('change', () => this.#rename());
    this.chips = h('div', {class: 'chips', role: 'group', 'aria-label': 'Settings in use'});
    this.models = h('select', {class: 'models', 'aria-label': 'Model', hidden: true,
      onchange: () => this.#change({...this.settings, model: this.models.value})});
    server.addEventListener('change', () => this.#showModels());
    this.status = h('p', {class: 'off-screen', role: 'status'});
    this.messages = h('div', {class: 'messages', role: 'log', 'aria-label': 'Messages', 'aria-live': 'off'});
    this.scroller = h('div', {class: 'scroller', tabindex: '0', role: 'region', 'aria-label': 'Conversation'}, this.messages);
    this.scroller.addEventListener('scroll', () => {
      const {scrollHeight, scrollTop, clientHeight} = this.scroller;
      this.atEnd = scrollHeight - scrollTop - clientHeight < NEAR_END;
      this.toEnd.hidden = this.atEnd;
    });
    this.toEnd = h('button', {type: 'button', class: 'to-end', 'aria-label': 'To the end', hidden: true,
      onclick: () => this.#scrollToEnd(true)}, icon('down'));
    this.composer = new Composer({
      placeholder: 'Message the model', onSend: (text) => this.send(text), onStop: () => this.running?.abort(),
      onEditLast: () => this.#editLast(),
      before: [iconButton('sliders', 'Settings', () => this.#openSettings()), this.models, this.chips]});
    this.element = h('div', {class: 'chat-layout'}, this.list.element,
      h('section', {class: 'chat-column', 'aria-label': 'Chat'}, this.#head(), this.scroller, this.status,
        h('div', {class: 'foot'}, this.toEnd, this.composer.element)));
    this.onKey = (event) => {
      if (event.key === 'Escape' && this.running && !document.querySelector('dialog[open]')) this.running.abort();
      const typing = event.target.closest?.('input, textarea, select');
      if (event.key === '/' && !typing) {
        event.preventDefault();
        this.composer.focus();
      }
    };
    this.#render();
    this.#showChips();
    this.#showModels();
  }

  #head() {
    return h('header', {class: 'chat-head'},
      iconButton('menu', 'Conversations', () => this.list.toggle(), {class: 'icon-button narrow'}),
      this.title,
      iconButton('plus', 'New chat', () => this.load(null), {class: 'icon-button narrow'}),
      h('details', {class: 'menu', onfocusout: ({currentTarget, relatedTarget}) => {
        if (!currentTarget.contains(relatedTarget)) currentTarget.open = false;
      }},
        h('summary', {class: 'icon-button', 'aria-label': 'Export', title: 'Export'}, icon('download')),
        h('div', {class: 'menu-items'},
          h('button', {type: 'button', onclick: (e) => this.#save(e, 'json', 'application/json', conversation.asJson)}, 'JSON'),
          h('button', {type: 'button', onclick: (e) => this.#save(e, 'md', 'text/markdown', conversation.asMarkdown)}, 'Markdown'))));
  }

  attach(main) {
    main.append(this.element);
    document.addEventListener('keydown', this.onKey);
    this.list.refresh(this.conversation);
    this.#scrollToEnd(true);
    if (matchMedia('(pointer: fine)').matches) this.composer.focus();
    return () => document.removeEventListener('keydown', this.onKey);
  }

  load(found) {
    this.running?.abort();
    this.conversation = found ?? conversation.newConversation();
    this.#render();
    this.list.refresh(this.conversation);
    this.#scrollToEnd(true);
    this.composer.focus();
  }

  async send(text) {
    this.#push({role: 'user', content: text});
    if (!this.conversation.title) this.conversation.title = conversation.titleOf(text);
    await this.#generate();
  }

  #push(message) {
    this.conversation.messages.push(message);
    this.#render();
  }

  // A new answer at the end; `old` is the one that it stands in for.
  async #generate(old) {
    this.running?.abort();
    const mine = this.conversation;
    const answer = newAnswer();
    if (old) {
      answer.versions = old.versions;
      answer.version = old.versions.length;
    }
    const sent = conversation.requestMessages(this.settings.system, mine.messages);
    mine.system = this.settings.system ?? '';
    mine.messages.push(answer);
    const running = this.running = new AbortController();
    this.composer.setBusy(true);
    this.status.textContent = 'The model answers.';
    this.#render();
    this.#scrollToEnd(true);
    const drawing = throttled(() => {
      if (mine !== this.conversation) return;
      answer.view?.show();
      this.#scrollToEnd(false);
    });
    try {
      const body = requestBody(this.settings, sent, true);
      await fetchAnswer(server.api, body, answer, running.signal, () => drawing.ask());
    } catch (error) {
      Object.assign(answer, {state: 'failed', error: error.message});
    }
    if (answer.status === 401) server.look();
    conversation.saveVersion(answer);
    if (this.running === running) {
      this.running = null;
      this.composer.setBusy(false);
    }
    await this.#keep(mine);
    answer.view?.show();
    this.status.textContent = {done: 'The answer is complete.', stopped: 'The answer was stopped.', failed: 'There was no answer.'}[answer.state];
    this.#scrollToEnd(false);
  }

  async #keep(mine) {
    mine.updated = Date.now();
    try {
      await conversations.put(mine);
      await this.list.refresh(this.conversation);
    } catch (error) {
      toast(`This conversation could not be kept: ${error.message}`);
    }
  }

  #edit(index, text) {
    this.conversation.messages.length = index;
    this.send(text);
  }

  #editLast() {
    const all = this.messages.querySelectorAll('.message.user [aria-label="Edit message"]');
    all[all.length - 1]?.click();
  }

  #retry(index) {
    const old = this.conversation.messages[index];
    this.conversation.messages.length = index;
    this.#generate(old);
  }

  #version(message, version) {
    conversation.chooseVersion(message, version);
    this.#render();
    this.#keep(this.conversation);
  }

  #toolResult(index, call, text) {
    this.#push({role: 'tool', tool_call_id: call.id, content: text});
    const calls = this.conversation.messages[index].tool_calls;
    const answered = this.conversation.messages.length - 1 - index;
    if (answered >= calls.length) this.#generate();
  }

  // Calls of the answer at `index` whose results may still be given.
  #openCalls(index) {
    const after = this.conversation.messages.slice(index + 1);
    if (after.some((m) => m.role !== 'tool')) return () => false;
    return (call) => !after.some((m) => m.tool_call_id === call.id);
  }

  #element(message, index) {
    if (message.role !== 'assistant') return userMessage(message, {onEdit: (text) => this.#edit(index, text)});
    const view = assistantMessage(message, {
      onRetry: () => this.#retry(index),
      onVersion: (version) => this.#version(message, version),
      mayReply: this.#openCalls(index),
      onToolResult: (call, text) => this.#toolResult(index, call, text)});
    Object.defineProperty(message, 'view', {value: view, writable: true, enumerable: false, configurable: true});
    return view.element;
  }

  #render() {
    const {messages, title} = this.conversation;
    this.title.value = title;
    this.element.classList.toggle('empty', messages.length === 0);
    this.messages.replaceChildren(...messages.length > 0
      ? messages.map((message, index) => this.#element(message, index)) : [this.#welcome()]);
  }

  #welcome() {
    return h('div', {class: 'welcome'},
      h('h1', {}, 'What would you like to know?'),
      h('p', {}, 'Answers come from the model on this server; nothing is sent anywhere else.'),
      h('div', {class: 'examples'}, ...EXAMPLES.map(
        (text) => h('button', {type: 'button', onclick: () => this.send(text)}, text))));
  }

  #scrollToEnd(always) {
    if (always || this.atEnd) this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  #rename() {
    this.conversation.title = this.title.value.trim();
    if (this.conversation.messages.length > 0) this.#keep(this.conversation);
  }

  #save(event, suffix, type, write) {
    const menu = event.currentTarget.closest('details');
    menu.open = false;
    menu.querySelector('summary').focus();
    const name = (this.conversation.title || 'conversation').replace(/[^\p{L}\p{N}]+/gu, '-').slice(0, 40);
    saveFile(`${name}.${suffix}`, type, write(this.conversation));
  }

  #openSettings() {
    openSettings({
      title: 'Settings', settings: {...this.settings, key: server.key}, defaults: server.defaults,
      more: [{key: 'key', name: 'API key', type: 'password', hint: 'if the server wants one; kept in this browser'}],
      changed: ({key, ...settings}) => {
        this.#change(settings);
        if (key !== server.key) server.setKey(key);
      }});
  }

  #change(settings) {
    this.settings = settings;
    writeSetting('chat', settings);
    this.#showChips();
  }

  // To choose from, where a server has several.
  #showModels() {
    this.models.hidden = server.models.length < 2;
    this.models.replaceChildren(...server.models.map(({id}) => h('option', {value: id}, id)));
    if (server.models.some(({id}) => id === this.settings.model)) this.models.value = this.settings.model;
    else if (server.status === 'ready') delete this.settings.model;
  }

  #showChips() {
    this.chips.replaceChildren(...summaryOf(this.settings).map((text) => h('span', {class: 'chip'}, text)));
  }
}

let view = null;  // lives on while others are shown, and so does its answer

export function open(main) {
  view ??= new ChatView();
  return view.attach(main);
}
