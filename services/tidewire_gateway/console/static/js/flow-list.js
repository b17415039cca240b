/** The list of sampled events: newest first, chosen with pointer or arrows, written in place. */

import { amount, clock, milliseconds, text } from './core/format.js';
import { journey } from './core/stages.js';
import { el, setAttribute, setChildren, setText } from './dom.js';

/** @import {Arrival, Flow} from './core/flows.js' */

const PAGE = 10;

export class FlowList {
  /** @type {string | null} */
  selected = null;
  /** The user chose one, or the page. @type {(id: string) => void} */
  onSelect = () => {};
  #box;
  #arrivalOf;
  /** @type {Flow[]} */
  #flows = [];
  /** @type {Map<string, HTMLElement>} */
  #rows = new Map();

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

  /** @param {Flow[]} flows */
  write(flows) {
    this.#flows = flows;
    const before = this.#rows;
    this.#rows = new Map();
    for (const flow of flows) {
      const row = before.get(flow.id) ?? newRow(flow);
      this.#rows.set(flow.id, row);
      this.#fill(row, flow);
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

  /** @param {HTMLElement} row @param {Flow} flow */
  #fill(row, flow) {
    const arrival = this.#arrivalOf(flow);
    const { totalMs, isComplete, stages } = journey(flow, arrival);
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
    if (event.ctrlKey || event.metaKey || event.altKey || this.#flows.length === 0) return;
    const at = this.#flows.findIndex(({ id }) => id === this.selected);
    const last = this.#flows.length - 1;
    const places = /** @type {Record<string, number>} */ ({ ArrowDown: at + 1, ArrowUp: at < 0 ? 0 : at - 1, PageDown: at + PAGE, PageUp: at - PAGE, Home: 0, End: last });
    if (!(event.key in places)) return;
    event.preventDefault();
    const { id } = this.#flows[Math.min(last, Math.max(0, places[event.key]))];
    this.select(id);
    this.#rows.get(id)?.scrollIntoView({ block: 'nearest' });
  }
}

/** @param {Flow} flow */
function newRow(flow) {
  const { event, flow: push } = flow;
  const stages = journey(flow, null).stages.map(({ id }) => el('i', { 'data-stage': id }));
  const interval = push.interval_ms === 0 ? 'at once' : text(milliseconds(push.interval_ms));
  const feed = [push.channel, interval, push.node, ...(push.coalesced > 0 ? [`${amount(push.coalesced)} folded`] : [])].join(' · ');
  return el('div', { class: 'flow-row', role: 'option', id: `flow-${flow.id}`, 'data-flow': flow.id, 'aria-selected': 'false' },
    el('time', { text: clock(push.written_at_ms) }),
    el('span', { class: 'flow-what' }, el('b', { text: event.key }), el('small', { text: feed })),
    el('span', { class: 'flow-total' }),
    el('span', { class: 'flow-bar', 'aria-hidden': 'true' }, ...stages));
}
