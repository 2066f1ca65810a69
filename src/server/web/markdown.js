// Markdown that grows, as elements on the page; code with its language, colours and a button to copy.
import marked from './lib/marked.js';
import {copyText, h, iconButton} from './dom.js';
import {elementsOf} from './markdown_dom.js';

const OPTIONS = {gfm: true, breaks: true, mangle: false, smartypants: false};
const MOST_COLOURED = 40000;  // characters of a code block
const ALIASES = {'c++': 'cpp', 'c#': 'csharp', console: 'bash', jsonc: 'json', zsh: 'bash'};
let prism = null;  // loaded with the first block of code

// Tokens as elements; a token's content is text or more tokens, and it may have further names.
function ofTokens(tokens) {
  return [tokens].flat().map((token) => (typeof token === 'string' ? token
    : h('span', {class: [token.type, ...[token.alias ?? []].flat()].map((name) => `tok-${name}`).join(' ')},
      ofTokens(token.content))));
}

async function colour(code, language, text) {
  prism ??= import('./lib/prism.js');
  const {default: library} = await prism;
  const grammar = library.languages[ALIASES[language] ?? language];
  if (typeof grammar !== 'object') return;
  code.replaceChildren(...ofTokens(library.tokenize(text, grammar)));
}

function dressCode(pre, finished) {
  const code = pre.firstElementChild;
  const text = code.textContent;
  const {language} = pre.dataset;
  const box = h('div', {class: 'code'}, h('div', {class: 'code-bar'}, h('span', {}, language || 'text'),
    iconButton('copy', 'Copy code', (event) => copyText(text, event.currentTarget))));
  pre.replaceWith(box);
  pre.tabIndex = 0;  // it may scroll
  pre.setAttribute('role', 'region');
  pre.setAttribute('aria-label', 'Code');
  box.append(pre);
  if (finished && language && text.length < MOST_COLOURED) colour(code, language, text);
}

function renderPart(token, finished) {
  const part = h('div', {class: 'part'}, elementsOf([token]));
  for (const pre of part.querySelectorAll('pre')) dressCode(pre, finished);
  return part;
}

// Keeps `place` showing a text that grows: paragraphs and blocks that did not change stay as they are.
export class MarkdownView {
  constructor(place) {
    this.place = place;
    this.shown = [];  // {raw, complete} of each part
  }

  show(text, finished) {
    const tokens = marked.lexer(text, OPTIONS).filter(({type}) => type !== 'space' && type !== 'def');
    tokens.forEach((token, i) => {
      const complete = finished || i + 1 < tokens.length;
      const before = this.shown[i];
      if (before?.raw === token.raw && before.complete === complete) return;
      const part = renderPart(token, complete);
      if (before) {
        this.place.children[i].replaceWith(part);
      } else {
        this.place.append(part);
      }
      this.shown[i] = {raw: token.raw, complete};
    });
    while (this.shown.length > tokens.length) {
      this.shown.pop();
      this.place.lastElementChild.remove();
    }
  }
}
