/** Back-off and the moment of a move. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { backoffMs, moveAfterMs } from '../src/backoff.js';

const POLICY = { minDelayMs: 500, maxDelayMs: 20_000 };

it('doubles the ceiling from half a second to twenty', () => {
  const ceilings = Array.from({ length: 8 }, (_, attempt) => backoffMs(attempt, 1, POLICY));
  assert.deepEqual(ceilings, [500, 1000, 2000, 4000, 8000, 16_000, 20_000, 20_000]);
});

it('jitters over the whole range', () => {
  assert.equal(backoffMs(3, 0, POLICY), 0);
  assert.equal(backoffMs(3, 0.25, POLICY), 1000);
});

it('stays at the ceiling however often it failed', () => {
  assert.equal(backoffMs(10_000, 1, POLICY), 20_000);
});

it('waits at least as long as the server asked, and still spreads', () => {
  assert.equal(backoffMs(0, 0, POLICY, 5000), 5000);
  assert.equal(backoffMs(0, 0.5, POLICY, 5000), 5250);
});

it('does not wait for ever because a server says so', () => {
  assert.equal(backoffMs(0, 0, POLICY, 1e15), 600_000);
  assert.equal(backoffMs(0, 0, POLICY, -5), 0);
});

it('moves within the time a goaway leaves, with room for the handshake', () => {
  assert.equal(moveAfterMs(0, 20_000), 0);
  assert.equal(moveAfterMs(0.5, 20_000), 8000);
  assert.equal(moveAfterMs(1, 20_000), 16_000);
  assert.equal(moveAfterMs(0.5, -1), 0);
});
