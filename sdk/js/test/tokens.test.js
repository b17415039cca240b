/** Tokens: cached, fetched within a deadline, renewed before they run out. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, it, mock } from 'node:test';

import { Tokens } from '../src/tokens.js';
import { Clock } from './clock.js';

const clock = new Clock();
beforeEach(() => clock.install());
afterEach(() => clock.remove());

it('fetches once and keeps it until it is forgotten', async () => {
  const getToken = mock.fn(async () => `t${getToken.mock.callCount()}`);
  const tokens = new Tokens(undefined, getToken, 100);
  assert.equal(await tokens.get(), 't0');
  assert.equal(await tokens.get(), 't0');
  tokens.forget();
  assert.equal(await tokens.get(), 't1');
});

it('starts with the token it is given, and cannot forget one it cannot replace', async () => {
  const tokens = new Tokens('fixed', undefined, 100);
  tokens.forget();
  assert.equal(await tokens.get(), 'fixed');
  assert.equal(tokens.canFetch, false);
});

it('is null for an anonymous client', async () => {
  assert.equal(await new Tokens(undefined, undefined, 100).get(), null);
});

it('names a getToken that fails, rejected or thrown', async () => {
  const thrown = () => {
    throw new Error('no session');
  };
  for (const getToken of [async () => thrown(), thrown]) {
    await assert.rejects(new Tokens(undefined, getToken, 100).get(), { code: 'token', message: /no session/ });
  }
});

it('does not wait for ever for getToken', async () => {
  const waiting = new Tokens(undefined, () => new Promise(() => {}), 100).get();
  clock.tick(100);
  await assert.rejects(waiting, { code: 'token', message: /within 100 ms/ });
});

it('renews half a minute before the end, or with a quarter of a short life left', () => {
  for (const [life, due] of [
    [3_600_000, 3_570_000],
    [40_000, 30_000],
  ]) {
    const renew = mock.fn();
    new Tokens(undefined, () => 't', 100).schedule(life, renew);
    clock.tick(due - 1);
    assert.equal(renew.mock.callCount(), 0);
    clock.tick(1);
    assert.equal(renew.mock.callCount(), 1);
  }
});

it('renews nothing that lasts, cannot be fetched, or was stopped', () => {
  const renew = mock.fn();
  new Tokens(undefined, () => 't', 100).schedule(undefined, renew);
  new Tokens('fixed', undefined, 100).schedule(1000, renew);
  const stopped = new Tokens(undefined, () => 't', 100);
  stopped.schedule(1000, renew);
  stopped.stop();
  clock.tick(1_000_000);
  assert.equal(renew.mock.callCount(), 0);
});
