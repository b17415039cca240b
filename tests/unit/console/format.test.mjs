/** Figures as people read them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { core } from './core.mjs';

const { amount, byteRate, bytes, clock, counted, milliseconds, percent, rate, seconds, text, words } = await core('format.js');
const plain = (figure) => text(figure).replace('\u00a0', ' ');

describe('figures', () => {
  it('have three digits at most, and a letter for thousands and more', () => {
    const values = [0, 7, 7.43, 213, 999, 999.6, 1000, 1840, 12_345, 999_400, 999_600, 24_100_000, 3e9];
    assert.deepEqual(values.map(amount), ['0', '7', '7.4', '213', '999', '1k', '1k', '1.8k', '12k', '999k', '1M', '24M', '3G']);
  });

  it('are a dash where nothing is known', () => {
    for (const nothing of [null, undefined, NaN, Infinity]) {
      assert.equal(amount(nothing), '–');
      for (const format of [rate, seconds, milliseconds, bytes, byteRate, percent]) assert.equal(text(format(nothing)), '–');
    }
  });

  it('name the unit that suits the size of a time', () => {
    const values = [0, 0.00004, 0.0004, 0.012, 0.9994, 0.9996, 1.25, 99, 300, 7200, 200_000];
    const told = ['0 ms', '0.04 ms', '0.4 ms', '12 ms', '999 ms', '1 s', '1.3 s', '99 s', '5 min', '2 h', '2.3 d'];
    assert.deepEqual(values.map((value) => plain(seconds(value))), told);
    assert.equal(plain(milliseconds(250)), '250 ms');
  });

  it('name the unit that suits a size', () => {
    assert.deepEqual([0, 512, 1000, 91_400_000, 2e9].map((value) => plain(bytes(value))), ['0 B', '512 B', '1 KB', '91 MB', '2 GB']);
    assert.equal(plain(byteRate(2_500_000)), '2.5 MB/s');
  });

  it('tell slow rates by the minute and others by the second', () => {
    assert.deepEqual([0, 0.05, 0.5, 1, 1200].map((value) => text(rate(value))), ['0/s', '3/min', '30/min', '1/s', '1.2k/s']);
  });

  it('are percentages, counted things, names and times of day', () => {
    assert.deepEqual([0, 0.004, 0.153, 1].map((value) => plain(percent(value))), ['0 %', '0.4 %', '15 %', '100 %']);
    assert.deepEqual([counted(1, 'node'), counted(2, 'node'), counted(2, 'entry', 'entries')].map((said) => said.replace('\u00a0', ' ')), ['1 node', '2 nodes', '2 entries']);
    assert.equal(words('catching_up_now'), 'catching up now');
    assert.match(clock(Date.UTC(2026, 0, 1, 10, 4, 5, 7)), /^\d\d:04:05\.007$/);
    assert.equal(clock(NaN), '–');
  });
});
