/** Freshness over the last five minutes: three lines, a scale, and a reading under the pointer. */

import { areaPath, highestOf, lastOf, linePath, nearest, ticks, valueAt, xOf, yOf } from './core/chart.js';
import { seconds, text } from './core/format.js';
import { KEPT_MS, PERCENTILES } from './core/freshness.js';
import { el, setAttribute, setText, svg } from './dom.js';

/** @import {Point} from './core/freshness.js' */

const LEFT = 54;
const RIGHT = 12;
const TOP = 8;
const BOTTOM = 22;
const MOST_TICKS = 4;
const NARROW = 420;
const NAMES = { p50: 'median', p90: '90 %', p99: '99 %' };
const MINUTE_MS = 60_000;

export class FreshnessChart {
  #place;
  #drawing = svg('svg', { class: 'plot', role: 'img', 'aria-label': 'Freshness, the last five minutes' });
  #grid = svg('g', { class: 'plot-grid' });
  #area = svg('path', { class: 'plot-area' });
  #cursor = svg('line', { class: 'plot-cursor' });
  #paths = PERCENTILES.map((name) => svg('path', { class: `plot-line is-${name}` }));
  #values = PERCENTILES.map((name) => el('b', { text: '–', 'data-percentile': name }));
  #time = el('li', { class: 'chart-time' });
  #empty = el('p', { class: 'empty', text: 'Nothing was flushed yet: no client has subscribed to anything, or nothing was published.' });
  /** @type {Record<'p50' | 'p90' | 'p99', Point[]>} */
  #lines = { p50: [], p90: [], p99: [] };
  #now = 0;
  /** Where the pointer is (px from the left edge of the lines), or null. @type {number | null} */
  #pointer = null;

  /** @param {HTMLElement} place @param {HTMLElement} key */
  constructor(place, key) {
    this.#place = place;
    this.#drawing.append(this.#grid, this.#area, ...[...this.#paths].reverse(), this.#cursor);
    place.append(this.#drawing, this.#empty);
    const entries = PERCENTILES.map((name, n) => el('li', { class: `is-${name}` }, `${NAMES[name]} `, this.#values[n]));
    key.append(this.#time, ...entries);
    this.#drawing.addEventListener('pointermove', (event) => this.#point(/** @type {PointerEvent} */ (event).clientX));
    this.#drawing.addEventListener('pointerleave', () => this.#point(null));
    new ResizeObserver(() => this.#draw()).observe(place);
  }

  /** @param {Record<'p50' | 'p90' | 'p99', Point[]>} lines @param {number} now */
  show(lines, now) {
    this.#lines = lines;
    this.#now = now;
    this.#draw();
  }

  /** @param {number | null} clientX */
  #point(clientX) {
    this.#pointer = clientX === null ? null : clientX - this.#drawing.getBoundingClientRect().left - LEFT;
    this.#draw();
  }

  #draw() {
    const { clientWidth, clientHeight } = this.#place;
    if (clientWidth === 0) return;
    const lines = PERCENTILES.map((name) => this.#lines[name]);
    const highest = highestOf(lines);
    const marks = ticks(highest || 0.1, MOST_TICKS);
    const width = Math.max(1, clientWidth - LEFT - RIGHT);
    const height = Math.max(1, clientHeight - TOP - BOTTOM);
    const frame = { width, height, from: this.#now - KEPT_MS, until: this.#now, top: marks[marks.length - 1] };
    setAttribute(this.#drawing, 'viewBox', `${-LEFT} ${-TOP} ${clientWidth} ${clientHeight}`);
    this.#empty.hidden = lines.some((line) => line.some(([, value]) => value !== null));
    this.#drawGrid(frame, marks);
    for (const [n, line] of lines.entries()) setAttribute(this.#paths[n], 'd', linePath(line, frame));
    setAttribute(this.#area, 'd', areaPath(this.#lines.p50, frame));
    const at = this.#pointer === null ? null : nearest(this.#lines.p50, frame, this.#pointer);
    const x = at === null ? -999 : xOf(frame, at);
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 0, y2: height })) setAttribute(this.#cursor, name, String(value));
    setText(this.#time, at === null ? '' : `${text(seconds((this.#now - at) / 1e3))} ago`);
    for (const [n, line] of lines.entries()) setText(this.#values[n], text(seconds(at === null ? lastOf(line) : valueAt(line, at))));
  }

  /** @param {import('./core/chart.js').Frame} frame @param {number[]} marks */
  #drawGrid(frame, marks) {
    const { width, height } = frame;
    const label = (/** @type {string} */ words, /** @type {Record<string, string | number>} */ place) => {
      const element = svg('text', place);
      element.textContent = words;
      return element;
    };
    const across = marks.flatMap((mark) => {
      const y = yOf(frame, mark);
      return [svg('line', { x1: 0, x2: width, y1: y, y2: y }), label(text(seconds(mark)), { x: -8, y: y + 4, 'text-anchor': 'end' })];
    });
    const along = (width < NARROW ? [4, 2, 0] : [5, 4, 3, 2, 1, 0]).map((minutes) => {
      const x = xOf(frame, frame.until - minutes * MINUTE_MS);
      const anchor = minutes === 5 ? 'start' : minutes === 0 ? 'end' : 'middle';
      return label(minutes === 0 ? 'now' : `−${minutes} min`, { x, y: height + 17, 'text-anchor': anchor });
    });
    this.#grid.replaceChildren(...across, ...along);
  }
}
