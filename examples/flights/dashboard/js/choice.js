/** What the page shows, kept in the address so that it can be shared and survives a reload. Pure. */

import { ALL } from './link-names.js';

export const RATES = /** @type {const} */ ([0, 100, 250, 500, 1000, 2000]);

/** @typedef {{airport: string, mode: 'latest' | 'every', rate: number}} Choice */

/** @param {string} hash @param {string[]} origins @returns {Choice} */
export function readChoice(hash, origins) {
  const asked = new URLSearchParams(hash.replace(/^#/, ''));
  const airport = asked.get('airport') ?? ALL;
  const rate = Number(asked.get('rate') ?? 250);
  return {
    airport: origins.includes(airport) ? airport : ALL,
    mode: asked.get('mode') === 'every' ? 'every' : 'latest',
    rate: RATES.some((known) => known === rate) ? rate : 250,
  };
}

/** @param {Choice} choice */
export const writeChoice = ({ airport, mode, rate }) =>
  `#${new URLSearchParams({ airport, mode, rate: String(rate) })}`;
