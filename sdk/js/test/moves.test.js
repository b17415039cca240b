/** Make before break: a goaway moves every subscription onto a live connection before the old one closes. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, it } from 'node:test';
import { WebSocket } from 'ws';

import { Tidewire } from '../src/tidewire.js';
import { Clock } from './clock.js';
import { TestServer, event, next, within } from './server.js';

const clock = new Clock();
const POSITION = { epoch: 'e', offsets: { 0: 11 } };
let server;
let client;
let old;
let flights;
let states;

beforeEach(async () => {
  server = await TestServer.start();
  client = new Tidewire(server.url, { WebSocket, random: () => 0.5, page: {} });
  clock.install();
  client.connect();
  old = await server.peer();
  await old.welcome({ ping_interval_ms: 600_000 });
  flights = client.subscribe('flights');
  await old.grant();
  old.snapshot(7, 11, event('a', 10));
  await next(flights, 'snapshot');
  states = [];
  client.on('state', (state) => states.push(state));
  flights.on('status', ({ state }) => states.push(state));
});

afterEach(async () => {
  client.close();
  clock.remove();
  await server.stop();
});

/** The next connection, after a goaway whose time has come. */
async function moving(payload = {}) {
  old.send('goaway', { reason: 'draining', after_ms: 10_000, ...payload });
  await read();
  clock.tick(4000); // half of the time, less a fifth
  return server.peer();
}

/** Everything the old connection has sent is read. */
async function read() {
  old.send('error', { code: 'internal', message: 'marker' });
  await next(client, 'error');
}

it('the old connection lives until every subscription is answered on the new one', async () => {
  const notices = client.subscribe('notices', { mode: 'every' });
  await old.grant({ sub: 8 });
  await next(notices, 'subscribed');
  const fresh = await moving();
  await fresh.welcome();
  const first = await fresh.expect('subscribe');
  const second = await fresh.expect('subscribe');
  assert.deepEqual(first.payload.since, POSITION);

  old.updates(7, 12, event('b', 11));
  await next(flights, 'update');
  fresh.subscribed(first.id, { sub: 2, recovered: 'changes', position: POSITION });
  await next(flights, 'subscribed');
  assert.equal(old.isOpen, true);

  const moved = next(client, 'connected');
  fresh.subscribed(second.id, { sub: 3, channel: 'notices', mode: 'every', recovered: 'exact' });
  assert.equal((await moved).isMove, true);
  assert.equal(await within(old.closed, 'the close of the old one'), 1000);

  fresh.updates(2, 13, event('b', 11), event('c', 12));
  assert.deepEqual((await next(flights, 'update')).events, [event('c', 12)]);
  assert.deepEqual([...flights.state.keys()], ['a', 'b', 'c']);
  assert.deepEqual(states, [], 'neither the client nor the feed was ever away');
});

it('waits its part of the time it has', async () => {
  old.send('goaway', { reason: 'age', after_ms: 10_000 });
  await read();
  clock.tick(3999);
  assert.equal(server.waiting, 0);
  clock.tick(1);
  await (await server.peer()).welcome();
});

it('goes where it is sent, and later back to where it was told at first', async () => {
  const elsewhere = await TestServer.start();
  try {
    old.send('goaway', { reason: 'draining', after_ms: 0, url: elsewhere.url });
    await read();
    clock.tick(0);
    const fresh = await elsewhere.peer();
    await fresh.welcome();
    await fresh.grant({ recovered: 'changes', position: POSITION });
    await next(client, 'connected');
    fresh.kill();
    await next(client, 'connecting');
    clock.tick(20_000);
    await (await server.peer()).welcome();
  } finally {
    client.disconnect();
    await elsewhere.stop();
  }
});

it('a failed attempt to move is repeated while the old connection serves', async () => {
  const failing = await moving();
  const retry = clock.set(500);
  failing.kill();
  await within(retry, 'the retry');
  old.updates(7, 12, event('b', 11));
  await next(flights, 'update');
  clock.tick(500);
  const fresh = await server.peer();
  await fresh.welcome({ ping_interval_ms: 600_000 });
  await fresh.grant({ recovered: 'changes', position: { epoch: 'e', offsets: { 0: 12 } } });
  assert.equal((await next(client, 'connected')).isMove, true);
  assert.deepEqual(states, []);
});

it('a move that is refused for good is given up, and the old connection goes on', async () => {
  const refused = await moving();
  refused.close(3504, 'too many connections');
  await within(refused.closed, 'the close');
  old.updates(7, 12, event('b', 11));
  await next(flights, 'update');
  clock.tick(100_000);
  assert.equal(server.waiting, 0);
  assert.equal(client.state, 'connected');
});

it('a new connection that dies half way takes everything back to a plain reconnect', async () => {
  const notices = client.subscribe('notices', { mode: 'every' });
  await old.grant({ sub: 8 });
  await next(notices, 'subscribed');
  const half = await moving();
  await half.welcome();
  await half.grant({ sub: 2, recovered: 'changes', position: POSITION });
  await next(flights, 'subscribed');
  half.kill();
  await next(client, 'connecting');
  assert.equal(await within(old.closed, 'the close of the old one'), 1000);
  clock.tick(20_000);
  const fresh = await server.peer();
  await fresh.welcome();
  assert.deepEqual((await fresh.grant({ recovered: 'changes', position: POSITION })).since, POSITION);
  await next(flights, 'subscribed');
});

it('an old connection that ends early leaves the new one to carry on', async () => {
  const fresh = await moving();
  await fresh.expect('hello').then(async ({ id }) => {
    const connecting = next(client, 'connecting');
    old.close(3001);
    await connecting;
    fresh.send('welcome', { connection: 'c', node: 'n', ping_interval_ms: 600_000, limits: {} }, id);
  });
  await fresh.grant({ recovered: 'changes', position: POSITION });
  await next(flights, 'subscribed');
  assert.equal(server.waiting, 0);
  assert.deepEqual(states, ['stale', 'connecting', 'connected', 'live']);
});

it('an old connection that ends between welcome and answers hands over at once', async () => {
  const fresh = await moving();
  await fresh.welcome();
  const { id } = await fresh.expect('subscribe');
  const connected = next(client, 'connected');
  old.close(3001);
  await connected;
  fresh.subscribed(id, { sub: 2, recovered: 'changes', position: POSITION });
  await next(flights, 'subscribed');
  assert.equal(client.state, 'connected');
});

it('what is subscribed during a move goes to the new connection only', async () => {
  const fresh = await moving();
  await fresh.welcome();
  const { id } = await fresh.expect('subscribe');
  const notices = client.subscribe('notices', { snapshot: false });
  const asked = await fresh.expect('subscribe');
  assert.equal(asked.payload.channel, 'notices');
  fresh.subscribed(id, { sub: 2, recovered: 'changes', position: POSITION });
  fresh.subscribed(asked.id, { sub: 3, channel: 'notices' });
  await next(notices, 'subscribed');
  assert.equal(old.unread, 0);
});

it('what is refused during a move for now is asked for again on the new connection', async () => {
  const fresh = await moving();
  await fresh.welcome();
  const connected = next(client, 'connected');
  const { id } = await fresh.expect('subscribe');
  fresh.send('error', { code: 'unavailable', message: 'not yet', retry_after_ms: 1000 }, id);
  await connected;
  assert.equal(flights.feedState, 'stale');
  clock.tick(2000);
  assert.deepEqual((await fresh.grant({ recovered: 'changes', position: POSITION })).since, POSITION);
  await next(flights, 'subscribed');
});

it('unsubscribing during a move ends it on both', async () => {
  const fresh = await moving();
  await fresh.welcome();
  const { id } = await fresh.expect('subscribe');
  flights.unsubscribe();
  assert.deepEqual((await old.expect('unsubscribe')).payload, { sub: 7 });
  fresh.subscribed(id, { sub: 2, recovered: 'changes', position: POSITION });
  assert.deepEqual((await fresh.expect('unsubscribe')).payload, { sub: 2 });
});

it('sent away again and again it backs off', async () => {
  for (const pause of [0, 500, 1000]) {
    const due = clock.set(pause);
    old.send('goaway', { reason: 'draining', after_ms: 0 });
    await within(due, 'the move');
    clock.tick(pause);
    const fresh = await server.peer();
    await fresh.welcome({ ping_interval_ms: 600_000 });
    await fresh.grant({ recovered: 'changes', position: POSITION });
    await next(client, 'connected');
    old = fresh;
  }
});

it('told twice to go, it moves once, when the first time has come', async () => {
  old.send('goaway', { reason: 'draining', after_ms: 10_000 });
  old.send('goaway', { reason: 'draining', after_ms: 10_000 });
  await read();
  clock.tick(4000);
  const fresh = await server.peer();
  await fresh.welcome({ ping_interval_ms: 600_000 });
  old.send('goaway', { reason: 'draining', after_ms: 10_000 });
  await read();
  await fresh.grant({ recovered: 'changes', position: POSITION });
  await next(client, 'connected');
  clock.tick(100_000);
  assert.equal(server.waiting, 0);
});

it('a goaway of the new connection counts once the move is done', async () => {
  const fresh = await moving();
  await fresh.welcome({ ping_interval_ms: 600_000 });
  const { id } = await fresh.expect('subscribe');
  const error = next(client, 'error');
  fresh.send('goaway', { reason: 'draining', after_ms: 0 });
  fresh.send('error', { code: 'internal', message: 'marker' });
  await error;
  assert.equal(server.waiting, 0);
  const connected = next(client, 'connected');
  fresh.subscribed(id, { sub: 2, recovered: 'changes', position: POSITION });
  await connected;
  clock.tick(1000);
  const third = await server.peer();
  await third.welcome({ ping_interval_ms: 600_000 });
  await third.grant({ recovered: 'changes', position: POSITION });
  assert.equal((await next(client, 'connected')).isMove, true);
  assert.deepEqual(states, []);
});

it('a goaway right after a reconnect moves like any other', async () => {
  old.kill();
  await next(client, 'connecting');
  clock.tick(20_000);
  old = await server.peer();
  await old.welcome({ ping_interval_ms: 600_000 });
  old.send('goaway', { reason: 'draining', after_ms: 0 });
  await read();
  await old.grant({ recovered: 'changes', position: POSITION });
  await next(flights, 'subscribed');
  clock.tick(1000);
  const fresh = await server.peer();
  await fresh.welcome({ ping_interval_ms: 600_000 });
  await fresh.grant({ recovered: 'changes', position: POSITION });
  assert.equal((await next(client, 'connected')).isMove, true);
});

it('a connection that is closed with 3001 before its move is replaced at once, and nothing is lost', async () => {
  old.send('goaway', { reason: 'draining', after_ms: 10_000 });
  await read();
  old.updates(7, 12, event('b', 11));
  await next(flights, 'update');
  const connecting = next(client, 'connecting');
  old.close(3001, 'shutting down');
  assert.equal((await connecting).code, 3001);
  clock.tick(1000);
  const fresh = await server.peer();
  await fresh.welcome({ ping_interval_ms: 600_000 });
  const { since } = await fresh.grant({ sub: 2, recovered: 'changes', position: { epoch: 'e', offsets: { 0: 12 } } });
  assert.deepEqual(since, { epoch: 'e', offsets: { 0: 12 } });
  clock.tick(100_000);
  assert.equal(server.waiting, 0, 'the move that was planned is void');
});
