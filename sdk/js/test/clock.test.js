/** The time of day with fractions, whatever happens to either clock. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { makeClock, now } from '../src/clock.js';

function clocks() {
  const at = { wall: 1_000_000, fine: 500.25 };
  const clock = makeClock({ timeOrigin: 999_500, now: () => at.fine }, () => at.wall);
  return { at, clock };
}

it('has fractions', () => {
  assert.equal(clocks().clock(), 1_000_000.25);
});

it('is the time of day where there is no performance', () => {
  assert.equal(makeClock(undefined, () => 7)(), 7);
  assert.equal(makeClock(/** @type {any} */ ({ now: () => 1 }), () => 7)(), 7);
});

for (const [what, moved] of [['slept', 3_600_000], ['was set back', -3_600_000]]) {
  it(`follows the time of day after the machine ${what}`, () => {
    const { at, clock } = clocks();
    at.wall += moved;
    assert.equal(clock(), at.wall);
    at.wall += 2;
    at.fine += 2.5;
    assert.equal(clock(), at.wall + 0.5);
  });
}

it('is that of this machine', () => {
  const before = Date.now();
  const told = now();
  assert.ok(told >= before - 51 && told <= Date.now() + 51, `${told}`);
});
