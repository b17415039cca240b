/** The two plots over simulated time: uPlot with the page's colours, and a key that shows values. */

import uPlot from '../vendor/uplot/uPlot.esm.js';

/** @typedef {{name: string, color: string, dash?: number[], fill?: string, format: (value: number) => string, width?: number}} Line */

const NEW_YORK = 'America/New_York';
const HOUR = 3600;
const MIN_SPAN = HOUR;

export class Plot {
  #body;
  #key;
  #lines;
  #options;
  /** @type {any} */
  #plot = null;
  /** @type {(number | null)[][]} */
  #data = [];
  /** @type {HTMLElement[]} */
  #values = [];

  /**
   * @param {HTMLElement} body
   * @param {HTMLElement} key
   * @param {Line[]} lines colours are names of custom properties
   * @param {{unit: string, band?: boolean, floor?: number}} options
   */
  constructor(body, key, lines, options) {
    this.#body = body;
    this.#key = key;
    this.#lines = lines;
    this.#options = options;
    this.#data = [[], ...lines.map(() => [])];
    for (const { name, color, dash } of lines) {
      const item = document.createElement('li');
      item.style.setProperty('--line', `var(${color})`);
      item.classList.toggle('is-dashed', dash !== undefined);
      const value = document.createElement('b');
      item.append(name, ' ', value);
      this.#key.append(item);
      this.#values.push(value);
    }
    this.restyle();
    new ResizeObserver(() => this.#plot?.setSize(this.#size())).observe(body);
  }

  /** @param {(number | null)[][]} data x in Unix seconds, then a column per line */
  show(data) {
    this.#data = data;
    this.#plot?.setData(data);
    this.#tell(this.#plot?.cursor.idx);
  }

  /** Colours have changed: make it anew. */
  restyle() {
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const color = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.#plot = new uPlot(this.#uplotOptions(color), this.#data, this.#body);
  }

  /** @param {(name: string) => string} color */
  #uplotOptions(color) {
    const axis = {
      stroke: color('--muted'),
      font: '11px Inter, sans-serif',
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [8, 18, 0, 0],
      tzDate: (/** @type {number} */ at) => uPlot.tzDate(new Date(at * 1000), NEW_YORK),
      cursor: { y: false, points: { size: 6 }, drag: { setScale: false } },
      scales: { x: { time: true, range: xRange }, y: { range: (/** @type {any} */ _u, /** @type {number} */ low, /** @type {number} */ high) => this.#yRange(low, high) } },
      axes: [
        { ...axis, size: 26, gap: 6, space: 56, values: (/** @type {any} */ _u, /** @type {number[]} */ at) => at.map(hourText) },
        { ...axis, size: 38, gap: 6, space: 28 },
      ],
      series: [{}, ...this.#lines.map((line) => this.#series(line, color))],
      bands: this.#options.band ? [{ series: [2, 1], fill: withAlpha(color(this.#lines[1].color), 0.14) }] : [],
      hooks: { setCursor: [(/** @type {any} */ plot) => this.#tell(plot.cursor.idx)] },
    };
  }

  /** @param {Line} line @param {(name: string) => string} color */
  #series({ name, color: property, dash, fill, width = 1.8 }, color) {
    return {
      label: name,
      stroke: color(property),
      width,
      dash,
      fill: fill ? withAlpha(color(fill), 0.16) : undefined,
      points: { show: false },
      spanGaps: true,
    };
  }

  /** @param {number} low @param {number} high @returns {[number, number]} */
  #yRange(low, high) {
    const floor = this.#options.floor ?? 0;
    return [Math.min(floor, (low ?? 0) - 2), Math.max((high ?? 0) * 1.12, floor + 20)];
  }

  #size() {
    return { width: Math.max(this.#body.clientWidth, 120), height: Math.max(this.#body.clientHeight, 90) };
  }

  /** Values under the cursor, else the newest. @param {number | null | undefined} index */
  #tell(index) {
    for (const [n, { format }] of this.#lines.entries()) {
      const column = this.#data[n + 1] ?? [];
      const value = index === null || index === undefined ? column.findLast((v) => v !== null) : column[index];
      const text = value === null || value === undefined ? '–' : format(value);
      if (this.#values[n].textContent !== text) this.#values[n].textContent = text;
    }
  }
}

/** @param {any} _plot @param {number} low @param {number} high @returns {[number, number]} */
function xRange(_plot, low, high) {
  if (low === null || high === null) return [0, MIN_SPAN];
  return [Math.min(low, high - MIN_SPAN), high];
}

/** @param {number} at */
function hourText(at) {
  const date = uPlot.tzDate(new Date(at * 1000), NEW_YORK);
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`;
}

/** @param {string} color @param {number} alpha */
const withAlpha = (color, alpha) => `color-mix(in srgb, ${color} ${alpha * 100}%, transparent)`;
