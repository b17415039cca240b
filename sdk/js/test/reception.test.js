/** Position, duplicates, snapshots and gaps of one subscription: the golden sequences, then its own rules. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { decode } from '../src/codec.js';
import { Subscription } from '../src/subscription.js';
import { Reception } from '../src/reception.js';
import { vectors } from './vectors.js';

const HOST = { change() {}, drop() {} };

/** Feed a subscription as a session would; each `subscribed` opens the next session. */
function play({ mode, snapshot, frames }) {
  const subscription = new Subscription('flights', { mode, snapshot }, HOST);
  const seen = { delivered: [], gaps: [], recovered: null };
  const note = ({ events }) => seen.delivered.push(...events.map(({ offset }) => offset));
  subscription.on('snapshot', note);
  subscription.on('update', note);
  subscription.on('gap', ({ gap, reason }) => seen.gaps.push({ gap, reason }));
  subscription.on('subscribed', ({ recovered }) => (seen.recovered = recovered));
  let sub;
  for (const message of frames.flatMap(decode)) {
    if (message.type === 'subscribed') {
      sub = message.payload.sub;
      subscription._subscribed({ generation: sub }, message.payload, false);
    } else if ([sub, undefined].includes(message.payload.sub)) subscription._receive(message, 1);
  }
  const state = Object.fromEntries([...subscription.state].map(([key, { data }]) => [key, data]));
  return { state, position: subscription.position, feed_state: subscription.feedState, ...seen };
}

describe('golden sequences', () => {
  for (const sequence of vectors('sequences.json')) {
    it(sequence.name, () => assert.deepEqual(play(sequence), sequence.expect));
  }
});

const OPTIONS = { mode: 'latest', snapshot: false, since: null, keepState: false, maxKeys: 100 };
const at = (offsets, epoch = 'e') => ({ epoch, offsets });
const event = (key, offset, partition = 0) => ({ key, data: `${key}${offset}`, ts: 1, offset: [partition, offset] });
const fresh = (options = {}, position = at({ 0: 0 })) => {
  const reception = new Reception({ ...OPTIONS, ...options });
  reception.subscribed({ mode: reception.mode, recovered: 'none', position });
  return reception;
};

describe('Reception', () => {
  it('resumes from a position of the application before anything came', () => {
    const since = at({ 0: 7 });
    assert.deepEqual(new Reception({ ...OPTIONS, since }).position, since);
  });

  it('never falls back behind what it has when a resume is answered late', () => {
    const reception = fresh({ mode: 'every' });
    reception.updates({ position: at({ 0: 5 }), events: [event('a', 4)] });
    reception.subscribed({ mode: 'every', recovered: 'exact', position: at({ 0: 2, 1: 9 }) });
    assert.deepEqual(reception.position, at({ 0: 5, 1: 9 }));
  });

  it('holds back events that come between the parts of a snapshot, and hands them out behind it', () => {
    const reception = fresh();
    reception.snapshot({ position: at({ 0: 0 }), events: [event('a', 3)], more: true });
    assert.equal(reception.updates({ position: at({ 0: 20 }), events: [event('a', 15), event('b', 16)] }), null);
    assert.deepEqual(reception.position, at({ 0: 0 }));
    const snapshot = reception.snapshot({ position: at({ 0: 10 }), events: [event('c', 5)] });
    assert.deepEqual(snapshot?.events.map(({ data }) => data), ['a3', 'c5', 'a15', 'b16']);
    assert.deepEqual([...reception.table.rows].map(([k, { data }]) => [k, data]), [
      ['a', 'a15'],
      ['c', 'c5'],
      ['b', 'b16'],
    ]);
    assert.deepEqual(reception.position, at({ 0: 10 }));
  });

  it('forgets the parts of a snapshot that its connection cut off', () => {
    const reception = fresh();
    reception.snapshot({ position: at({ 0: 9 }), events: [event('a', 3)], more: true });
    reception.dropParts();
    reception.subscribed({ mode: 'latest', recovered: 'changes', position: at({ 0: 0 }) });
    reception.snapshot({ position: at({ 0: 9 }), events: [event('b', 4)] });
    assert.deepEqual([...reception.table.rows.keys()], ['b']);
  });

  it('leaves the position to the last part when a gap comes between the parts', () => {
    const reception = new Reception({ ...OPTIONS, since: at({ 0: 5 }) });
    reception.subscribed({ mode: 'latest', recovered: 'snapshot', position: at({ 0: 90 }) });
    reception.snapshot({ position: at({ 0: 90 }), events: [event('a', 3)], more: true });
    reception.gap({ 0: [90, 95] }, 'retention');
    assert.deepEqual(reception.position, at({ 0: 5 }));
    reception.snapshot({ position: at({ 0: 99 }), events: [] });
    assert.deepEqual(reception.position, at({ 0: 99 }));
  });

  it('is unsettled from the promise of a snapshot to its last part', () => {
    const reception = fresh({ snapshot: true });
    assert.equal(reception.isSettled, false);
    reception.snapshot({ position: at({ 0: 1 }), events: [], more: true });
    assert.equal(reception.isSettled, false);
    reception.snapshot({ position: at({ 0: 1 }), events: [] });
    assert.equal(reception.isSettled, true);
  });

  it('marks a snapshot partial when one of its parts is', () => {
    const reception = fresh();
    reception.snapshot({ position: at({ 0: 1 }), events: [], partial: true, more: true });
    assert.equal(reception.snapshot({ position: at({ 0: 1 }), events: [] })?.partial, true);
  });

  it('says nothing of a frame that holds duplicates only, and counts them', () => {
    const reception = fresh();
    reception.updates({ position: at({ 0: 3 }), events: [event('a', 2)] });
    assert.equal(reception.updates({ position: at({ 0: 4 }), events: [event('a', 2)] }), null);
    assert.equal(reception.duplicates, 1);
    assert.deepEqual(reception.position, at({ 0: 4 }));
  });

  it('keeps the view in mode every when asked to', () => {
    const reception = fresh({ mode: 'every', keepState: true });
    reception.updates({ position: at({ 0: 3 }), events: [event('a', 1), event('a', 2)] });
    assert.equal(reception.table.rows.get('a')?.data, 'a2');
  });

  it('learns the mode from the answer when none was asked for', () => {
    const reception = new Reception({ ...OPTIONS, mode: undefined, snapshot: true });
    reception.subscribed({ mode: 'every', recovered: 'none', position: at({ 0: 4 }) });
    assert.equal(reception.mode, 'every');
    assert.deepEqual(reception.position, at({ 0: 4 }));
  });

  it('keeps map and position when the rate changes, and goes on', () => {
    const reception = fresh();
    reception.updates({ position: at({ 0: 5 }), events: [event('a', 4)] });
    for (const recovered of ['none', 'changes']) {
      reception.subscribed({ mode: 'latest', recovered, position: at({ 0: 5 }) }, true);
      assert.equal(reception.table.rows.get('a')?.data, 'a4');
      assert.deepEqual(reception.position, at({ 0: 5 }));
    }
  });

  for (const recovered of ['none', 'snapshot']) {
    it(`starts a snapshot anew when the rate changes in the middle of it (${recovered})`, () => {
      const reception = fresh({ snapshot: true });
      reception.snapshot({ position: at({ 0: 9 }), events: [event('a', 1)], more: true });
      reception.subscribed({ mode: 'latest', recovered, position: at({ 0: 0 }) }, true);
      assert.equal(reception.position, null);
      const snapshot = reception.snapshot({ position: at({ 0: 9 }), events: [event('b', 2)] });
      assert.deepEqual(snapshot?.events.map(({ key }) => key), ['b']);
      assert.deepEqual(reception.position, at({ 0: 9 }));
    });
  }

  it('tells a gap that the answer to a change announces', () => {
    const reception = fresh({ mode: 'every' });
    const answer = { mode: 'every', recovered: 'gap', position: at({ 0: 9 }), gap: { 0: [1, 9] }, reason: 'too_far' };
    const notice = { type: 'gap', gap: { 0: [1, 9] }, reason: 'too_far' };
    assert.deepEqual(reception.subscribed(answer, true), notice);
    assert.deepEqual(reception.position, at({ 0: 9 }));
  });

  it('drops the key that came first when the view is full, and counts it', () => {
    const reception = fresh({ maxKeys: 2 });
    reception.updates({ position: at({ 0: 9 }), events: [event('a', 1), event('b', 2), event('a', 3), event('c', 4)] });
    assert.deepEqual([...reception.table.rows.keys()], ['b', 'c']);
    assert.equal(reception.table.evicted, 1);
  });

  it('remembers ten thousand tombstones, and forgets the oldest beyond', () => {
    const reception = fresh();
    for (let n = 0; n <= 10_000; n += 1) {
      reception.updates({ position: at({ 0: n }), events: [{ ...event(`k${n}`, n), data: undefined, deleted: true }] });
    }
    assert.equal(reception.table.has(event('k0', 0)), false);
    assert.equal(reception.table.has(event('k1', 1)), true);
    assert.equal(reception.table.rows.size, 0);
  });

  it('shows the view as one Map that never changes its identity', () => {
    const reception = fresh();
    const { rows } = reception.table;
    reception.snapshot({ position: at({ 0: 1 }), events: [event('a', 0)] });
    assert.equal(reception.table.rows, rows);
    assert.equal(rows.size, 1);
  });

  it('holds, however the log is cut and repeated, the newest value of every key', () => {
    let seed = 7;
    const random = (n) => (seed = (seed * 1103515245 + 12345) % 2 ** 31) % n;
    for (let round = 0; round < 200; round += 1) {
      const log = Array.from({ length: 30 }, (_, offset) => {
        const key = `k${random(5)}`;
        return random(4) ? event(key, offset) : { key, deleted: true, ts: 1, offset: [0, offset] };
      });
      const reception = fresh();
      for (let end = 0; end < log.length; ) {
        end = Math.min(log.length, end + 1 + random(6));
        const first = random(3) ? end - Math.min(end, 6) : 0; // at times everything again, as after a resume
        const newest = new Map(log.slice(first, end).map((e) => [e.key, e]));
        reception.updates({ position: at({ 0: end }), events: [...newest.values()] });
        const stale = log.slice(random(end), random(end)); // and at times what is long known
        reception.updates({ position: at({ 0: end }), events: stale });
      }
      const wanted = new Map();
      for (const e of log) e.deleted ? wanted.delete(e.key) : wanted.set(e.key, e.data);
      const view = [...reception.table.rows].map(([k, { data }]) => [k, data]).sort();
      assert.deepEqual(view, [...wanted].sort());
    }
  });
});
