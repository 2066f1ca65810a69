// The settings of a request: what can be set, the sheet that sets it, and the request's body.
import {h, iconButton} from './dom.js';

// `field` is the request's; empty means the server's own default.
const NUMBERS = [
  {field: 'temperature', name: 'Temperature', min: 0, step: 0.1, hint: '0: no chance'},
  {field: 'top_p', name: 'Top P', min: 0, max: 1, step: 0.05},
  {field: 'top_k', name: 'Top K', min: 0, step: 1},
  {field: 'min_p', name: 'Min P', min: 0, max: 1, step: 0.01},
  {field: 'repeat_penalty', name: 'Repeat penalty', min: 0, step: 0.05},
  {field: 'max_tokens', name: 'Most tokens', min: 1, step: 1, hint: 'of an answer'},
  {field: 'seed', name: 'Seed', min: 0, step: 1, hint: 'to repeat it'},
];

function parsed(text, kind, name) {
  if (!text?.trim()) return undefined;
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  }
  if ((kind === 'list') !== Array.isArray(value) || typeof value !== 'object' || value === null) {
    throw new Error(`${name}: must be a JSON ${kind}`);
  }
  return value;
}

// The body of a chat request; throws with a message for the user.
export function requestBody(settings, messages, isHere) {
  const body = {messages, stream: true, stream_options: {include_usage: true}};
  for (const {field, name} of NUMBERS) {
    const text = settings[field];
    if (text === undefined || text === '') continue;
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Error(`${name}: ${text} is no number`);
    body[field] = value;
  }
  if (isHere) body.return_progress = true;
  if (settings.model) body.model = settings.model;
  if (settings.thinking) body.chat_template_kwargs = {enable_thinking: settings.thinking === 'on'};
  const stop = (settings.stop ?? '').split('\n').filter((line) => line !== '');
  if (stop.length > 0) body.stop = stop;
  const tools = parsed(settings.tools, 'list', 'Tools');
  if (tools?.length > 0) body.tools = tools;
  return {...body, ...parsed(settings.extra, 'object', 'More fields')};
}

// What differs from the server's defaults, in a few words.
export function summaryOf(settings) {
  const parts = NUMBERS.filter(({field}) => settings[field] !== undefined && settings[field] !== '')
    .map(({field, name}) => `${name} ${settings[field]}`);
  if (settings.thinking) parts.push(`Thinking ${settings.thinking}`);
  if (settings.system) parts.push('System prompt');
  if (settings.tools?.trim()) parts.push('Tools');
  if (settings.extra?.trim()) parts.push('More fields');
  return parts;
}

function labelled(name, control, hint) {
  return h('label', {class: 'field'}, h('span', {}, name, hint ? h('small', {}, ` ${hint}`) : null), control);
}

function textarea(settings, key, rows, placeholder) {
  const box = h('textarea', {rows: String(rows), placeholder, spellcheck: 'false', 'data-key': key});
  box.value = settings[key] ?? '';
  return box;
}

// Opens the sheet over `settings`; `defaults` are the server's (/props). `more` are fields that come first. Calls
// `changed(settings)` as things are typed.
export function openSettings({title, settings, defaults = {}, more = [], focus, changed}) {
  const number = (spec) => labelled(spec.name, h('input', {
    type: 'number', inputmode: 'decimal', min: spec.min, max: spec.max, step: 'any', 'data-key': spec.field,
    value: settings[spec.field] ?? '',
    placeholder: defaults[spec.field] === undefined ? 'default' : String(Number(defaults[spec.field].toPrecision(4))),
  }), spec.hint);
  const thinking = h('select', {'data-key': 'thinking'},
    ...[['', 'as the model has it'], ['on', 'on'], ['off', 'off']].map(
      ([value, name]) => h('option', {value, selected: (settings.thinking ?? '') === value}, name)));
  const sheet = h('dialog', {class: 'sheet', 'aria-label': title},
    h('header', {}, h('h2', {}, title), iconButton('close', 'Close', () => sheet.close())),
    h('form', {method: 'dialog'},
      ...more.map(({key, name, type, hint, placeholder}) => labelled(name, h('input', {
        type: type ?? 'text', 'data-key': key, value: settings[key] ?? '', placeholder, autocomplete: 'off',
        spellcheck: 'false'}), hint)),
      labelled('System prompt', textarea(settings, 'system', 4, 'You are …')),
      h('fieldset', {class: 'numbers'}, h('legend', {}, 'Sampling'), ...NUMBERS.map(number)),
      labelled('Thinking', thinking),
      labelled('Stop texts', textarea(settings, 'stop', 2, ''), 'one a line'),
      labelled('Tools', textarea(settings, 'tools', 4, '[{"type": "function", "function": {…}}]'), 'JSON list, as OpenAI has it'),
      labelled('More fields', textarea(settings, 'extra', 3, '{"logit_bias": {…}}'), 'JSON object, goes into the request')));
  sheet.addEventListener('input', ({target}) => {
    if (!target.dataset.key) return;
    settings[target.dataset.key] = target.value;
    changed(settings);
  });
  sheet.addEventListener('click', (event) => {
    if (event.target === sheet) sheet.close();  // beside it
  });
  sheet.addEventListener('close', () => sheet.remove());
  document.body.append(sheet);
  sheet.showModal();
  if (focus) sheet.querySelector(`[data-key="${focus}"]`)?.focus();
}
