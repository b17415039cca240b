/** All processes as one system: sums, feeds merged over nodes, alarms in their order. Pure. */

import { areTwins, isForgotten, isLive, ratesOf, stateOf } from './processes.js';

/** @import {Process} from './processes.js' */
/** @import {Figures, SlowClient, TopFeed} from './records.d.ts' */

/** @typedef {{process: string, name: string, severity: string, text: string, sinceMs: number}} Warning */
/** @typedef {TopFeed & {nodes: number, ratio: number | null}} MergedFeed */
/** @typedef {SlowClient & {node: string}} SlowOne */

const SEVERITIES = ['critical', 'error', 'warning', 'info'];
export const MAX_FEEDS = 20;
const MAX_SLOW = 20;
const SUBSCRIPTION_STATES = ['attached', 'joining', 'catching_up', 'lagging', 'waiting', 'paused'];

/**
 * @param {Process[]} all
 * @param {number} asOf
 */
export function overview(all, asOf) {
  const shown = all.filter((process) => !isForgotten(process, asOf));
  const live = shown.filter((process) => isLive(process, asOf));
  const gateways = live.filter(isOf('gateway'));
  return {
    shown,
    nodes: shown.filter(isOf('gateway')),
    others: shown.filter((process) => !isOf('gateway')(process)),
    liveNodes: gateways.length,
    liveOthers: live.length - gateways.length,
    alarms: alarmsOf(shown, asOf),
    totals: totalsOf(gateways),
    subscriptions: inOrder(sumBy(gateways, ({ subscriptions }) => subscriptions), SUBSCRIPTION_STATES),
    feeds: mergeFeeds(gateways.map(({ record }) => record.figures.top_feeds ?? [])),
    slow: slowest(gateways),
    growth: {
      resumes: growth(gateways, 'resumes'),
      handshakes: growth(gateways, 'handshakes'),
      closes: growth(gateways, 'closes'),
      errors: growth(gateways, 'errors'),
    },
  };
}

/** @param {Process[]} gateways */
export function totalsOf(gateways) {
  const sum = (/** @type {(figures: Figures) => number | null | undefined} */ of) =>
    gateways.reduce((total, { record }) => total + (of(record.figures) ?? 0), 0);
  const most = (/** @type {(figures: Figures) => number | null | undefined} */ of) => {
    const known = gateways.map(({ record }) => of(record.figures)).filter((value) => typeof value === 'number');
    return known.length === 0 ? null : Math.max(...known);
  };
  return {
    connections: {
      open: sum(({ connections }) => connections?.open),
      congested: sum(({ connections }) => connections?.congested),
      handshaking: sum(({ connections }) => connections?.handshaking),
    },
    partitions: sum((figures) => readBy(figures).read),
    lagRecords: sum((figures) => readBy(figures).lag_records),
    lagSeconds: most((figures) => readBy(figures).lag_seconds),
    feeds: sum(({ feeds }) => feeds),
    subscriptions: sum(({ subscriptions }) => Object.values(subscriptions ?? {}).reduce((all, count) => all + count, 0)),
    users: sum(({ users }) => users),
    memory: gateways.reduce((total, { record }) => total + (record.memory_bytes ?? 0), 0),
    consumed: sum(({ rates }) => rates?.consumed),
    delivered: sum(({ rates }) => rates?.delivered),
    frames: sum(({ rates }) => rates?.frames),
    bytes: sum(({ rates }) => rates?.bytes),
    coalesced: sum(({ rates }) => rates?.coalesced),
    freshness: worst(gateways),
  };
}

/** A gateway's partitions; zeros where it did not say. @param {Figures} figures */
export const readBy = ({ partitions }) =>
  typeof partitions === 'object' && partitions ? partitions : { read: 0, lag_records: 0, lag_seconds: null };

/**
 * One feed on several nodes is one line: subscribers and events are added up.
 *
 * @param {TopFeed[][]} lists
 * @returns {MergedFeed[]} most subscribers first; `ratio` null where it had no events
 */
export function mergeFeeds(lists) {
  /** @type {Map<string, MergedFeed>} */
  const merged = new Map();
  for (const feed of lists.flat()) {
    const id = feedId(feed);
    const known = merged.get(id) ?? { ...feed, subscribers: 0, events: 0, coalesced: 0, nodes: 0, ratio: null };
    known.subscribers += feed.subscribers;
    known.events += feed.events;
    known.coalesced += feed.coalesced;
    known.nodes += 1;
    known.ratio = coalescingRatio(known);
    merged.set(id, known);
  }
  return [...merged.values()]
    .sort((a, b) => b.subscribers - a.subscribers || b.events - a.events || (feedId(a) < feedId(b) ? -1 : 1))
    .slice(0, MAX_FEEDS);
}

/** @param {TopFeed} feed */
export const feedId = ({ channel, mode, interval_ms }) => `${channel} ${mode} ${interval_ms}`;

/** Share of what came that a newer event replaced. @param {{events: number, coalesced: number}} feed `events` went out */
export const coalescingRatio = ({ events, coalesced }) => (events + coalesced > 0 ? coalesced / (events + coalesced) : null);

/** Those that are behind longest. @param {Process[]} gateways @returns {SlowOne[]} */
export const slowest = (gateways) =>
  gateways
    .flatMap(({ record }) => (record.figures.slow ?? []).map((slow) => ({ ...slow, node: record.instance })))
    .sort((a, b) => b.behind_s - a.behind_s)
    .slice(0, MAX_SLOW);

/**
 * What the processes say, and what they cannot say themselves: that one is gone, and that two have one name.
 *
 * @param {Process[]} processes
 * @param {number} asOf
 * @returns {Warning[]} worst first, and of one severity the oldest first
 */
export function alarmsOf(processes, asOf) {
  const told = processes.flatMap((process) => {
    const { record, heardAt, key } = process;
    const state = stateOf(process, asOf);
    if (state === 'gone') {
      const text = `${key} fell silent without saying that it ends`;
      return [{ process: key, name: 'gone', severity: 'critical', text, sinceMs: heardAt }];
    }
    if (state === 'ended') return [];
    const said = (record.alarms ?? []).map(({ name, severity, text, since_ms }) => ({ process: key, name, severity, text, sinceMs: since_ms }));
    return areTwins(process, asOf) ? [twinsAlarm(process), ...said] : said;
  });
  return told.sort((a, b) => rank(a.severity) - rank(b.severity) || a.sinceMs - b.sinceMs);
}

/** @param {Process} process @returns {Warning} */
const twinsAlarm = ({ key, twinsSince }) => ({
  process: key, name: 'same_name', severity: 'error', text: `two processes are called ${key}: only one of them is seen at a time`, sinceMs: twinsSince,
});

/** The slowest node of each percentile: what its clients see is as true as what the others' see. @param {Process[]} gateways */
function worst(gateways) {
  const of = (/** @type {'p50' | 'p90' | 'p99'} */ name) => {
    const known = gateways.map(({ record }) => record.figures.freshness?.[name]).filter((value) => typeof value === 'number');
    return known.length === 0 ? null : Math.max(...known);
  };
  return { p50: of('p50'), p90: of('p90'), p99: of('p99') };
}

/**
 * Totals that are not 0 and their growth a second, largest first; growth null where it is not known yet.
 *
 * @param {Process[]} gateways
 * @param {'resumes' | 'handshakes' | 'errors' | 'closes'} total
 * @returns {{label: string, total: number, perSecond: number | null}[]}
 */
export function growth(gateways, total) {
  const totals = sumBy(gateways, (figures) => figures[total]);
  const rates = gateways.map((process) => ratesOf(process, total));
  return Object.entries(totals)
    .filter(([, count]) => count > 0)
    .map(([label, count]) => ({
      label,
      total: count,
      perSecond: rates.every((known) => known === null) ? null : rates.reduce((sum, known) => sum + (known?.[label] ?? 0), 0),
    }))
    .sort((a, b) => b.total - a.total || (a.label < b.label ? -1 : 1));
}

/**
 * @param {Process[]} processes
 * @param {(figures: Figures) => Record<string, number> | undefined} of
 */
export function sumBy(processes, of) {
  /** @type {Record<string, number>} */
  const sums = {};
  for (const { record } of processes) {
    for (const [label, count] of Object.entries(of(record.figures) ?? {})) sums[label] = (sums[label] ?? 0) + count;
  }
  return sums;
}

/** @param {Record<string, number>} counts @param {string[]} order @returns {[string, number][]} */
function inOrder(counts, order) {
  const place = (/** @type {string} */ label) => (order.includes(label) ? order.indexOf(label) : order.length);
  return Object.entries(counts).sort(([a], [b]) => place(a) - place(b));
}

/** @param {string} severity */
const rank = (severity) => (SEVERITIES.includes(severity) ? SEVERITIES.indexOf(severity) : SEVERITIES.indexOf('warning'));

/** @param {string} service */
const isOf = (service) => (/** @type {Process} */ { record }) => record.service === service;
