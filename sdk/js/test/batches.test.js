/** What waits for a reader: folded in `latest`, bounded with an announced gap in `every`. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { BatchBuffer, Batches } from '../src/batches.js';

const event = (key, offset, partition = 0) => ({ key, data: offset, ts: 1, offset: [partition, offset] });
const update = (events, coalesced = 0) => ({
  type: 'update',
  events,
  coalesced,
  position: { epoch: 'e', offsets: { 0: events.at(-1).offset[1] + 1 } },
});
const snapshot = (events) => ({ type: 'snapshot', events, position: { epoch: 'e', offsets: { 0: 9 } }, partial: false });

function filled(mode, items, max = 4) {
  const buffer = new BatchBuffer(max);
  for (const item of items) buffer.push(item, mode);
  const taken = [];
  for (let item = buffer.take(); item; item = buffer.take()) taken.push(item);
  return taken;
}

describe('mode latest', () => {
  it('keeps the newest event of each key and counts the others as coalesced', () => {
    const [batch, ...more] = filled('latest', [update([event('a', 1), event('b', 2)], 3), update([event('a', 5)], 1)]);
    assert.deepEqual(more, []);
    assert.deepEqual(batch.events.map(({ data }) => data), [2, 5]);
    assert.equal(batch.coalesced, 5);
    assert.deepEqual(batch.position.offsets, { 0: 6 });
  });

  it('never holds more than one event a key, whatever comes', () => {
    const items = Array.from({ length: 1000 }, (_, n) => update([event(`k${n % 3}`, n)]));
    const [batch, ...more] = filled('latest', items);
    assert.deepEqual(more, []);
    assert.equal(batch.events.length, 3);
    assert.equal(batch.coalesced, 997);
  });

  it('lets a snapshot take the place of all that came before, but of no gap', () => {
    const gap = { type: 'gap', gap: { 0: [1, 3] }, reason: 'retention' };
    const items = [update([event('a', 1)]), gap, snapshot([]), update([event('b', 9)])];
    assert.deepEqual(filled('latest', items).map(({ type }) => type), ['gap', 'snapshot', 'update']);
  });

  it('joins gaps', () => {
    const gaps = [{ 0: [1, 3] }, { 0: [5, 9], 1: [0, 2] }].map((gap) => ({ type: 'gap', gap, reason: 'too_far' }));
    assert.deepEqual(filled('latest', gaps), [{ type: 'gap', gap: { 0: [1, 9], 1: [0, 2] }, reason: 'too_far' }]);
  });
});

describe('mode every', () => {
  it('keeps batches in order up to the cap', () => {
    const items = [update([event('a', 1), event('a', 2)]), update([event('a', 3), event('a', 4)])];
    assert.deepEqual(filled('every', items), items);
  });

  it('gives up the old ones beyond the cap and names what they held', () => {
    const last = update([event('a', 6)]);
    const items = [update([event('a', 1), event('b', 7, 1)]), update([event('a', 2), event('a', 5)]), last];
    assert.deepEqual(filled('every', items), [
      { type: 'gap', gap: { 0: [1, 6], 1: [7, 8] }, reason: 'slow_consumer' },
      last,
    ]);
  });

  it('stays bounded under any number of batches, and one gap covers all that left', () => {
    const items = Array.from({ length: 1000 }, (_, n) => update([event('a', n)]));
    const taken = filled('every', items);
    assert.ok(taken.length <= 5, `${taken.length}`);
    const [gap, ...kept] = taken;
    assert.equal(gap.gap[0][0], 0);
    assert.deepEqual(kept.flatMap(({ events }) => events.map(({ data }) => data)).at(0), gap.gap[0][1]);
    assert.equal(kept.at(-1).events[0].data, 999);
  });

  it('delivers one batch that is larger than the cap', () => {
    const big = update(Array.from({ length: 9 }, (_, n) => event('a', n)));
    assert.deepEqual(filled('every', [big]), [big]);
  });
});

describe('Batches', () => {
  it('gives a waiting reader the batch at once', async () => {
    const batches = new Batches(4, () => {});
    const next = batches.next();
    batches.push(update([event('a', 1)]), 'every');
    assert.equal((await next).value.events[0].data, 1);
  });

  it('ends after what is buffered', async () => {
    const batches = new Batches(4, () => {});
    batches.push(update([event('a', 1)]), 'every');
    batches.finish(null);
    assert.equal((await batches.next()).done, false);
    assert.equal((await batches.next()).done, true);
  });

  it('throws its error once, after what is buffered', async () => {
    const batches = new Batches(4, () => {});
    batches.push(update([event('a', 1)]), 'every');
    batches.finish(new Error('forbidden'));
    await batches.next();
    await assert.rejects(batches.next(), /forbidden/);
    assert.equal((await batches.next()).done, true);
  });

  it('lets a reader leave: nothing is held for it any more', async () => {
    let left = null;
    const batches = new Batches(4, (reader) => (left = reader));
    batches.push(update([event('a', 1)]), 'every');
    for await (const _ of batches) break;
    assert.equal(left, batches);
    assert.equal((await batches.next()).done, true);
  });
});
