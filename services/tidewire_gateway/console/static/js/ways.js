/** Which way of an event is drawn, where several feeds or nodes have sent it. */

import { milliseconds, text } from './core/format.js';
import { el, setChildren, setText } from './dom.js';

/** @import {Flow} from './core/flows.js' */
/** @import {FlowRecord} from './core/records.d.ts' */

export class Ways {
  /** The operator wants to see another. @type {(flow: Flow) => void} */
  onChoose = () => {};
  #label;
  #select;
  /** @type {Flow[]} */
  #ways = [];
  /** @type {Map<string, HTMLOptionElement>} */
  #options = new Map();

  /** @param {HTMLElement} label @param {HTMLSelectElement} select in the label */
  constructor(label, select) {
    this.#label = label;
    this.#select = select;
    select.addEventListener('change', () => {
      const flow = this.#ways.find(({ id }) => id === select.value);
      if (flow) this.onChoose(flow);
    });
  }

  /** Whether the keyboard is in it: what it shows should stay. */
  get isInUse() {
    return document.activeElement === this.#select;
  }

  /** @param {Flow[]} ways of one event @param {Flow | null} drawn @param {(flow: Flow) => boolean} isSeen */
  show(ways, drawn, isSeen) {
    this.#ways = ways;
    this.#label.hidden = ways.length < 2;
    const before = this.#options;
    this.#options = new Map(ways.map(({ id }) => [id, before.get(id) ?? el('option', { value: id })]));
    for (const way of ways) setText(/** @type {Element} */ (this.#options.get(way.id)), `${feedOf(way.flow)}${isSeen(way) ? ' · seen here' : ''}`);
    setChildren(this.#select, [...this.#options.values()]);
    if (drawn && this.#select.value !== drawn.id) this.#select.value = drawn.id;
  }
}

/** `flights/JFK · 250 ms · node-1`. @param {FlowRecord} flow */
export const feedOf = ({ channel, interval_ms, node }) => [channel, interval_ms === 0 ? 'at once' : text(milliseconds(interval_ms)), node].join(' · ');
