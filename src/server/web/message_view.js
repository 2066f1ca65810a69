// A message on the page, and an answer while it grows.
import {speedOf, time} from './answer.js';
import {copyText, growing, h, iconButton} from './dom.js';
import {MarkdownView} from './markdown.js';

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;  // not complete yet, or no JSON
  }
}

// One call of a tool. `reply`, if it may be answered here, is asked for the tool's result.
function toolCall(call, reply) {
  const card = h('div', {class: 'tool-call'},
    h('div', {class: 'tool-name'}, h('span', {class: 'tag'}, 'tool call'), h('code', {}, call.function.name || '…')),
    h('pre', {tabindex: '0', 'aria-label': 'Arguments'}, pretty(call.function.arguments)));
  if (reply) {
    const box = h('textarea', {rows: '2', placeholder: 'What the tool answers', 'aria-label': `Result of ${call.function.name}`});
    card.append(h('form', {class: 'tool-reply', onsubmit: (event) => { event.preventDefault(); reply(call, box.value); }},
      box, h('button', {type: 'submit', class: 'button'}, 'Send result')));
  }
  return card;
}

const WAITING = {waiting: 'Waiting for the server', thinking: 'Thinking'};

// The body of an answer: thought, text, tool calls, error, speed.
export class AnswerView {
  constructor({onToolResult, mayReply} = {}) {
    this.onToolResult = onToolResult;
    this.mayReply = mayReply ?? (() => false);
    this.summary = h('summary', {});
    this.thought = h('div', {class: 'markdown thought-text'});
    this.details = h('details', {class: 'thought', hidden: true}, this.summary, this.thought);
    this.text = h('div', {class: 'markdown said'});
    this.wait = h('div', {class: 'wait', role: 'status'}, h('span', {class: 'pulse'}), h('span', {class: 'what'}));
    this.calls = h('div', {class: 'tool-calls'});
    this.error = h('p', {class: 'error', role: 'alert', hidden: true});
    this.speed = h('dl', {class: 'speed'});
    this.element = h('div', {class: 'answer'}, this.details, this.text, this.calls, this.wait, this.error, this.speed);
    this.markdown = new MarkdownView(this.text);
    this.thoughtMarkdown = new MarkdownView(this.thought);
    this.numCalls = '';
  }

  show(answer) {
    const ended = ['done', 'stopped', 'failed'].includes(answer.state);
    this.element.dataset.state = answer.state;
    this.element.setAttribute('aria-busy', String(!ended));
    this.#showThought(answer, ended);
    this.markdown.show(answer.content, ended);
    this.#showCalls(answer, ended);
    this.wait.hidden = !(answer.state in WAITING) || (answer.state === 'thinking' && !this.details.hidden);
    this.wait.lastElementChild.textContent = answer.progress > 0 && answer.progress < 1
      ? `Reading the prompt, ${Math.round(answer.progress * 100)} %` : WAITING[answer.state] ?? '';
    this.error.hidden = !answer.error;
    this.error.textContent = answer.error ?? '';
    if (ended) this.#showSpeed(answer);
  }

  #showThought(answer, ended) {
    this.details.hidden = !answer.reasoning;
    if (!answer.reasoning) return;
    const thinking = !ended && answer.state === 'thinking';
    const seconds = answer.thought_ms ? ` for ${time(answer.thought_ms)}` : '';
    this.summary.textContent = thinking ? 'Thinking …' : `Thought${seconds}`;
    this.details.classList.toggle('busy', thinking);
    this.thoughtMarkdown.show(answer.reasoning, !thinking);
  }

  #showCalls(answer, ended) {
    const shown = JSON.stringify([answer.tool_calls, ended]);
    if (shown === this.numCalls) return;
    this.numCalls = shown;
    this.calls.replaceChildren(...answer.tool_calls.filter(Boolean).map(
      (call) => toolCall(call, ended && this.mayReply(call) ? this.onToolResult : null)));
  }

  #showSpeed(answer) {
    const parts = speedOf(answer);
    if (answer.state === 'stopped') parts.push({name: 'end', text: 'stopped'});
    if (answer.finish === 'length') parts.push({name: 'end', text: 'cut at the token limit'});
    this.speed.replaceChildren(...parts.flatMap(({name, text}) => [
      h('dt', {class: 'off-screen'}, name), h('dd', {}, text)]));
  }
}

function versions(message, onVersion) {
  const count = message.versions?.length ?? 0;
  if (count < 2) return null;
  const at = message.version;
  return h('span', {class: 'versions'},
    iconButton('left', 'Version before', () => onVersion(at - 1), {disabled: at === 0}),
    h('span', {}, `${at + 1} / ${count}`),
    iconButton('right', 'Next version', () => onVersion(at + 1), {disabled: at + 1 === count}));
}

// The user's text in a box, to be changed and sent again.
function editor(message, onSave, onCancel) {
  const box = h('textarea', {class: 'edit', 'aria-label': 'Edit message'});
  box.value = message.content;
  const fit = growing(box);
  const save = () => box.value.trim() && onSave(box.value);
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') onCancel();
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      save();
    }
  });
  setTimeout(() => { fit(); box.focus(); }, 0);
  return h('div', {class: 'editor'}, box, h('div', {class: 'row'},
    h('button', {type: 'button', class: 'button quiet', onclick: onCancel}, 'Cancel'),
    h('button', {type: 'button', class: 'button', onclick: save}, 'Send')));
}

export function userMessage(message, {onEdit}) {
  const text = h('div', {class: 'bubble'}, message.content);
  const actions = h('div', {class: 'actions'});
  const element = h('article', {class: 'message user', 'aria-label': message.role === 'tool' ? 'Tool result' : 'You'},
    message.role === 'tool' ? h('div', {class: 'tool-result'}, h('span', {class: 'tag'}, 'tool result'), text) : text, actions);
  const rest = () => element.replaceChildren(text, actions);
  actions.append(iconButton('copy', 'Copy message', (event) => copyText(message.content, event.currentTarget)));
  if (message.role === 'user') {
    actions.append(iconButton('edit', 'Edit message', () => {
      element.replaceChildren(editor(message, onEdit, () => {
        rest();
        actions.lastElementChild.focus();
      }));
    }));
  }
  return element;
}

export function assistantMessage(message, {onRetry, onVersion, onToolResult, mayReply}) {
  const view = new AnswerView({onToolResult, mayReply});
  const actions = h('div', {class: 'actions'});
  const element = h('article', {class: 'message assistant', 'aria-label': 'Assistant'}, view.element, actions);
  const show = () => {
    view.show(message);
    const ended = ['done', 'stopped', 'failed'].includes(message.state);
    if (!ended) actions.replaceChildren();
    else if (!actions.hasChildNodes()) {
      actions.append(...[
        iconButton('copy', 'Copy answer', (event) => copyText(message.content, event.currentTarget)),
        iconButton('retry', 'Regenerate answer', onRetry),
        versions(message, onVersion)].filter(Boolean));
    }
  };
  show();
  return {element, show};
}
