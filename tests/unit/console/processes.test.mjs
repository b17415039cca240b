/** Who is there, who is gone, and what totals grew by. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { core, processRecord, START } from './core.mjs';

const { FORGET_AFTER_MS, Processes, areTwins, isForgotten, isLive, ratesOf, stateOf } = await core('processes.js');
/** `instance` is heard every two seconds, from one time to another. */
function hear(processes, instance, from, until) {
  for (let now = from; now <= until; now += 2000) processes.update([processRecord(instance)], now);
}
const states = (processes) => Object.fromEntries(processes.all.map((one) => [one.record.instance, stateOf(one, processes.heardAt)]));

describe('a process', () => {
  it('is gone when it was silent for more than three of its intervals, others being heard', () => {
    const processes = new Processes();
    processes.update([processRecord('a'), processRecord('b', { every_ms: 10_000 }), processRecord('c')], 0);
    processes.update([processRecord('c')], 6000);
    assert.deepEqual(states(processes), { a: 'ready', b: 'ready', c: 'ready' });
    processes.update([processRecord('c')], 6001);
    assert.deepEqual(states(processes), { a: 'gone', b: 'ready', c: 'ready' });
    processes.update([processRecord('a')], 7000);
    assert.deepEqual(states(processes), { a: 'ready', b: 'ready', c: 'ready' });
  });

  it('is not gone because this page hears nothing', () => {
    const processes = new Processes();
    processes.update([processRecord('a')], 0);
    assert.equal(processes.heardAt, 0);
    assert.deepEqual(states(processes), { a: 'ready' });
  });

  it('is not gone because everything was silent: only audible time counts', () => {
    const processes = new Processes();
    processes.update([processRecord('a')], 0);
    processes.update([processRecord('b'), processRecord('dead')], 1500);
    processes.update([processRecord('b')], 61_500);
    assert.deepEqual(states(processes), { a: 'ready', b: 'ready', dead: 'ready' });
    processes.update([processRecord('a')], 63_300);
    hear(processes, 'b', 63_300, 69_300);
    assert.deepEqual(states(processes), { a: 'ready', b: 'ready', dead: 'gone' });
    assert.deepEqual(processes.all.map(({ heardAt }) => heardAt), [63_300, 69_300, 1500], 'when it was heard stays what it was');
  });

  it('that is gone stays so over a time in which everything was silent', () => {
    const processes = new Processes();
    processes.update([processRecord('a'), processRecord('gone')], 0);
    hear(processes, 'a', 2000, 8000);
    processes.update([processRecord('a')], 60_000);
    assert.deepEqual(states(processes), { a: 'ready', gone: 'gone' });
  });

  it('is gone at last though the only one left tells less often than it says', () => {
    const processes = new Processes();
    processes.update([processRecord('a'), processRecord('gone')], 0);
    for (let n = 1; n < 20; n += 1) processes.update([processRecord('a')], n * 5000);
    assert.deepEqual(states(processes), { a: 'ready', gone: 'gone' });
  });

  it('is not gone because a page that was away for long is handed nothing new', () => {
    const processes = new Processes();
    processes.update([processRecord('a'), processRecord('b')], 0);
    processes.replace([processRecord('a'), processRecord('b')], 60_000);
    assert.deepEqual(states(processes), { a: 'ready', b: 'ready' });
    assert.equal(processes.heardAt, 0, 'the figures are as old as they were');
    processes.replace([processRecord('a'), processRecord('b', { at_ms: START + 60_000 })], 60_500);
    assert.deepEqual(states(processes), { a: 'ready', b: 'ready' });
  });

  it('that said that it ends has ended, however long ago', () => {
    const processes = new Processes();
    processes.update([processRecord('a', { state: 'ended' })], 0);
    processes.update([processRecord('b', { state: 'draining' })], 60_000);
    assert.deepEqual(states(processes), { a: 'ended', b: 'draining' });
    const [ended, draining] = processes.all;
    assert.deepEqual([isLive(ended, 60_000), isLive(draining, 60_000)], [false, true]);
  });

  it('of the snapshot is as old as it is beside the newest one, whatever the clocks say', () => {
    const processes = new Processes();
    processes.replace([processRecord('old', { at_ms: START - 60_000 }), processRecord('new')], 5_000_000);
    assert.deepEqual(states(processes), { old: 'gone', new: 'ready' });
  });

  it('keeps in a new snapshot what was known of it, unless it is not there any more', () => {
    const processes = new Processes();
    processes.update([processRecord('a'), processRecord('b')], 1000);
    processes.replace([processRecord('a'), { key: 'gateway/x' }], 9000);
    assert.deepEqual(processes.all.map(({ key, heardAt }) => [key, heardAt]), [['gateway/a', 1000]]);
  });

  it('leaves with its tombstone', () => {
    const processes = new Processes();
    processes.update([processRecord('a')], 0);
    processes.update([{ key: 'gateway/a', deleted: true }], 1);
    assert.deepEqual(processes.all, []);
  });

  it('that is gone or has ended is forgotten after a while, a live one never', () => {
    const processes = new Processes();
    processes.update([processRecord('gone'), processRecord('ended', { state: 'ended' })], 0);
    hear(processes, 'live', 2000, FORGET_AFTER_MS);
    const forgotten = (asOf) => processes.all.filter((one) => isForgotten(one, asOf)).map(({ record }) => record.instance);
    assert.deepEqual(forgotten(FORGET_AFTER_MS), []);
    assert.deepEqual(forgotten(FORGET_AFTER_MS + 1), ['ended', 'gone']);
  });

  it('comes in the order of its number', () => {
    const processes = new Processes();
    processes.update([processRecord('n-10'), processRecord('n-2'), processRecord('x', { service: 'router' })], 0);
    assert.deepEqual(processes.all.map(({ key }) => key), ['gateway/n-2', 'gateway/n-10', 'router/x']);
  });

  it('makes room for a new one when there are far too many: the longest silent leaves', () => {
    const processes = new Processes();
    for (let n = 0; n <= 2000; n += 1) processes.update([processRecord(`n-${n}`)], n);
    assert.equal(processes.all.length, 2000);
    assert.equal(processes.all[0].key, 'gateway/n-1');
  });
});

describe('a name', () => {
  const older = (changes) => processRecord('a', changes);
  const newer = (changes) => processRecord('a', { started_at_ms: START, ...changes });
  const twins = (processes) => processes.all.map((one) => areTwins(one, processes.heardAt));

  it('is that of two processes when an earlier life comes back after a later one, until one is heard alone', () => {
    const processes = new Processes();
    processes.update([older()], 0);
    processes.update([newer()], 1000);
    assert.deepEqual(twins(processes), [false], 'it may have begun anew');
    processes.update([older()], 2000);
    assert.deepEqual(twins(processes), [true]);
    assert.equal(processes.all[0].twinsSince, 2000);
    processes.update([newer()], 3000);
    processes.update([older()], 4000);
    assert.equal(processes.all[0].twinsSince, 2000);
    for (let now = 6000; now <= 10_000; now += 2000) processes.update([older()], now);
    assert.deepEqual(twins(processes), [true]);
    processes.update([older()], 12_000);
    assert.deepEqual(twins(processes), [false]);
  });

  it('is that of one process that begins anew, with whatever clock', () => {
    const processes = new Processes();
    for (const [n, started_at_ms] of [START, START - 9_000_000, START + 1].entries()) {
      processes.update([processRecord('a', { started_at_ms })], n * 2000);
      processes.update([processRecord('a', { started_at_ms })], n * 2000 + 1000);
      assert.deepEqual(twins(processes), [false]);
    }
  });

  it('stays with the later life when the earlier one says that it ends', () => {
    const processes = new Processes();
    processes.update([older()], 0);
    processes.update([newer()], 1000);
    processes.update([older({ state: 'ended' })], 2000);
    assert.deepEqual([states(processes), twins(processes)], [{ a: 'ready' }, [false]]);
  });
});

describe('rates', () => {
  const told = (at, resumes, more = {}) => processRecord('a', { at_ms: START + at, figures: { resumes }, ...more });

  it('are the growth of totals over the last minute', () => {
    const processes = new Processes();
    processes.update([told(0, { exact: 10 })], 0);
    assert.equal(ratesOf(processes.all[0], 'resumes'), null);
    processes.update([told(10_000, { exact: 30, gap: 5 })], 10_000);
    assert.deepEqual(ratesOf(processes.all[0], 'resumes'), { exact: 2, gap: 0.5 });
    assert.deepEqual(ratesOf(processes.all[0], 'closes'), {});
    processes.update([told(80_000, { exact: 30, gap: 5 })], 80_000);
    assert.equal(ratesOf(processes.all[0], 'resumes'), null, 'what is older than a minute does not count');
  });

  it('begin anew when the process does', () => {
    const processes = new Processes();
    processes.update([told(0, { exact: 1000 })], 0);
    processes.update([told(2000, { exact: 1 }, { started_at_ms: START + 1000 })], 2000);
    assert.equal(ratesOf(processes.all[0], 'resumes'), null);
    processes.update([told(4000, { exact: 5 }, { started_at_ms: START + 1000 })], 4000);
    assert.deepEqual(ratesOf(processes.all[0], 'resumes'), { exact: 2 });
  });
});
