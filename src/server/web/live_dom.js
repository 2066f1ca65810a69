// Elements that are kept and brought up to date. Whatever is written to a page is laid out and painted anew, the same
// as before or not: so only what differs is written.

export function setText(element, text) {
  if (element.textContent === text) return;
  if (element.firstChild?.nodeType === Node.TEXT_NODE && !element.firstChild.nextSibling) element.firstChild.data = text;
  else element.textContent = text;
}

export function setAttributes(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }
}

// One view {element, show(item)} for each item, in `parent` before `end`.
export class ViewList {
  constructor(parent, make, end = null) {
    Object.assign(this, {parent, make, end, views: []});
  }

  show(items) {
    while (this.views.length > items.length) this.views.pop().element.remove();
    while (this.views.length < items.length) {
      const view = this.make();
      this.views.push(view);
      this.parent.insertBefore(view.element, this.end);
    }
    items.forEach((item, i) => this.views[i].show(item));
  }
}
