/** A table that is written in place: a row keeps its element while what it shows stays known. */

import { el, setAttribute, setChildren, setText } from './dom.js';

/**
 * @template Row
 * @typedef {object} Column
 * @property {string} label
 * @property {string} [hint]
 * @property {boolean} [isNumber]
 * @property {string} [name] class of its cells
 * @property {(row: Row) => string} text
 * @property {(row: Row) => string | null} [tone] `good`, `warn`, `bad`, `muted`
 * @property {(row: Row) => number | null} [share] 0 to 1, as a bar behind the figure
 * @property {(row: Row) => string} [title]
 */

/** @template Row */
export class Table {
  #columns;
  #body = el('tbody', { role: 'rowgroup' });
  #table;
  #empty;
  #idOf;
  /** @type {Map<string, HTMLTableRowElement>} */
  #rows = new Map();
  #stateOf;

  /**
   * @param {HTMLElement} place
   * @param {{columns: Column<Row>[], idOf: (row: Row) => string, empty: string, labelledBy: string, stateOf?: (row: Row) => string}} options
   */
  constructor(place, { columns, idOf, empty, labelledBy, stateOf }) {
    this.#columns = columns;
    this.#idOf = idOf;
    this.#stateOf = stateOf;
    this.#empty = el('p', { class: 'empty', text: empty });
    const heads = columns.map(({ label, hint, isNumber }) =>
      el('th', { text: label, hint, scope: 'col', role: 'columnheader', class: isNumber ? 'number' : undefined }));
    // The roles are named because a phone's layout takes the table's display away, and with it what it says to screen readers.
    this.#table = el('table', { role: 'table', 'aria-labelledby': labelledBy },
      el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads)), this.#body);
    this.#empty.hidden = this.#table.hidden = true; // until something is known
    place.append(this.#table, this.#empty);
  }

  /** @param {Row[]} rows in their order */
  write(rows) {
    this.#empty.hidden = rows.length > 0;
    this.#table.hidden = rows.length === 0;
    const before = this.#rows;
    this.#rows = new Map();
    for (const row of rows) {
      const id = this.#idOf(row);
      const element = before.get(id) ?? this.#newRow();
      this.#rows.set(id, element);
      this.#fill(element, row);
    }
    setChildren(this.#body, [...this.#rows.values()]);
  }

  #newRow() {
    const cells = this.#columns.map(({ label, isNumber, name }, n) => {
      const options = { class: [isNumber ? 'number' : '', name ?? ''].join(' ').trim(), 'data-label': label };
      const value = el('span');
      return n === 0
        ? el('th', { ...options, scope: 'row', role: 'rowheader' }, value)
        : el('td', { ...options, role: 'cell' }, value);
    });
    return el('tr', { role: 'row' }, ...cells);
  }

  /** @param {HTMLTableRowElement} element @param {Row} row */
  #fill(element, row) {
    if (this.#stateOf) setAttribute(element, 'data-state', this.#stateOf(row));
    for (const [n, { text, tone, share, title }] of this.#columns.entries()) {
      const cell = /** @type {HTMLElement} */ (element.cells[n]);
      setText(/** @type {Element} */ (cell.firstElementChild), text(row));
      if (tone) setAttribute(cell, 'data-tone', tone(row));
      if (title) setAttribute(cell, 'title', title(row));
      if (share) cell.style.setProperty('--share', String(share(row) ?? 0));
    }
  }
}
