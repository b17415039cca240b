/** The page *System*: how every process is. */

import { amount, bytes, counted, milliseconds, percent, seconds, text } from './core/format.js';
import { MAX_FEEDS, feedId, overview, readBy } from './core/fleet.js';
import { FreshnessHistory } from './core/freshness.js';
import { Processes, stateOf } from './core/processes.js';
import { Alarms } from './alarms.js';
import { FreshnessChart } from './chart-view.js';
import { Lines, growthLines, sharesOf } from './counts.js';
import { byId, setText } from './dom.js';
import { Meters } from './meters.js';
import { Services } from './services.js';
import { Table } from './table.js';

/** @import {MergedFeed, SlowOne} from './core/fleet.js' */
/** @import {Process} from './core/processes.js' */
/** @import {SystemRecord, WireRecord} from './core/records.d.ts' */

const BUSY_CORES = 0.9;
const SLOW_LOOP_S = 0.05;
const NOTABLE_LAG_S = 1;
const MANY_BAD = { congested: 'warn', catching_up: 'muted', lagging: 'warn', waiting: 'warn' };
const LOSSES = { gap: 'warn', lost: 'bad', none: 'muted' };

export class SystemPage {
  #processes = new Processes();
  #freshness = new FreshnessHistory();
  #alarms = new Alarms({ panel: byId('alarms'), calm: byId('alarms-calm'), list: byId('alarms-list'), spoken: byId('alarms-spoken') });
  #meters = new Meters(byId('meters'));
  #chart = new FreshnessChart(byId('freshness'), byId('freshness-key'));
  #connections = new Lines(byId('connections'), 'No node has told yet.');
  #subscriptions = new Lines(byId('subscriptions'), 'No client has subscribed.');
  #services = new Services(byId('services'));
  #growth = {
    resumes: new Lines(byId('resumes'), 'No client has come back yet.'),
    handshakes: new Lines(byId('handshakes'), 'No client has come yet.'),
    closes: new Lines(byId('closes'), 'No connection was closed by a node.'),
    errors: new Lines(byId('errors'), 'No client was answered with an error.'),
  };
  /** As of the last record: see `stateOf`. */
  #asOf = 0;
  #nodes;
  #feeds = new Table(byId('feeds'), { labelledBy: 'feeds-title', idOf: feedId, columns: feedColumns(), empty: 'No client has subscribed to anything.' });
  #slow = new Table(byId('slow'), { labelledBy: 'slow-title', idOf: slowId, columns: slowColumns(), empty: 'Every client keeps up.' });

  constructor() {
    const stateNow = (/** @type {Process} */ process) => stateOf(process, this.#asOf);
    this.#nodes = new Table(byId('nodes'), {
      labelledBy: 'nodes-title', idOf: ({ key }) => key, stateOf: stateNow, columns: nodeColumns(stateNow), empty: 'No node has told how it is yet.',
    });
  }

  /** @param {WireRecord<SystemRecord>[]} events */
  replace(events) {
    this.#processes.replace(events, Date.now());
  }

  /** @param {WireRecord<SystemRecord>[]} events */
  update(events) {
    const now = Date.now();
    this.#processes.update(events, now);
    for (const { data } of events) if (data?.service === 'gateway') this.#freshness.add(now, data.figures.freshness);
  }

  get heardAt() {
    return this.#processes.heardAt;
  }

  /** The whole system as it is now. */
  overview() {
    return overview(this.#processes.all, this.#processes.heardAt);
  }

  /** How many alarms there are. @param {boolean} isSeen whether the page is in front; alarms are told in any case */
  write(isSeen) {
    if (Number.isNaN(this.heardAt)) return 0;
    const now = Date.now();
    const system = this.overview();
    this.#asOf = this.heardAt;
    this.#alarms.write(system.alarms, wellness(system), now);
    if (isSeen) this.#writeFigures(system, now);
    return system.alarms.length;
  }

  /** @param {ReturnType<typeof overview>} system @param {number} now */
  #writeFigures(system, now) {
    const { connections } = system.totals;
    this.#meters.write(system);
    this.#chart.show(this.#freshness.lines(now), now);
    this.#connections.write(sharesOf(
      [['open', connections.open - connections.congested], ['congested', connections.congested], ['in_handshake', connections.handshaking]], MANY_BAD));
    this.#subscriptions.write(sharesOf(system.subscriptions, MANY_BAD));
    this.#nodes.write(system.nodes);
    setText(byId('nodes-note'), nodesNote(system));
    this.#feeds.write(system.feeds);
    setText(byId('feeds-note'), feedsNote(system));
    this.#slow.write(system.slow);
    setText(byId('slow-note'), system.slow.length === 0 ? '' : `${amount(connections.congested)} congested`);
    this.#services.write(system.others, this.#asOf);
    this.#growth.resumes.write(growthLines(system.growth.resumes, LOSSES));
    this.#growth.handshakes.write(growthLines(system.growth.handshakes));
    this.#growth.closes.write(growthLines(system.growth.closes));
    this.#growth.errors.write(growthLines(system.growth.errors));
  }
}

/** @param {ReturnType<typeof overview>} system */
function wellness({ liveNodes, liveOthers }) {
  const others = liveOthers > 0 ? ` and ${counted(liveOthers, 'other process', 'other processes')}` : '';
  return `All is well: ${counted(liveNodes, 'node')}${others}, no alarms.`;
}

/** @param {ReturnType<typeof overview>} system */
const nodesNote = ({ totals }) =>
  `${counted(totals.partitions, 'partition')} read, ${amount(totals.lagRecords)} records behind`;

/** @param {ReturnType<typeof overview>} system */
const feedsNote = ({ feeds }) => (feeds.length < MAX_FEEDS ? '' : `the ${MAX_FEEDS} with most subscribers`);

/**
 * @param {(process: Process) => string} stateNow
 * @returns {import('./table.js').Column<Process>[]}
 */
function nodeColumns(stateNow) {
  const figures = (/** @type {Process} */ { record }) => record.figures;
  return [
    { label: 'Node', text: ({ record }) => record.instance, name: 'name', title: ({ record }) => `Tidewire ${record.version}${record.internal ? `, internal port at ${record.internal}` : ''}` },
    { label: 'State', name: 'state-cell', text: (process) => stateNow(process), hint: 'gone' },
    { label: 'Up', isNumber: true, text: ({ record }) => text(seconds((record.at_ms - record.started_at_ms) / 1e3)) },
    { label: 'Connections', hint: 'connections', isNumber: true, text: (process) => amount(figures(process).connections?.open) },
    { label: 'Feeds', hint: 'feeds', isNumber: true, text: (process) => amount(figures(process).feeds) },
    { label: 'Partitions', hint: 'partitions', isNumber: true, text: (process) => amount(readBy(figures(process)).read) },
    { label: 'Lag', hint: 'lag', isNumber: true, text: (process) => text(seconds(readBy(figures(process)).lag_seconds)),
      tone: (process) => toneAbove(readBy(figures(process)).lag_seconds, NOTABLE_LAG_S), title: (process) => `${amount(readBy(figures(process)).lag_records)} records` },
    { label: 'Freshness', hint: 'freshness', isNumber: true, text: (process) => text(seconds(figures(process).freshness?.p50)), title: ({ record }) => `99 %: ${text(seconds(record.figures.freshness?.p99))}` },
    { label: 'Loop lag', hint: 'loop_lag', isNumber: true, text: ({ record }) => text(seconds(record.loop_lag_s)), tone: ({ record }) => toneAbove(record.loop_lag_s, SLOW_LOOP_S) },
    { label: 'CPU', hint: 'cpu', isNumber: true, name: 'bar', text: ({ record }) => text(percent(record.cpu_cores)),
      tone: ({ record }) => toneAbove(record.cpu_cores, BUSY_CORES), share: ({ record }) => Math.min(1, record.cpu_cores ?? 0) },
    { label: 'Memory', hint: 'memory', isNumber: true, text: ({ record }) => text(bytes(record.memory_bytes)) },
    { label: 'Lease', hint: 'lease', text: (process) => leaseText(figures(process).lease), tone: (process) => (figures(process).lease?.held === false ? 'bad' : null) },
  ];
}

/** @returns {import('./table.js').Column<MergedFeed>[]} */
const feedColumns = () => [
  { label: 'Channel', name: 'name', text: ({ channel }) => channel },
  { label: 'Mode', text: ({ mode }) => mode },
  { label: 'Interval', isNumber: true, text: ({ interval_ms }) => (interval_ms === 0 ? 'at once' : text(milliseconds(interval_ms))) },
  { label: 'Subscribers', isNumber: true, text: ({ subscribers }) => amount(subscribers) },
  { label: 'Nodes', isNumber: true, name: 'lesser', text: ({ nodes }) => amount(nodes) },
  { label: 'Coalesced', hint: 'ratio', isNumber: true, name: 'bar', text: ({ ratio }) => text(percent(ratio)), share: ({ ratio }) => ratio, title: ({ events, coalesced }) => `${amount(events)} events went out, ${amount(coalesced)} were folded away` },
];

/** @returns {import('./table.js').Column<SlowOne>[]} */
const slowColumns = () => [
  { label: 'Connection', name: 'name', text: ({ connection }) => connection, title: ({ user }) => (user ? `User ${user}` : 'Without a user') },
  { label: 'Node', text: ({ node }) => node },
  { label: 'Behind', isNumber: true, text: ({ behind_s }) => text(seconds(behind_s)) },
  { label: 'Queued', isNumber: true, text: ({ queued_bytes }) => text(bytes(queued_bytes)) },
];

/** @param {SlowOne} slow */
const slowId = ({ node, connection }) => `${node} ${connection}`;

/** @param {{held: boolean, slot: number | null} | null | undefined} lease */
function leaseText(lease) {
  if (!lease) return '–';
  if (!lease.held) return 'not held';
  return lease.slot === null ? 'held' : `slot ${lease.slot}`;
}

/** @param {number | null | undefined} value @param {number} limit */
const toneAbove = (value, limit) => (value != null && value > limit ? 'warn' : null);
