/** The emitter. */

import assert from 'node:assert/strict';
import { it, mock } from 'node:test';

import { Emitter } from '../src/emitter.js';

it('on returns the function that ends it', () => {
  const emitter = new Emitter();
  const seen = [];
  const off = emitter.on('x', (detail) => seen.push(detail));
  emitter._emit('x', 1);
  off();
  emitter._emit('x', 2);
  assert.deepEqual(seen, [1]);
});

it('once is called once, and off ends either', () => {
  const emitter = new Emitter();
  const listener = mock.fn();
  emitter.once('x', listener);
  emitter._emit('x', 1);
  emitter._emit('x', 2);
  assert.equal(listener.mock.callCount(), 1);
  emitter.once('x', listener);
  emitter.off('x', listener);
  emitter._emit('x', 3);
  assert.equal(listener.mock.callCount(), 1);
});

it('a listener added or removed while emitting waits for the next event', () => {
  const emitter = new Emitter();
  const late = mock.fn();
  emitter.on('x', () => emitter.on('x', late));
  emitter._emit('x', 1);
  assert.equal(late.mock.callCount(), 0);
});

it('a listener that throws does not silence the others, and its error surfaces', (t) => {
  const later = t.mock.method(globalThis, 'queueMicrotask', () => {});
  const emitter = new Emitter();
  const second = mock.fn();
  emitter.on('x', () => {
    throw new Error('mine');
  });
  emitter.on('x', second);
  emitter._emit('x', 1);
  assert.equal(second.mock.callCount(), 1);
  assert.throws(later.mock.calls[0].arguments[0], /mine/);
});
