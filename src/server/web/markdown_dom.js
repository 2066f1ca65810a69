// The parser's tokens as elements. No HTML is ever made or parsed: what a model writes as HTML is shown as the
// text that it is, and the page's policy forbids the browser to turn strings into elements at all.
import {h} from './dom.js';

const NAMED = {amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', ndash: '–', mdash: '—', hellip: '…',
  copy: '©', reg: '®', trade: '™', times: '×', middot: '·', bull: '•', deg: '°', euro: '€', larr: '←', rarr: '→',
  uarr: '↑', darr: '↓', le: '≤', ge: '≥', ne: '≠', minus: '−', laquo: '«', raquo: '»'};

// The parser escapes text for HTML; and people write entities. An unknown one stays as it is.
function plain(text) {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(\w{2,8}));/g, (whole, decimal, hex, name) => {
    if (name) return NAMED[name] ?? whole;
    const code = decimal ? Number(decimal) : parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}

// Other schemes may run something or give something away.
function safeUrl(text) {
  try {
    const url = new URL(plain(text));
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;  // relative, or no address
  }
}

function link(token, content) {
  const href = safeUrl(token.href ?? '');
  if (!href) return h('span', {}, content);
  return h('a', {href, title: token.title ? plain(token.title) : null, target: '_blank', rel: 'noopener noreferrer nofollow'}, content);
}

function listItem(item) {
  return h('li', {}, item.task ? (item.checked ? '☑ ' : '☐ ') : null, elementsOf(item.tokens));
}

function table(token) {
  const cell = (tag) => (one, i) => h(tag, {class: token.align[i] ? `align-${token.align[i]}` : null}, elementsOf(one.tokens));
  return h('div', {class: 'table', tabindex: '0', role: 'region', 'aria-label': 'Table'}, h('table', {},
    h('thead', {}, h('tr', {}, token.header.map(cell('th')))),
    h('tbody', {}, token.rows.map((row) => h('tr', {}, row.map(cell('td')))))));
}

const MAKERS = {
  space: () => null,
  def: () => null,
  hr: () => h('hr'),
  br: () => h('br'),
  heading: (t) => h(`h${Math.min(6, t.depth + 1)}`, {class: `depth-${t.depth}`}, elementsOf(t.tokens)),
  paragraph: (t) => h('p', {}, elementsOf(t.tokens)),
  blockquote: (t) => h('blockquote', {}, elementsOf(t.tokens)),
  list: (t) => h(t.ordered ? 'ol' : 'ul', {start: t.ordered && t.start > 1 ? String(t.start) : null}, t.items.map(listItem)),
  table,
  strong: (t) => h('strong', {}, elementsOf(t.tokens)),
  em: (t) => h('em', {}, elementsOf(t.tokens)),
  del: (t) => h('del', {}, elementsOf(t.tokens)),
  codespan: (t) => h('code', {}, plain(t.text)),
  link: (t) => link(t, elementsOf(t.tokens)),
  // A picture would tell another server that this page was read: a link to it instead.
  image: (t) => link(t, plain(t.text || t.href || 'picture')),
  text: (t) => (t.tokens ? elementsOf(t.tokens) : plain(t.text)),
  escape: (t) => plain(t.text),
  html: (t) => t.raw,
  code: (t) => h('pre', {'data-language': (t.lang ?? '').trim().split(/\s/)[0].toLowerCase()}, h('code', {}, t.text)),
};

// Elements and strings.
export function elementsOf(tokens) {
  return (tokens ?? []).flatMap((token) => MAKERS[token.type]?.(token) ?? []);
}
