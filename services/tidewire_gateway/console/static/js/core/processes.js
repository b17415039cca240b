/** What every process last told of itself, for how long it has been silent, and what its totals grew by. Pure. */

/** @import {SystemRecord, WireRecord} from './records.d.ts' */

/**
 * @typedef {object} Process
 * @property {string} key `service/instance`
 * @property {SystemRecord} record
 * @property {number} heardAt when it was last heard, by this page's clock (ms)
 * @property {number} deafMs for how long of the time since then nobody could be heard
 * @property {Sample[]} samples oldest first, all of one life of the process
 * @property {number[]} lives `started_at_ms` of those that were heard under its name, this one's last
 * @property {number} twinsSince since when two have its name (ms); NaN where that was never so
 * @property {number} twinsAt when that was last seen
 */
/** @typedef {{atMs: number, totals: Record<string, Record<string, number>>}} Sample */

/** After so many silent intervals a process is gone. */
export const SILENT_INTERVALS = 3;
/** What has been gone, or has ended, for so long is not shown any more. */
export const FORGET_AFTER_MS = 600_000;
/** Nothing at all for so many of the longest interval: nobody could be heard. */
const DEAF_INTERVALS = 1.5;
/**
 * So much of such a time counts as silence all the same, in the longest interval: else a process that is left alone, and always late,
 * would hide for good that the others are gone.
 */
const DEAF_COUNTED_INTERVALS = 0.25;
const MAX_PROCESSES = 2_000;
const MAX_LIVES = 8;
const RATE_WINDOW_MS = 60_000;
const MAX_SAMPLES = 64;
const TOTALS = /** @type {const} */ (['resumes', 'handshakes', 'errors', 'closes']);

export class Processes {
  /** @type {Map<string, Process>} */
  #processes = new Map();
  /**
   * When anything was last heard (ms). Silence is judged as of then: while this page hears nothing at all, nobody has fallen silent.
   * Nor does that time count afterwards, when a first one is heard again.
   */
  heardAt = NaN;

  /** @returns {Process[]} by name */
  get all() {
    return [...this.#processes.values()].sort((a, b) => compareNames(a.key, b.key));
  }

  /**
   * The whole table. How old a record is comes from the newest beside it: its age by this page's clock would be as wrong as the
   * two clocks are apart. A table without news is nothing that was heard.
   *
   * @param {WireRecord<SystemRecord>[]} events
   * @param {number} now
   */
  replace(events, now) {
    const isNew = (/** @type {WireRecord<SystemRecord>} */ { key, data }) => data && this.#processes.get(key)?.record.at_ms !== data.at_ms;
    if (Number.isNaN(this.heardAt) || events.some(isNew)) this.#hear(now);
    const before = this.#processes;
    this.#processes = new Map();
    const newest = Math.max(...events.map(({ data }) => data?.at_ms ?? -Infinity));
    for (const { key, data } of events) {
      if (!data) continue;
      const known = before.get(key);
      if (known) this.#processes.set(key, known);
      if (known?.record.at_ms !== data.at_ms) this.#put(key, data, now - (newest - data.at_ms));
    }
  }

  /** @param {WireRecord<SystemRecord>[]} events @param {number} now */
  update(events, now) {
    this.#hear(now);
    for (const { key, data } of events) {
      if (data) this.#put(key, data, now);
      else this.#processes.delete(key);
    }
  }

  /** Something is heard: a time in which nothing was, though somebody should have been, is nobody's silence. @param {number} now */
  #hear(now) {
    const intervals = this.all.filter((process) => isLive(process, this.heardAt)).map(({ record }) => record.every_ms);
    const longest = Math.max(...intervals);
    const gap = now - this.heardAt;
    this.heardAt = now;
    if (intervals.length === 0 || !(gap > DEAF_INTERVALS * longest)) return;
    const deafMs = gap - DEAF_COUNTED_INTERVALS * longest;
    for (const [key, process] of this.#processes) this.#processes.set(key, { ...process, deafMs: process.deafMs + deafMs });
  }

  /** @param {string} key @param {SystemRecord} record @param {number} heardAt */
  #put(key, record, heardAt) {
    const known = this.#processes.get(key);
    if (known && isEarlierEnd(known, record)) return;
    if (!known && this.#processes.size >= MAX_PROCESSES) this.#dropSilent();
    this.#processes.set(key, { key, record, heardAt, deafMs: 0, samples: samplesWith(known, record), ...livesWith(known, record, heardAt) });
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
export function stateOf({ record, heardAt, deafMs }, asOf) {
  if (record.state === 'ended') return 'ended';
  return asOf - heardAt - deafMs > SILENT_INTERVALS * record.every_ms ? 'gone' : record.state;
}

/** @param {Process} process @param {number} asOf */
export const isLive = (process, asOf) => !['gone', 'ended'].includes(stateOf(process, asOf));

/** @param {Process} process @param {number} asOf */
export const isForgotten = (process, asOf) => !isLive(process, asOf) && asOf - process.heardAt - process.deafMs > FORGET_AFTER_MS;

/** Whether two processes tell how they are under this one's name, each over the other's record. @param {Process} process @param {number} asOf */
export const areTwins = ({ record, twinsAt }, asOf) => asOf - twinsAt <= SILENT_INTERVALS * record.every_ms;

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

/** @param {Process | undefined} known @param {SystemRecord} record @returns {Sample[]} */
function samplesWith(known, record) {
  const before = known?.record.started_at_ms === record.started_at_ms ? known.samples : [];
  return [...before, { atMs: record.at_ms, totals: totalsOf(record) }]
    .filter(({ atMs }) => atMs >= record.at_ms - RATE_WINDOW_MS && atMs <= record.at_ms)
    .slice(-MAX_SAMPLES);
}

/**
 * Two have one name where a life comes back after another; an end that is told late is none.
 *
 * @param {Process | undefined} known
 * @param {SystemRecord} record
 * @param {number} heardAt
 * @returns {Pick<Process, 'lives' | 'twinsSince' | 'twinsAt'>}
 */
function livesWith(known, { started_at_ms: life }, heardAt) {
  if (!known) return { lives: [life], twinsSince: NaN, twinsAt: NaN };
  const { lives, twinsSince, twinsAt } = known;
  if (lives.at(-1) === life) return { lives, twinsSince, twinsAt };
  const others = lives.filter((one) => one !== life);
  const now = [...others, life].slice(-MAX_LIVES);
  if (others.length === lives.length) return { lives: now, twinsSince, twinsAt };
  return { lives: now, twinsSince: areTwins(known, heardAt) ? twinsSince : heardAt, twinsAt: heardAt };
}

/** Whether an earlier life under this name says that it ends: the later one goes on. @param {Process} known @param {SystemRecord} record */
const isEarlierEnd = ({ record: { started_at_ms }, lives }, { state, started_at_ms: life }) =>
  state === 'ended' && life !== started_at_ms && (life < started_at_ms || lives.includes(life));
