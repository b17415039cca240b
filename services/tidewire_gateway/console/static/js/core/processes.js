/** What every process last told of itself, for how long it has been silent, and what its totals grew by. Pure. */

/** @import {SystemRecord, WireRecord} from './records.d.ts' */

/**
 * @typedef {object} Process
 * @property {string} key `service/instance`
 * @property {SystemRecord} record
 * @property {number} heardAt when it was last heard, by this page's clock (ms)
 * @property {Sample[]} samples oldest first, all of one life of the process
 */
/** @typedef {{atMs: number, totals: Record<string, Record<string, number>>}} Sample */

/** After so many silent intervals a process is gone. */
export const SILENT_INTERVALS = 3;
/** What has been gone, or has ended, for so long is not shown any more. */
export const FORGET_AFTER_MS = 600_000;
const MAX_PROCESSES = 2_000;
const RATE_WINDOW_MS = 60_000;
const MAX_SAMPLES = 64;
const TOTALS = /** @type {const} */ (['resumes', 'handshakes', 'errors', 'closes']);

export class Processes {
  /** @type {Map<string, Process>} */
  #processes = new Map();
  /**
   * When anything was last heard (ms). Silence is judged as of then: while this page hears nothing at all, nobody has fallen silent.
   */
  heardAt = NaN;

  /** @returns {Process[]} by name */
  get all() {
    return [...this.#processes.values()].sort((a, b) => compareNames(a.key, b.key));
  }

  /**
   * The whole table. How old a record is comes from the newest beside it: its age by this page's clock would be as wrong as the
   * two clocks are apart.
   *
   * @param {WireRecord<SystemRecord>[]} events
   * @param {number} now
   */
  replace(events, now) {
    const before = this.#processes;
    this.#processes = new Map();
    const newest = Math.max(...events.map(({ data }) => data?.at_ms ?? -Infinity));
    for (const { key, data } of events) {
      if (!data) continue;
      const known = before.get(key);
      if (known) this.#processes.set(key, known);
      if (known?.record.at_ms !== data.at_ms) this.#put(key, data, now - (newest - data.at_ms));
    }
    this.heardAt = now;
  }

  /** @param {WireRecord<SystemRecord>[]} events @param {number} now */
  update(events, now) {
    for (const { key, data } of events) {
      if (data) this.#put(key, data, now);
      else this.#processes.delete(key);
    }
    this.heardAt = now;
  }

  /** @param {string} key @param {SystemRecord} record @param {number} heardAt */
  #put(key, record, heardAt) {
    const known = this.#processes.get(key);
    if (!known && this.#processes.size >= MAX_PROCESSES) this.#dropSilent();
    const sample = { atMs: record.at_ms, totals: totalsOf(record) };
    const goesOn = known?.record.started_at_ms === record.started_at_ms;
    const samples = [...(goesOn ? known.samples : []), sample]
      .filter(({ atMs }) => atMs >= record.at_ms - RATE_WINDOW_MS && atMs <= record.at_ms)
      .slice(-MAX_SAMPLES);
    this.#processes.set(key, { key, record, heardAt, samples });
  }

  /** The one that has been silent for longest makes room. */
  #dropSilent() {
    const [silent] = [...this.#processes.values()].sort((a, b) => a.heardAt - b.heardAt);
    if (silent) this.#processes.delete(silent.key);
  }
}

/**
 * `gone` where it fell silent without saying that it ends, else what it said.
 *
 * @param {Process} process
 * @param {number} asOf when any process was last heard
 */
export function stateOf({ record, heardAt }, asOf) {
  if (record.state === 'ended') return 'ended';
  return asOf - heardAt > SILENT_INTERVALS * record.every_ms ? 'gone' : record.state;
}

/** @param {Process} process @param {number} asOf */
export const isLive = (process, asOf) => !['gone', 'ended'].includes(stateOf(process, asOf));

/** @param {Process} process @param {number} asOf */
export const isForgotten = (process, asOf) => !isLive(process, asOf) && asOf - process.heardAt > FORGET_AFTER_MS;

/**
 * What a total grew by, a second, in the last minute; null where two records are not there yet.
 *
 * @param {Process} process
 * @param {'resumes' | 'handshakes' | 'errors' | 'closes'} total
 * @returns {Record<string, number> | null}
 */
export function ratesOf({ samples }, total) {
  const [first, last] = [samples[0], samples.at(-1)];
  if (!first || !last || last.atMs <= first.atMs) return null;
  const passed = (last.atMs - first.atMs) / 1e3;
  const grown = Object.entries(last.totals[total] ?? {});
  return Object.fromEntries(grown.map(([label, count]) => [label, Math.max(0, count - (first.totals[total]?.[label] ?? 0)) / passed]));
}

/** `node-2` before `node-10`. @param {string} a @param {string} b */
export const compareNames = (a, b) => a.localeCompare(b, 'en', { numeric: true });

/** @param {SystemRecord} record */
const totalsOf = ({ figures }) =>
  Object.fromEntries(TOTALS.map((total) => [total, /** @type {any} */ (figures)?.[total] ?? {}]));
