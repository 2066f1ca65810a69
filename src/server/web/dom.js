// Small helpers around the DOM. Text goes in as text: nothing here parses HTML.

// h('button', {class: 'a', onclick: f, 'aria-label': 'b'}, 'text', child, [more])
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === 'class') {
      element.className = value;
    } else if (name.startsWith('on')) {
      element.addEventListener(name.slice(2), value);
    } else if (name in element && !name.startsWith('aria-') && typeof value !== 'string') {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Strokes on a 24 by 24 grid.
const ICONS = {
  send: 'M12 19V5M6 11l6-6 6 6',
  stop: 'M7 7h10v10H7z',
  plus: 'M12 5v14M5 12h14',
  copy: 'M9 9h10v10H9zM5 15V5h10',
  check: 'M5 13l4 4L19 7',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  retry: 'M20 11a8 8 0 1 0-2 6M20 5v6h-6',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5',
  menu: 'M4 7h16M4 12h16M4 17h16',
  sliders: 'M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M8 15v4',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  close: 'M6 6l12 12M18 6L6 18',
  left: 'M14 6l-6 6 6 6',
  right: 'M10 6l6 6-6 6',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5',
  moon: 'M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z',
  contrast: 'M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16',
  down: 'M12 5v14M6 13l6 6 6-6',
};

export function icon(name) {
  const picture = svg('svg', {viewBox: '0 0 24 24', width: 18, height: 18, class: 'icon', 'aria-hidden': 'true'});
  picture.append(svg('path', {d: ICONS[name]}));
  return picture;
}

// A button that shows an icon and says its name.
export function iconButton(name, label, onclick, more = {}) {
  return h('button', {type: 'button', class: 'icon-button', 'aria-label': label, title: label, onclick, ...more},
    icon(name));
}

// A short message at the foot of the page, perhaps with something to do about it.
export function toast(text, action) {
  const place = document.getElementById('toasts');
  const note = h('div', {class: 'toast'}, h('span', {}, text));
  if (action) {
    note.append(h('button', {type: 'button', onclick: () => { note.remove(); action.run(); }}, action.name));
  }
  place.append(note);
  setTimeout(() => note.remove(), action ? 8000 : 4000);
}

export async function copyText(text, button) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Pages without TLS on other machines may not use the clipboard; this old way still works there.
    const box = h('textarea', {class: 'off-screen'});
    box.value = text;
    document.body.append(box);
    box.select();
    document.execCommand('copy');
    box.remove();
  }
  if (!button) return;
  const before = [...button.childNodes];
  button.replaceChildren(icon('check'));
  setTimeout(() => button.replaceChildren(...before), 1200);
}

export function saveFile(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  h('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

// A textarea as high as its text, up to what the style allows.
export function growing(textarea) {
  const fit = () => {
    textarea.style.height = 'auto';
    textarea.style.height = `${textarea.scrollHeight + 2}px`;
  };
  textarea.addEventListener('input', fit);
  return fit;
}
