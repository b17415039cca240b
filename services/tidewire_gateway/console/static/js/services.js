/** Registry, routers and publishers: a card each. */

import { amount, bytes, percent, rate, seconds, text, words } from './core/format.js';
import { stateOf } from './core/processes.js';
import { Lines } from './counts.js';
import { el, hintOf, setAttribute, setChildren, setText } from './dom.js';

/** @import {Process} from './core/processes.js' */
/** @import {Line} from './counts.js' */

/** @typedef {{element: HTMLElement, name: HTMLElement, state: HTMLElement, lines: Lines}} Card */

export class Services {
  #place;
  /** @type {Map<string, Card>} */
  #cards = new Map();

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  /** @param {Process[]} others @param {number} asOf */
  write(others, asOf) {
    const before = this.#cards;
    this.#cards = new Map(others.map(({ key, record }) => [key, before.get(key) ?? newCard(record.service)]));
    for (const process of others) this.#fill(/** @type {Card} */ (this.#cards.get(process.key)), process, asOf);
    setChildren(this.#place, [...this.#cards.values()].map(({ element }) => element));
  }

  /** @param {Card} card @param {Process} process @param {number} asOf */
  #fill({ element, name, state, lines }, process, asOf) {
    const told = stateOf(process, asOf);
    setAttribute(element, 'data-state', told);
    setText(name, process.record.instance);
    setText(state, told);
    lines.write([...linesOf(process), ...ownLines(process)]);
  }
}

/** @param {string} service */
function newCard(service) {
  const [name, state, body] = [el('p'), el('span', { class: 'state' }), el('div')];
  const title = el('h2', { text: service.charAt(0).toUpperCase() + service.slice(1) });
  setAttribute(title, 'title', hintOf(service) || null);
  const element = el('section', { class: 'panel service', 'data-service': service }, el('div', { class: 'panel-head' }, title, name, state), body);
  return { element, name, state, lines: new Lines(body, '') };
}

/** @param {Process} process @returns {Line[]} */
function linesOf({ record: { service, figures } }) {
  if (service === 'registry') {
    return [
      { label: 'store', value: figures.store_up === false ? 'away' : 'up', tone: figures.store_up === false ? 'bad' : 'good' },
      { label: 'nodes', value: amount(figures.nodes), more: `${amount(figures.slots)} slots` },
      { label: 'sessions', value: amount(figures.sessions) },
      { label: 'look-ups', value: text(rate(figures.lookups)) },
      { label: 'announcements', value: text(rate(figures.announces)) },
      ...(figures.frozen ? [{ label: 'frozen', value: 'yes', tone: 'warn' }] : []),
    ];
  }
  if (service === 'router') {
    const { dead_letter = 0, ...rates } = figures.messages ?? {};
    const partitions = typeof figures.partitions === 'number' ? figures.partitions : figures.partitions?.read;
    return [
      { label: 'registry', value: figures.registry_away ? 'away' : 'reached', tone: figures.registry_away ? 'bad' : 'good' },
      { label: 'partitions', value: amount(partitions), more: `${amount(figures.lag_records)} records behind` },
      { label: 'waiting', value: amount(figures.waiting) },
      ...ratesIn(rates),
      { label: 'dead letters', value: amount(figures.dead_letters), more: text(rate(dead_letter)), tone: figures.dead_letters ? 'warn' : null },
    ];
  }
  return ratesIn(figures.published);
}

/** What every process says. @param {Process} process @returns {Line[]} */
const ownLines = ({ record }) => [
  { label: 'CPU', value: text(percent(record.cpu_cores)), more: `loop ${text(seconds(record.loop_lag_s))}` },
  { label: 'memory', value: text(bytes(record.memory_bytes)), more: `up ${text(seconds((record.at_ms - record.started_at_ms) / 1e3))}` },
];

/** @param {Record<string, number> | undefined} rates @returns {Line[]} */
const ratesIn = (rates) => Object.entries(rates ?? {}).map(([label, perSecond]) => ({ label: words(label), value: text(rate(perSecond)) }));
