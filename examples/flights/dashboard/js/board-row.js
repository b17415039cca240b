/** One row of the board: its cells, what they show, and the flash of what changed. */

import { STATUSES, departureAt } from './flight.js';
import { airlineName, airportName, clockTime, delayText } from './format.js';
import { motion } from './theme.js';

const FLASH_MS = 1_400;
/** More at once would tell nothing, and cost every frame. */
const MAX_FLASHES = 40;
let flashing = 0;
const SVG = 'http://www.w3.org/2000/svg';

export class Row {
  key = '';
  sortsAs = '';
  isHidden = false;
  #isFollowed = false;
  /** Whether it is within the visible part of the board. */
  isSeen = false;
  /** @type {Set<Animation>} */
  #flashes = new Set();
  /** @type {import('./flight.js').Flight} */
  flight = {};
  element = make('div', 'row');
  #cells = {
    time: cell('time'),
    actual: cell('actual'),
    flight: cell('flight'),
    dest: cell('dest'),
    status: cell('status'),
    delay: cell('delay'),
  };
  #name = make('span', 'dest-name');
  #code = make('span', 'dest-code');
  #airline = make('span', 'dest-airline');
  #icon = document.createElementNS(SVG, 'use');
  #status = make('span', 'status-text');
  /** Seen as a star, spoken as a word. */
  #star = make('span', 'row-star');

  constructor() {
    this.element.setAttribute('role', 'row');
    this.element.append(...Object.values(this.#cells));
    const line = make('span', 'dest-line');
    line.append(this.#name, this.#code, this.#star);
    this.#cells.dest.append(line, this.#airline);
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('aria-hidden', 'true');
    svg.append(this.#icon);
    const pill = make('span', 'pill');
    pill.append(svg, this.#status);
    this.#cells.status.append(pill);
  }

  /** Order on the board: scheduled time, then key. @param {string} key @param {import('./flight.js').Flight} flight */
  static sortsAs(key, flight) {
    return `${String(flight.sched_dep ?? 0).padStart(16, '0')} ${key}`;
  }

  /**
   * Show this flight; with `highlights`, cells that now say something else flash.
   *
   * @param {string} key
   * @param {import('./flight.js').Flight} flight
   * @param {boolean} highlights
   * @param {import('./reference.js').Reference} reference
   */
  fill(key, flight, highlights, reference) {
    this.flight = flight;
    if (key !== this.key) {
      this.key = key;
      this.element.dataset.key = key;
      this.element.id = rowId(key);
    }
    this.sortsAs = Row.sortsAs(key, flight);
    const status = String(flight.status ?? 'scheduled');
    const [origin, fallback] = key.split('/');
    const delay = flight.status === 'arrived' ? flight.arr_delay : flight.dep_delay;
    write(this.#cells.time, clockTime(flight.sched_dep));
    write(this.#cells.flight, flight.carrier ? `${flight.carrier} ${flight.flight}` : (fallback ?? key));
    write(this.#name, airportName(reference.airports[flight.dest]?.name ?? flight.dest ?? ''));
    write(this.#code, flight.dest ?? '');
    write(this.#airline, `${origin} · ${airlineName(reference.airlines[flight.carrier] ?? flight.carrier ?? '')}`);
    const changes = [
      write(this.#cells.actual, actualTime(flight)) && this.#cells.actual,
      this.#setStatus(status) && this.#cells.status,
      write(this.#cells.delay, delayText(delay)) && this.#cells.delay,
    ];
    this.#cells.delay.dataset.late = lateness(delay);
    if (highlights) for (const changed of changes) if (changed) this.#flash(changed);
  }

  /** It has just come to the board. */
  announce() {
    this.#flash(this.element);
  }

  /** @param {boolean} isHidden */
  setHidden(isHidden) {
    if (isHidden === this.isHidden) return;
    this.isHidden = isHidden;
    this.element.hidden = isHidden;
  }

  /** @param {boolean} isSelected */
  setSelected(isSelected) {
    this.element.classList.toggle('is-selected', isSelected);
    this.element.setAttribute('aria-selected', String(isSelected));
  }

  /** @param {boolean} isFollowed */
  setFollowed(isFollowed) {
    if (isFollowed === this.#isFollowed) return;
    this.#isFollowed = isFollowed;
    this.element.classList.toggle('is-followed', isFollowed);
    this.#star.textContent = isFollowed ? ' followed' : '';
  }

  reset() {
    this.setHidden(false);
    this.isSeen = false;
    for (const flash of this.#flashes) flash.cancel();
  }

  /** @param {Element} element */
  #flash(element) {
    if (!this.isSeen || this.isHidden || flashing >= MAX_FLASHES) return;
    const from = { backgroundColor: 'var(--flash)' };
    const frames = motion.isReduced ? [from, { ...from, offset: 0.99 }, {}] : [from, {}];
    const flash = element.animate(frames, { duration: FLASH_MS, easing: 'ease-out' });
    this.#flashes.add(flash);
    flashing += 1;
    flash.onfinish = flash.oncancel = () => {
      if (this.#flashes.delete(flash)) flashing -= 1;
    };
  }

  /** @param {string} status */
  #setStatus(status) {
    if (this.element.dataset.status === status) return false;
    this.element.dataset.status = status;
    this.#icon.setAttribute('href', `#i-${status}`);
    write(this.#status, STATUSES[/** @type {keyof typeof STATUSES} */ (status)] ?? status);
    return true;
  }
}

/** @param {string} key */
export const rowId = (key) => `flight-${key.replace(/[^A-Za-z0-9]+/g, '_')}`;

/** @param {import('./flight.js').Flight} flight */
function actualTime(flight) {
  if (flight.status === 'scheduled' || flight.status === 'cancelled') return '';
  const text = clockTime(departureAt(flight));
  return flight.status === 'delayed' && text ? `${text}+` : text;
}

/** @param {number} delay */
function lateness(delay) {
  if (!(delay >= 15)) return delay < 0 ? 'early' : 'none';
  return delay >= 60 ? 'very' : 'some';
}

/** Show `text`; whether it is news. @param {Element} element @param {string} text */
function write(element, text) {
  const node = element.firstChild;
  if (node instanceof Text) {
    if (node.data === text) return false;
    node.data = text;
    return true;
  }
  element.append(text);
  return text !== '';
}

/** @param {string} tag @param {string} className */
function make(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}

/** @param {string} name */
function cell(name) {
  const element = make('span', `cell cell-${name}`);
  element.setAttribute('role', 'gridcell');
  element.dataset.cell = name;
  return element;
}
