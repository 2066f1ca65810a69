// A number with its last minute as a line.
import {h, svg} from './dom.js';
import {SPAN_MS} from './kv_history.js';
import {setAttributes, setText} from './live_dom.js';

const WIDTH = 240, HEIGHT = 44;

// Points to line segments: a gap where nothing is known; none within what is level.
function path(points, now, most) {
  let text = '', held = '', level = '', pen = 'M';
  for (const {time, value} of points) {
    if (value === null) {
      text += held;
      held = '';
      pen = 'M';
      continue;
    }
    const x = (WIDTH * (1 - (now - time) / SPAN_MS)).toFixed(1), y = (HEIGHT - 2 - (HEIGHT - 6) * value / most).toFixed(1);
    if (pen === 'L' && y === level) {
      held = `L${x} ${y}`;
    } else {
      text += `${held}${pen}${x} ${y}`;
      held = '';
      level = y;
      pen = 'L';
    }
  }
  return text + held;
}

export class Tile {
  // `most`: the top of the scale; none: as high as the values.
  constructor(name, {most, unit = ''} = {}) {
    this.most = most;
    this.unit = unit;
    this.value = h('span', {class: 'tile-value'}, '–');
    this.note = h('span', {class: 'tile-note'});
    this.line = svg('path', {class: 'line'});
    this.area = svg('path', {class: 'area'});
    this.element = h('section', {class: 'tile', 'aria-label': name},
      h('h3', {}, name),
      h('p', {}, this.value, unit ? h('span', {class: 'unit'}, ` ${unit}`) : null),
      svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true'}, this.area, this.line),
      this.note);
  }

  show(text, note, points) {
    setText(this.value, text);
    setText(this.note, note);
    if (points.length === 0) return;
    const now = points[points.length - 1].time;
    const most = this.most ?? Math.max(1e-9, ...points.map(({value}) => value ?? 0));
    const line = path(points, now, most);
    setAttributes(this.line, {d: line});
    const known = points.filter(({value}) => value !== null);
    const at = (time) => (WIDTH * (1 - (now - time) / SPAN_MS)).toFixed(1);
    const whole = known.length > 1 && !line.slice(1).includes('M');
    setAttributes(this.area, {d: whole
      ? `${line}L${at(known[known.length - 1].time)} ${HEIGHT}L${at(known[0].time)} ${HEIGHT}Z` : ''});
  }
}
