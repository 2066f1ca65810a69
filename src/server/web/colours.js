// Which colour a sequence has, everywhere on the page; and colours of the style sheet, for canvases.

export const NUM_COLOURS = 8;

// A sequence keeps its colour as long as it is there; the one free longest is given next.
export class SequenceColours {
  constructor() {
    this.given = new Map();
    this.free = [...Array(NUM_COLOURS).keys()];
  }

  update(ids) {
    const present = new Set(ids);
    for (const [id, colour] of this.given) {
      if (present.has(id)) continue;
      this.given.delete(id);
      if (!this.free.includes(colour)) this.free.push(colour);
    }
    for (const id of present) {
      if (this.given.has(id)) continue;
      this.given.set(id, this.free.shift() ?? this.given.size % NUM_COLOURS);
    }
  }

  of(id) {
    return this.given.get(id) ?? 0;
  }
}

export function styleColours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    free: of('block-free'), cached: of('block-cached'), shared: of('block-shared'),
    sequences: [...Array(NUM_COLOURS).keys()].map((i) => of(`seq-${i}`)),
  };
}
