/** Freshness of the last five minutes: percentiles over time, of one node or of the slowest at each moment. Pure. */

/** @import {Percentiles} from './records.d.ts' */
/** @typedef {[at: number, value: number | null]} Point `value` in seconds; null where nothing was flushed */

export const KEPT_MS = 300_000;
export const PERCENTILES = /** @type {const} */ (['p50', 'p90', 'p99']);
const SLOT_MS = 2_000;
const NOTHING = { p50: null, p90: null, p99: null };

export class FreshnessHistory {
  /** Slot → the highest of each percentile. @type {Map<number, Percentiles>} */
  #slots = new Map();

  /** @param {number} now @param {Percentiles | undefined} measured */
  add(now, measured) {
    const slot = Math.floor(now / SLOT_MS);
    const known = this.#slots.get(slot) ?? NOTHING;
    const higher = (/** @type {'p50' | 'p90' | 'p99'} */ name) => highest(known[name], measured?.[name] ?? null);
    this.#slots.set(slot, { p50: higher('p50'), p90: higher('p90'), p99: higher('p99') });
    for (const old of this.#slots.keys()) {
      if (old * SLOT_MS >= now - KEPT_MS - SLOT_MS) break;
      this.#slots.delete(old);
    }
  }

  /** Oldest first. @param {number} now @returns {Record<'p50' | 'p90' | 'p99', Point[]>} */
  lines(now) {
    const slots = [...this.#slots].filter(([slot]) => slot * SLOT_MS >= now - KEPT_MS).sort(([a], [b]) => a - b);
    const line = (/** @type {'p50' | 'p90' | 'p99'} */ name) =>
      slots.map(([slot, values]) => /** @type {Point} */ ([slot * SLOT_MS, values[name]]));
    return { p50: line('p50'), p90: line('p90'), p99: line('p99') };
  }
}

/** @param {number | null} a @param {number | null} b */
const highest = (a, b) => (a === null ? b : b === null ? a : Math.max(a, b));
