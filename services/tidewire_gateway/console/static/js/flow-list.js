/** The list of sampled events: newest first, one line for all ways of an event, chosen with pointer or arrows, written in place. */

import { amount, clock, counted, milliseconds, text } from './core/format.js';
import { journey } from './core/stages.js';
import { el, setAttribute, setChildren, setText } from './dom.js';
import { feedOf } from './ways.js';

/** @import {Arrival, Flow, Sampled} from './core/flows.js' */

const PAGE = 10;

export class FlowList {
  /** Event's id. @type {string | null} */
  selected = null;
  /** The user chose one, or the page. @type {(id: string) => void} */
  onSelect = () => {};
  #box;
  #arrivalOf;
  /** @type {Sampled[]} */
  #events = [];
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();
  #rowsMade = 0;

  /** @param {HTMLElement} box @param {(flow: Flow) => Arrival | null} arrivalOf */
  constructor(box, arrivalOf) {
    this.#box = box;
    this.#arrivalOf = arrivalOf;
    box.addEventListener('keydown', (event) => this.#keyed(event));
    box.addEventListener('click', (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest('[data-flow]');
      if (row instanceof HTMLElement && row.dataset.flow) this.select(row.dataset.flow);
    });
  }

  /** @param {Sampled[]} events */
  write(events) {
    this.#events = events;
    const before = this.#rows;
    this.#rows = new Map();
    for (const event of events) {
      const row = before.get(event.id) ?? this.#newRow(event);
      this.#rows.set(event.id, row);
      this.#fill(row, event);
    }
    setChildren(this.#box, [...this.#rows.values()]);
    this.#markSelected();
  }

  /** @param {string} id */
  select(id) {
    this.selected = id;
    this.#markSelected();
    this.onSelect(id);
  }

  #markSelected() {
    const row = this.selected === null ? undefined : this.#rows.get(this.selected);
    for (const other of this.#box.querySelectorAll('[aria-selected="true"]')) if (other !== row) other.setAttribute('aria-selected', 'false');
    if (row) setAttribute(row, 'aria-selected', 'true');
    setAttribute(this.#box, 'aria-activedescendant', row?.id ?? null);
  }

  /** @param {Sampled} event */
  #newRow({ id, shown }) {
    this.#rowsMade += 1;
    const stages = journey(shown, null).stages.map((stage) => el('i', { 'data-stage': stage.id }));
    return el('div', { class: 'flow-row', role: 'option', id: `flow-${this.#rowsMade}`, 'data-flow': id, 'aria-selected': 'false' },
      el('time'),
      el('span', { class: 'flow-what' }, el('b', { text: shown.event.key }), el('small')),
      el('span', { class: 'flow-total' }),
      el('span', { class: 'flow-bar', 'aria-hidden': 'true' }, ...stages));
  }

  /** @param {HTMLElement} row @param {Sampled} event */
  #fill(row, { shown, ways }) {
    const arrival = this.#arrivalOf(shown);
    const { totalMs, isComplete, stages } = journey(shown, arrival);
    setText(row.children[0], clock(shown.flow.written_at_ms));
    setText(row.children[1].children[1], wayText(shown, ways.length));
    setText(row.children[2], text(milliseconds(totalMs)));
    setAttribute(row, 'data-complete', isComplete ? '' : null);
    setAttribute(row, 'title', isComplete ? 'This page got this frame: its way is known to the screen' : null);
    const bar = row.children[3];
    for (const [n, { ms }] of stages.entries()) {
      const part = /** @type {HTMLElement | undefined} */ (bar.children[n]);
      part?.style.setProperty('flex-grow', String(totalMs > 0 ? (ms ?? 0) / totalMs : 0));
    }
  }

  /** @param {KeyboardEvent} event */
  #keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.#events.length === 0) return;
    const at = this.#events.findIndex(({ id }) => id === this.selected);
    const last = this.#events.length - 1;
    const places = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + PAGE, PageUp: at - PAGE, Home: 0, End: last });
    if (!(event.key in places)) return;
    event.preventDefault();
    const { id } = this.#events[Math.min(last, Math.max(0, places[event.key]))];
    this.select(id);
    this.#rows.get(id)?.scrollIntoView({ block: 'nearest' });
  }
}

/** @param {Flow} flow @param {number} ways */
function wayText({ flow }, ways) {
  const folded = flow.coalesced > 0 ? ` · ${amount(flow.coalesced)} folded` : '';
  return `${feedOf(flow)}${folded}${ways > 1 ? ` · ${counted(ways, 'feed')}` : ''}`;
}
