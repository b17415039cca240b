/** Lines, ticks and the memory behind them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { core } from './core.mjs';

const { areaPath, highestOf, lastOf, linePath, nearest, ticks, valueAt } = await core('chart.js');
const { FreshnessHistory, KEPT_MS } = await core('freshness.js');
const frame = { width: 100, height: 50, from: 0, until: 10_000, top: 10 };

describe('ticks', () => {
  it('are round, begin at 0 and reach the value', () => {
    assert.deepEqual(ticks(0.23, 4), [0, 0.1, 0.2, 0.3]);
    assert.deepEqual(ticks(251, 5), [0, 100, 200, 300]);
    assert.deepEqual(ticks(1, 4), [0, 0.25, 0.5, 0.75, 1]);
    assert.deepEqual(ticks(0, 4), [0, 0.25]);
  });

  it('reach every value with no more steps than asked for', () => {
    for (let value = 0.0001; value < 1e7; value *= 1.37) {
      const marks = ticks(value, 5);
      assert.ok(marks.at(-1) >= value * (1 - 1e-9), `${value}: ${marks}`);
      assert.ok(marks.length <= 6 && marks.length >= 2, `${value}: ${marks}`);
    }
  });
});

describe('a line', () => {
  it('goes from point to point and breaks where nothing is known', () => {
    const points = [[0, 0], [2000, 5], [4000, null], [6000, 10], [8000, 2.5]];
    assert.equal(linePath(points, frame), 'M0 50L20 25M60 0L80 37.5');
    assert.equal(areaPath(points, frame), 'M0 50L0 50L20 25L20 50ZM60 50L60 0L80 37.5L80 50Z');
  });

  it('breaks where nothing came for long, and shows a point that stands alone', () => {
    assert.equal(linePath([[0, 10], [10_000, 0]], frame), 'M0 0h0.01M100 50h0.01');
    assert.equal(areaPath([[0, 10]], frame), '');
    assert.equal(linePath([], frame), '');
  });

  it('is read at the point nearest to the pointer', () => {
    const points = [[0, 1], [4000, 2], [5000, null], [8000, 3]];
    assert.equal(nearest(points, frame, 52), 4000);
    assert.equal(nearest(points, frame, 95), 8000);
    assert.equal(nearest([[0, null]], frame, 5), null);
    assert.deepEqual([valueAt(points, 4000), valueAt(points, null), lastOf(points), lastOf([])], [2, null, 3, null]);
    assert.equal(highestOf([points, [[0, 7]]]), 7);
  });
});

describe('freshness', () => {
  it('is that of the slowest node at each moment', () => {
    const history = new FreshnessHistory();
    history.add(0, { p50: 0.1, p90: null, p99: 0.9 });
    history.add(500, { p50: 0.3, p90: 0.4, p99: 0.5 });
    history.add(2000, undefined);
    const { p50, p90, p99 } = history.lines(2000);
    assert.deepEqual(p50, [[0, 0.3], [2000, null]]);
    assert.deepEqual(p90, [[0, 0.4], [2000, null]]);
    assert.deepEqual(p99, [[0, 0.9], [2000, null]]);
  });

  it('is kept for five minutes', () => {
    const history = new FreshnessHistory();
    for (let now = 0; now <= 2 * KEPT_MS; now += 1000) history.add(now, { p50: now, p90: null, p99: null });
    const { p50 } = history.lines(2 * KEPT_MS);
    assert.equal(p50.length, KEPT_MS / 2000 + 1);
    assert.equal(p50[0][0], KEPT_MS);
  });
});
