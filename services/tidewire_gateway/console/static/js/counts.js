/** Lists of labelled counts: states as bars of one whole, totals with their rates, facts of a service. */

import { amount, rate, text, words } from './core/format.js';
import { el, setAttribute, setChildren, setText } from './dom.js';

/** @typedef {{label: string, value: string, more?: string, share?: number, tone?: string | null, title?: string}} Line */

/** A list of labels and values, with a bar where `share` says so. */
export class Lines {
  #list = el('dl', { class: 'lines' });
  #empty;
  /** @type {Map<string, HTMLElement>} */
  #items = new Map();

  /** @param {HTMLElement} place @param {string} empty what to say of nothing */
  constructor(place, empty) {
    this.#empty = el('p', { class: 'empty', text: empty });
    this.#empty.hidden = true; // until something is known
    place.append(this.#list, this.#empty);
  }

  /** @param {Line[]} lines */
  write(lines) {
    this.#empty.hidden = lines.length > 0;
    const before = this.#items;
    this.#items = new Map(lines.map(({ label }) => [label, before.get(label) ?? newLine()]));
    for (const line of lines) fill(/** @type {HTMLElement} */ (this.#items.get(line.label)), line);
    setChildren(this.#list, [...this.#items.values()]);
  }
}

const newLine = () => el('div', {}, el('dt'), el('dd', {}, el('b'), el('small')));

/** @param {HTMLElement} item @param {Line} line */
function fill(item, { label, value, more = '', share, tone = null, title }) {
  const [term, figure] = item.children;
  setText(term, label);
  setText(figure.children[0], value);
  setText(figure.children[1], more);
  setAttribute(item, 'data-tone', tone);
  setAttribute(item, 'title', title ?? null);
  item.classList.toggle('has-share', share !== undefined);
  item.style.setProperty('--share', String(share ?? 0));
}

/** @param {[string, number][]} counts @param {Record<string, string>} tones */
export function sharesOf(counts, tones) {
  const whole = counts.reduce((sum, [, count]) => sum + count, 0);
  return counts.map(([label, count]) => ({
    label: words(label),
    value: amount(count),
    share: whole > 0 ? count / whole : 0,
    tone: count > 0 ? (tones[label] ?? null) : null,
  }));
}

/**
 * @param {{label: string, total: number, perSecond: number | null}[]} growth
 * @param {Record<string, string>} [tones]
 * @returns {Line[]}
 */
export const growthLines = (growth, tones = {}) =>
  growth.map(({ label, total, perSecond }) => ({
    label: words(label),
    value: text(rate(perSecond)),
    more: `${amount(total)} in all`,
    tone: perSecond ? (tones[label] ?? null) : null,
  }));
