/** The row of figures for the whole system. */

import { amount, bytes, byteRate, rate, seconds, text } from './core/format.js';
import { el, setText } from './dom.js';

/** @typedef {ReturnType<typeof import('./core/fleet.js').overview>} Overview */
/** @typedef {{id: string, label: string, hint: string, of: (overview: Overview) => [figure: [string, string], more: string]}} Spec */

/** @type {Spec[]} */
const SPECS = [
  { id: 'nodes', label: 'Nodes', hint: 'nodes', of: ({ liveNodes, nodes }) => [[amount(liveNodes), ''], nodes.length > liveNodes ? `of ${nodes.length}` : ''] },
  { id: 'connections', label: 'Connections', hint: 'connections', of: ({ totals: { connections } }) => [[amount(connections.open), ''], connections.congested > 0 ? `${amount(connections.congested)} congested` : ''] },
  { id: 'subscriptions', label: 'Subscriptions', hint: 'subscriptions', of: ({ totals: { subscriptions, feeds } }) => [[amount(subscriptions), ''], `${amount(feeds)} feeds`] },
  { id: 'consumed', label: 'Consumed', hint: 'consumed', of: ({ totals: { consumed, partitions } }) => [rate(consumed), `${amount(partitions)} partitions`] },
  { id: 'delivered', label: 'Delivered', hint: 'delivered', of: ({ totals: { delivered, frames } }) => [rate(delivered), `${text(rate(frames)).replace('/', ' frames/')}`] },
  { id: 'out', label: 'Out', hint: 'out', of: ({ totals }) => [byteRate(totals.bytes), ''] },
  { id: 'coalesced', label: 'Coalesced', hint: 'folded', of: ({ totals }) => [rate(totals.coalesced), ''] },
  { id: 'freshness', label: 'Freshness', hint: 'freshness', of: ({ totals: { freshness } }) => [seconds(freshness.p50), freshness.p99 === null ? '' : `99 % ${text(seconds(freshness.p99))}`] },
  { id: 'lag', label: 'Lag', hint: 'lag', of: ({ totals: { lagRecords, lagSeconds } }) => [seconds(lagSeconds), `${amount(lagRecords)} records`] },
  { id: 'memory', label: 'Memory', hint: 'memory', of: ({ totals }) => [bytes(totals.memory), 'all nodes'] },
];

export class Meters {
  /** @type {{spec: Spec, value: HTMLElement, unit: HTMLElement, more: HTMLElement}[]} */
  #meters;

  /** @param {HTMLElement} list */
  constructor(list) {
    this.#meters = SPECS.map((spec) => {
      const [value, unit, more] = [el('b', { text: '–' }), el('span', { class: 'unit' }), el('small')];
      list.append(el('div', { 'data-meter': spec.id, hint: spec.hint }, el('dt', { text: spec.label }), el('dd', {}, value, unit, more)));
      return { spec, value, unit, more };
    });
  }

  /** @param {Overview} overview */
  write(overview) {
    for (const { spec, value, unit, more } of this.#meters) {
      const [figure, words] = spec.of(overview);
      setText(value, figure[0]);
      setText(unit, figure[1]);
      setText(more, words);
    }
  }
}
