/** The departures board: a row element per flight, written once a frame and only where it changed. */

import { Row, rowId } from './board-row.js';
import { isInView } from './flight.js';

/** @typedef {import('./store.js').Row} StoreRow */

const PAGE = 10;

export class Board {
  /** @type {string | null} */
  selected = null;
  /** @type {(key: string | null) => void} */
  onSelect = () => {};
  #grid;
  #body;
  #empty;
  #reference;
  /** @type {Map<string, Row>} */
  #rows = new Map();
  /** Rows by scheduled time. @type {Row[]} */
  #order = [];
  /** @type {Row[]} elements without a flight, to be used again */
  #spare = [];
  /** @type {WeakMap<Element, Row>} */
  #rowOf = new WeakMap();
  #sight;
  /** @type {import('./flight.js').View} */
  #view = 'departures';
  /** @type {ReadonlySet<string>} */
  #followed = new Set();

  /** @param {{grid: HTMLElement, body: HTMLElement, empty: HTMLElement}} elements @param {import('./reference.js').Reference} reference */
  constructor({ grid, body, empty }, reference) {
    this.#grid = grid;
    this.#body = body;
    this.#empty = empty;
    this.#reference = reference;
    this.#sight = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const row = this.#rowOf.get(target);
          if (row) row.isSeen = isIntersecting;
        }
      },
      { root: grid },
    );
    grid.addEventListener('keydown', (event) => this.#keyed(event));
    body.addEventListener('click', (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest('[data-key]');
      if (row instanceof HTMLElement) this.select(row.dataset.key ?? null);
    });
  }

  /**
   * Bring the rows of `keys` to what `rows` holds.
   *
   * @param {Set<string>} keys
   * @param {Map<string, StoreRow>} rows
   * @param {{simNow: number, highlights: boolean}} options
   */
  write(keys, rows, { simNow, highlights }) {
    for (const key of keys) {
      const row = rows.get(key);
      if (row) this.#put(key, row.data, simNow, highlights);
      else this.#remove(key);
    }
    this.#tell();
  }

  /** Which rows are to be seen. @param {import('./flight.js').View} view @param {number} simNow */
  show(view, simNow) {
    const isOther = view !== this.#view;
    this.#view = view;
    for (const row of this.#order) row.setHidden(!isInView(view, row.flight, simNow));
    if (isOther) this.#grid.scrollTop = 0;
    this.#tell();
  }

  /** @param {string | null} key */
  select(key) {
    if (this.selected) this.#rows.get(this.selected)?.setSelected(false);
    const row = key ? this.#rows.get(key) : undefined;
    this.selected = row ? key : null;
    row?.setSelected(true);
    if (row) this.#grid.setAttribute('aria-activedescendant', row.element.id);
    else this.#grid.removeAttribute('aria-activedescendant');
    this.onSelect(this.selected);
  }

  /** Scroll to the selected row. */
  reveal() {
    if (this.selected) this.#rows.get(this.selected)?.element.scrollIntoView({ block: 'nearest' });
  }

  /** Which flights are marked as followed. @param {ReadonlySet<string>} flights */
  follow(flights) {
    const before = this.#followed;
    this.#followed = flights;
    for (const key of [...before, ...flights]) this.#rows.get(key)?.setFollowed(flights.has(key));
  }

  /** @param {boolean} isBusy no snapshot yet */
  setBusy(isBusy) {
    this.#grid.setAttribute('aria-busy', String(isBusy));
    this.#tell();
  }

  /** @param {string} key @param {import('./flight.js').Flight} flight @param {number} simNow @param {boolean} highlights */
  #put(key, flight, simNow, highlights) {
    let row = this.#rows.get(key);
    if (row && row.sortsAs !== Row.sortsAs(key, flight)) {
      this.#take(row); // another day's flight under the same key: it moves to its new place
      row.fill(key, flight, highlights, this.#reference);
      this.#insert(row);
    } else if (row) row.fill(key, flight, highlights, this.#reference);
    else {
      row = this.#spare.pop() ?? this.#newRow();
      row.fill(key, flight, false, this.#reference);
      this.#rows.set(key, row);
      this.#insert(row);
      if (highlights) row.announce();
    }
    row.setFollowed(this.#followed.has(key));
    row.setHidden(!isInView(this.#view, flight, simNow));
    if (key === this.selected) this.onSelect(key);
  }

  #newRow() {
    const row = new Row();
    this.#rowOf.set(row.element, row);
    this.#sight.observe(row.element);
    return row;
  }

  /** @param {Row} row */
  #insert(row) {
    const place = this.#place(row.sortsAs);
    this.#body.insertBefore(row.element, this.#order[place]?.element ?? null);
    this.#order.splice(place, 0, row);
  }

  /** @param {Row} row */
  #take(row) {
    const place = this.#place(row.sortsAs);
    if (this.#order[place] === row) this.#order.splice(place, 1);
  }

  /** @param {string} key */
  #remove(key) {
    const row = this.#rows.get(key);
    if (!row) return;
    if (this.selected === key) this.select(null);
    this.#rows.delete(key);
    this.#take(row);
    row.element.remove();
    row.reset();
    this.#spare.push(row);
  }

  /** The first place whose row does not sort before `sortsAs`. @param {string} sortsAs */
  #place(sortsAs) {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#order[middle].sortsAs < sortsAs) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Say what an empty board means. */
  #tell() {
    const isBusy = this.#grid.getAttribute('aria-busy') === 'true';
    const isEmpty = !this.#order.some((row) => !row.isHidden);
    this.#empty.hidden = !isEmpty;
    this.#body.classList.toggle('is-loading', isBusy && isEmpty);
    if (isEmpty) this.#empty.textContent = isBusy ? 'Waiting for the first snapshot' : 'No flight to show here at this hour';
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const visible = this.#order.filter((row) => !row.isHidden);
    const present = visible.findIndex((row) => row.key === this.selected);
    const next = target(event.key, present, visible.length);
    if (next === null) return;
    event.preventDefault();
    const row = visible[next];
    this.select(row?.key ?? null);
    row?.element.scrollIntoView({ block: 'nearest' });
  }
}

export { rowId };

/** Where a key leads; -1: nowhere selected; null: not a key of the board. @param {string} key @param {number} present @param {number} count */
function target(key, present, count) {
  if (count === 0) return key === 'Escape' ? -1 : null;
  const clamp = (/** @type {number} */ n) => Math.min(Math.max(n, 0), count - 1);
  switch (key) {
    case 'ArrowDown':
      return clamp(present + 1);
    case 'ArrowUp':
      return clamp(present - 1);
    case 'PageDown':
      return clamp(present + PAGE);
    case 'PageUp':
      return clamp(present - PAGE);
    case 'Home':
      return 0;
    case 'End':
      return count - 1;
    case 'Escape':
      return -1;
    default:
      return null;
  }
}
