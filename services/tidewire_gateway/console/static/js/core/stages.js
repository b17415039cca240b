/** The way of one event from its record to the screen, stage by stage. Pure. */

import { ticks } from './chart.js';

/** @import {Arrival, Flow} from './flows.js' */

/** @typedef {'router' | 'broker' | 'wait' | 'write' | 'network' | 'browser'} StageId */
/**
 * Times in milliseconds. `ms` null: not known (yet). `isSkewed`: the clocks at its two ends contradict each other, it counts as 0.
 *
 * @typedef {{id: StageId, name: string, startMs: number, ms: number | null, isSkewed: boolean}} Stage
 */
/** @typedef {{stages: Stage[], totalMs: number, isComplete: boolean, isSkewed: boolean}} Journey */

/** @type {Record<StageId, {name: string, says: string}>} */
export const STAGES = {
  router: { name: 'Router', says: 'From the message’s timestamp to the router having looked up its node and written it there' },
  broker: { name: 'Broker', says: 'From the record’s timestamp through Kafka to the node having read it' },
  wait: { name: 'Wait for the flush', says: 'In the feed until its interval was over: what the subscription asked for, not a delay by itself' },
  write: { name: 'Write', says: 'Encoding the frame once and handing it to every connection’s socket' },
  network: { name: 'Network', says: 'From the last socket written to the frame’s arrival in this page; includes the difference of two clocks' },
  browser: { name: 'Browser', says: 'From the frame’s arrival to the next painted frame of this page' },
};
const MOST_TICKS = 5;

/** @param {Flow} flow @param {Arrival | null} arrival @returns {Journey} */
export function journey({ flow, event }, arrival) {
  const isRouted = typeof event.routed_at_ms === 'number';
  /** @type {[StageId, number | null, number | null][]} */
  const spans = [
    ['broker', isRouted ? Number(event.routed_at_ms) : event.ts_ms, event.taken_at_ms],
    ['wait', event.taken_at_ms, flow.pushed_at_ms],
    ['write', flow.pushed_at_ms, flow.written_at_ms],
    ['network', flow.written_at_ms, arrival?.receivedAt ?? null],
    ['browser', arrival?.receivedAt ?? null, arrival?.paintedAt ?? null],
  ];
  if (isRouted) spans.unshift(['router', event.ts_ms, Number(event.routed_at_ms)]);
  let totalMs = 0;
  const stages = spans.map(([id, from, until]) => {
    const raw = from === null || until === null ? null : until - from;
    const ms = raw === null ? null : Math.max(0, raw);
    const stage = { id, name: STAGES[id].name, startMs: totalMs, ms, isSkewed: raw !== null && raw < 0 };
    totalMs += ms ?? 0;
    return stage;
  });
  return {
    stages,
    totalMs,
    isComplete: stages.every(({ ms }) => ms !== null),
    isSkewed: stages.some(({ isSkewed }) => isSkewed),
  };
}

/** The waterfall's scale: ticks from 0, and the milliseconds at its end. @param {number} totalMs */
export function scaleOf(totalMs) {
  const marks = ticks(totalMs, MOST_TICKS);
  return { marks, end: marks[marks.length - 1] };
}

/**
 * What a stage without a time waits for.
 *
 * @param {StageId} id
 * @param {{isWatched: boolean, hasArrived: boolean}} page whether it subscribes to the channel, and has got the frame
 */
export function whyUnknown(id, { isWatched, hasArrived }) {
  if (id !== 'network' && id !== 'browser') return 'not told';
  if (hasArrived) return 'not painted: a page that is not in front paints nothing';
  return isWatched ? 'this page did not get this frame' : 'watch this channel to see it';
}
