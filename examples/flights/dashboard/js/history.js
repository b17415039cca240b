/** Departures and arrivals of the last simulated hours, in quarter-hours for the plots. Pure. */

import { quantile } from './measures.js';

const MINUTE = 60_000;
export const BIN = 15 * MINUTE;
const STEP = 5 * MINUTE;
const SPAN = 8 * 60 * MINUTE;
/** Landed flights stay on the board this long, so a snapshot knows that much of the past. */
const KNOWN_BEFORE_SNAPSHOT = 40 * MINUTE;
const MAX_FLIGHTS = 20_000;
const MIN_FOR_QUANTILES = 3;

/** @typedef {{dep: number, arr: number, delay: number}} Flown `arr` is Infinity while in the air */

export class History {
  /** @type {Map<string, Flown>} */
  #flown = new Map();
  /** From when on nothing is missing (simulated ms). */
  #since = Infinity;

  clear() {
    this.#flown.clear();
    this.#since = Infinity;
  }

  /** @param {string} key @param {Record<string, any>} flight */
  observe(key, flight) {
    if (!Number.isFinite(flight.dep)) return;
    const hasEnded = flight.status === 'arrived' || flight.status === 'diverted';
    const arr = hasEnded ? (flight.arr ?? flight.sim) : Infinity;
    this.#flown.set(`${key} ${flight.sched_dep}`, { dep: flight.dep, arr, delay: flight.dep_delay });
    if (this.#flown.size > MAX_FLIGHTS) this.#flown.delete(this.#flown.keys().next().value ?? '');
  }

  /**
   * Number of flights in the air every five minutes, departures and arrivals per hour.
   *
   * @param {number} now
   * @returns {[number[], ...(number | null)[][]]} Unix seconds; in the air; departures/h; arrivals/h
   */
  traffic(now) {
    const start = this.#begin(now);
    const count = Math.max(1, Math.floor((now - start) / STEP) + 1);
    const times = Array.from({ length: count }, (_, n) => start + n * STEP);
    const delta = new Array(count + 1).fill(0);
    const departures = new Array(count).fill(0);
    const arrivals = new Array(count).fill(0);
    for (const { dep, arr } of this.#flown.values()) {
      if (arr < start) continue;
      delta[Math.min(count, Math.max(0, Math.ceil((dep - start) / STEP)))] += 1;
      if (arr <= now) delta[Math.min(count, Math.ceil((arr - start) / STEP))] -= 1;
      spread(departures, dep, start);
      spread(arrivals, arr, start);
    }
    let flying = 0;
    const inAir = times.map((_, n) => (flying += delta[n]));
    const hourly = (/** @type {number[]} */ counts) => counts.map((n, i) => (i < 2 ? null : n * (60 / 15)));
    return [times.map((at) => at / 1000), inAir, hourly(departures), hourly(arrivals)];
  }

  /**
   * Delay of the flights that left in each quarter of an hour.
   *
   * @param {number} now
   * @returns {[number[], (number | null)[], (number | null)[]]} Unix seconds; median; 90th percentile
   */
  delays(now) {
    const start = Math.ceil(this.#begin(now) / BIN) * BIN;
    const count = Math.max(1, Math.floor((now - start) / BIN) + 1);
    /** @type {number[][]} */
    const bins = Array.from({ length: count }, () => []);
    for (const { dep, delay } of this.#flown.values()) {
      const bin = Math.floor((dep - start) / BIN);
      if (Number.isFinite(delay)) bins[bin]?.push(delay);
    }
    const sorted = bins.map((bin) => Float64Array.from(bin).sort());
    const known = (/** @type {number} */ share) =>
      sorted.map((bin) => (bin.length < MIN_FOR_QUANTILES ? null : quantile(bin, share)));
    return [bins.map((_, n) => (start + n * BIN + BIN / 2) / 1000), known(0.5), known(0.9)];
  }

  /** Where the plots begin: as far back as is known, at most `SPAN`. @param {number} now */
  #begin(now) {
    this.#since = Math.min(this.#since, now - KNOWN_BEFORE_SNAPSHOT);
    const start = Math.ceil(Math.max(this.#since, now - SPAN) / STEP) * STEP;
    for (const [id, { arr }] of this.#flown) if (arr < start) this.#flown.delete(id);
    return start;
  }
}

/** Count a moment in the quarter of an hour that ends at each step. @param {number[]} counts @param {number} at @param {number} start */
function spread(counts, at, start) {
  const step = Math.ceil((at - start) / STEP);
  if (!Number.isFinite(step)) return;
  for (let n = step; n < step + BIN / STEP; n += 1) if (n >= 0 && n < counts.length) counts[n] += 1;
}
