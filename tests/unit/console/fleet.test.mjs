/** The system as one: sums, merged feeds, alarms. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { core, processRecord, START } from './core.mjs';

const { Processes } = await core('processes.js');
const { coalescingRatio, mergeFeeds, overview } = await core('fleet.js');

const feed = (channel, subscribers, events = 0, coalesced = 0, more = {}) => ({
  channel, mode: 'latest', interval_ms: 250, subscribers, events, coalesced, ...more,
});
const figures = (n) => ({
  connections: { open: 10 * n, congested: n, handshaking: 1 }, subscriptions: { paused: 1, attached: 5 * n, odd: 1 },
  feeds: 3, partitions: { read: 4, lag_records: n, lag_seconds: n / 10 }, users: 2,
  rates: { consumed: 100, delivered: 1000 * n, frames: 10, bytes: 5000, coalesced: 20 },
  freshness: { p50: 0.1 * n, p90: 0.5 / n, p99: null }, top_feeds: [feed('flights', 5 * n, 60, 30)],
  slow: [{ connection: `c${n}`, user: null, behind_s: n, queued_bytes: 9 }], resumes: { exact: n }, errors: {}, closes: {}, handshakes: {},
});

/** What the page shows of some records that all came now. */
function seen(...records) {
  const processes = new Processes();
  processes.update(records, 0);
  return overview(processes.all, processes.heardAt);
}

describe('the system', () => {
  it('is the sum of its live nodes, and as late as its slowest', () => {
    const { totals, subscriptions, slow, liveNodes, liveOthers } = seen(
      processRecord('a', { figures: figures(1) }),
      processRecord('b', { figures: figures(2) }),
      processRecord('c', { figures: figures(50), state: 'ended' }),
      processRecord('r', { service: 'router', figures: figures(9) }),
    );
    assert.deepEqual([liveNodes, liveOthers, totals.memory], [2, 1, 182e6]);
    assert.deepEqual(totals.connections, { open: 30, congested: 3, handshaking: 2 });
    assert.deepEqual([totals.partitions, totals.lagRecords, totals.lagSeconds], [8, 3, 0.2]);
    assert.deepEqual([totals.consumed, totals.delivered, totals.bytes, totals.subscriptions], [200, 3000, 10_000, 19]);
    assert.deepEqual(totals.freshness, { p50: 0.2, p90: 0.5, p99: null });
    assert.deepEqual(subscriptions, [['attached', 15], ['paused', 2], ['odd', 2]]);
    assert.deepEqual(slow.map(({ connection, node }) => [connection, node]), [['c2', 'b'], ['c1', 'a']]);
  });

  it('can be shown though a process says hardly anything', () => {
    const { totals, feeds, growth } = seen(processRecord('a', { figures: { lease: null, freshness: { p50: null } } }), processRecord('r', { service: 'router' }));
    assert.deepEqual(totals.connections, { open: 0, congested: 0, handshaking: 0 });
    assert.equal(totals.lagSeconds, null);
    assert.deepEqual([feeds, growth.resumes], [[], []]);
  });

  it('tells totals with their growth over all nodes, the largest first', () => {
    const processes = new Processes();
    const record = (instance, at_ms, resumes) => processRecord(instance, { at_ms, figures: { resumes } });
    processes.update([record('a', START, { exact: 1, snapshot: 5 })], 0);
    const [first] = overview(processes.all, 0).growth.resumes;
    assert.deepEqual(first, { label: 'snapshot', total: 5, perSecond: null });
    processes.update([record('a', START + 2000, { exact: 3, snapshot: 5 }), record('b', START + 2000, { exact: 100 })], 2000);
    assert.deepEqual(overview(processes.all, 2000).growth.resumes, [
      { label: 'exact', total: 103, perSecond: 1 },
      { label: 'snapshot', total: 5, perSecond: 0 },
    ]);
  });
});

describe('feeds', () => {
  it('of one channel, mode and interval are one line over all nodes', () => {
    const [first, second, ...more] = mergeFeeds([
      [feed('flights', 3, 60, 40), feed('flights', 9, 10, 0, { interval_ms: 0 })],
      [feed('flights', 4, 20, 40)],
    ]);
    assert.deepEqual(more, []);
    assert.deepEqual([first.subscribers, first.interval_ms, first.nodes], [9, 0, 1]);
    assert.deepEqual([second.subscribers, second.events, second.coalesced, second.nodes, second.ratio], [7, 80, 80, 2, 0.5]);
  });

  it('are those with most subscribers, twenty at most', () => {
    const merged = mergeFeeds([Array.from({ length: 30 }, (_, n) => feed(`s/${n}`, n))]);
    assert.equal(merged.length, 20);
    assert.equal(merged[0].channel, 's/29');
  });

  it('have no ratio while nothing came', () => {
    assert.equal(coalescingRatio({ events: 0, coalesced: 0 }), null);
    assert.equal(coalescingRatio({ events: 1, coalesced: 3 }), 0.75);
  });
});

describe('alarms', () => {
  const alarm = (name, severity, since_ms) => ({ name, severity, text: `${name}!`, since_ms });

  it('come worst first, then the oldest, and name their process', () => {
    const { alarms } = seen(
      processRecord('a', { alarms: [alarm('late', 'warning', 9), alarm('odd', 'unheard-of', 1), alarm('fyi', 'info', 1)] }),
      processRecord('r', { service: 'router', alarms: [alarm('bad', 'critical', 99), alarm('off', 'error', 3)] }),
    );
    assert.deepEqual(alarms.map(({ process, name }) => `${process} ${name}`), ['router/r bad', 'router/r off', 'gateway/a odd', 'gateway/a late', 'gateway/a fyi']);
  });

  it('are none where all is well', () => {
    assert.deepEqual(seen(processRecord('a')).alarms, []);
  });

  it('tell of a process that is gone, and nothing of what it said before, until it is forgotten', () => {
    const processes = new Processes();
    processes.update([processRecord('a', { alarms: [alarm('late', 'warning', 9)] }), processRecord('e', { state: 'ended', alarms: [alarm('late', 'warning', 9)] })], 0);
    for (let now = 2000; now <= 10_000; now += 2000) processes.update([processRecord('b')], now);
    const [gone, ...more] = overview(processes.all, 10_000).alarms;
    assert.deepEqual(more, []);
    assert.deepEqual([gone.process, gone.name, gone.severity, gone.sinceMs], ['gateway/a', 'gone', 'critical', 0]);
    for (let now = 12_000; now <= 700_000; now += 2000) processes.update([processRecord('b')], now);
    assert.deepEqual(overview(processes.all, 700_000).alarms, []);
  });

  it('tell that two processes have one name, beside what they say', () => {
    const processes = new Processes();
    const older = processRecord('a', { alarms: [alarm('late', 'warning', 9)] });
    for (const [n, record] of [older, processRecord('a', { started_at_ms: START }), older].entries()) processes.update([record], n * 1000);
    const [twins, late, ...more] = overview(processes.all, processes.heardAt).alarms;
    assert.deepEqual(more, []);
    assert.deepEqual([twins.process, twins.name, twins.severity, twins.sinceMs, late.name], ['gateway/a', 'same_name', 'error', 2000, 'late']);
    assert.match(twins.text, /^two processes are called gateway\/a/);
  });
});
