/** The figures in the control bar: a value, what it means, and its last minute as a line. */

const POINTS = 60;

/** @typedef {{id: string, label: string, title: string}} MeterSpec */

class Meter {
  #value = document.createElement('b');
  #unit = document.createElement('span');
  #more = document.createElement('small');
  #canvas = document.createElement('canvas');
  /** @type {number[]} */
  #points = [];

  /** @param {HTMLElement} list @param {MeterSpec} spec */
  constructor(list, { id, label, title }) {
    const box = document.createElement('div');
    box.title = title;
    box.dataset.meter = id;
    const term = document.createElement('dt');
    term.textContent = label;
    const figure = document.createElement('dd');
    this.#unit.className = 'unit';
    this.#canvas.setAttribute('aria-hidden', 'true');
    this.#value.textContent = '–';
    figure.append(this.#value, this.#unit, this.#more);
    box.append(term, figure, this.#canvas);
    list.append(box);
  }

  /** @param {string} value @param {string} [unit] @param {string} [more] */
  show(value, unit = '', more = '') {
    for (const [element, text] of /** @type {[HTMLElement, string][]} */ ([[this.#value, value], [this.#unit, unit], [this.#more, more]])) {
      if (element.textContent !== text) element.textContent = text;
    }
  }

  /** @param {number} point */
  plot(point) {
    this.#points.push(Number.isFinite(point) ? point : 0);
    if (this.#points.length > POINTS) this.#points.shift();
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    if (width === 0) return;
    this.#canvas.width = width * ratio;
    this.#canvas.height = height * ratio;
    const context = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext('2d'));
    context.scale(ratio, ratio);
    context.strokeStyle = getComputedStyle(this.#canvas).color;
    context.lineWidth = 1.3;
    context.lineJoin = 'round';
    const top = Math.max(...this.#points, 1e-9);
    context.beginPath();
    for (const [n, value] of this.#points.entries()) {
      const x = width - (this.#points.length - 1 - n) * (width / (POINTS - 1));
      context.lineTo(x, height - 1.5 - (value / top) * (height - 3));
    }
    context.stroke();
  }
}

/**
 * @param {HTMLElement} list
 * @returns {Record<'freshness' | 'received' | 'kafka' | 'coalesced' | 'frames', Meter>}
 */
export function makeMeters(list) {
  const specs = /** @type {const} */ ([
    { id: 'freshness', label: 'Freshness', title: 'From the record’s timestamp in Kafka to this screen: median and 95th percentile of the last 5 seconds' },
    { id: 'received', label: 'Received', title: 'Events that reached this page, per second' },
    { id: 'kafka', label: 'In Kafka', title: 'Events that the replay publishes for the chosen airport, per second' },
    { id: 'coalesced', label: 'Coalesced', title: 'Share of events that a newer one of the same flight replaced on the way' },
    { id: 'frames', label: 'Frames', title: 'WebSocket frames with flights, per second' },
  ]);
  return /** @type {any} */ (Object.fromEntries(specs.map((spec) => [spec.id, new Meter(list, spec)])));
}
