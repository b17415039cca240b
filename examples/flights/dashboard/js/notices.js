/** The ticker: the last notices, newest first. */

import { airportName, clockTime, duration } from './format.js';
import { motion } from './theme.js';

const MAX_NOTICES = 24;

export class Notices {
  #list;
  #reference;
  #empty;

  /** @param {HTMLElement} list @param {import('./reference.js').Reference} reference */
  constructor(list, reference) {
    this.#list = list;
    this.#reference = reference;
    this.#empty = /** @type {HTMLElement} */ (list.firstElementChild);
  }

  clear() {
    this.#list.replaceChildren(this.#empty);
  }

  /** @param {import('./store.js').Update[]} events oldest first */
  add(events) {
    const items = events
      .filter(({ deleted, data }) => !deleted && data && typeof data === 'object')
      .filter((event) => !this.#list.querySelector(`[data-id="${idOf(event)}"]`))
      .slice(-MAX_NOTICES)
      .map((event) => this.#item(event));
    if (items.length === 0) return;
    this.#empty.remove();
    this.#list.prepend(...items.reverse());
    while (this.#list.childElementCount > MAX_NOTICES) this.#list.lastElementChild?.remove();
    if (motion.isReduced) return;
    for (const item of items) {
      item.animate([{ opacity: 0, transform: 'translateX(-12px)' }, {}], { duration: 350, easing: 'ease-out' });
    }
  }

  /** @param {import('./store.js').Update} event */
  #item(event) {
    const { key, data: notice } = event;
    const item = document.createElement('li');
    item.dataset.id = idOf(event);
    item.dataset.kind = notice.kind;
    const time = document.createElement('time');
    time.textContent = clockTime(notice.sim);
    const flight = document.createElement('b');
    flight.textContent = `${notice.carrier ?? ''} ${notice.flight ?? key}`;
    const words = document.createElement('span');
    const name = airportName(this.#reference.airports[notice.dest]?.name ?? notice.dest ?? '');
    words.textContent = `${key.split('/')[0]} → ${name}: ${this.#says(notice)}`;
    item.append(time, flight, words);
    return item;
  }

  /** @param {Record<string, any>} notice */
  #says({ kind, delay }) {
    if (kind === 'cancelled') return 'cancelled';
    if (kind === 'diverted') return 'diverted';
    return `${duration(delay)} late so far`;
  }
}

/** @param {import('./store.js').Update} event */
const idOf = ({ offset }) => offset.join('-');
