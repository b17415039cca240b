/** Subscriptions on one connection: asked for, changed, paused, refused, ended, read by loops. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { WebSocket } from 'ws';

import { Tidewire } from '../src/tidewire.js';
import { Clock } from './clock.js';
import { TestServer, event, next, within } from './server.js';

let server;
let client;
let peer;
const clock = new Clock();

beforeEach(async () => {
  server = await TestServer.start();
  client = new Tidewire(server.url, { WebSocket, random: () => 0, page: {} });
});

afterEach(async () => {
  client.close();
  clock.remove();
  await server.stop();
});

async function connect() {
  const connected = next(client, 'connected');
  client.connect();
  peer = await server.peer();
  await peer.welcome({ ping_interval_ms: 600_000 });
  await connected;
}

async function granted(options = { snapshot: false }, payload = {}) {
  const flights = client.subscribe('flights', options);
  await peer.grant(payload);
  await next(flights, 'subscribed');
  return flights;
}

/** A new connection in place of one that was lost. */
async function reconnected() {
  peer.kill();
  peer = await server.peer();
  await peer.welcome({ ping_interval_ms: 600_000 });
}

describe('subscribe', () => {
  it('before connect is sent on welcome, several in one frame', async () => {
    for (const group of ['JFK', 'EWR', 'LGA']) client.subscribe(`flights/${group}`);
    await connect();
    const asked = [];
    for (let n = 0; n < 3; n += 1) asked.push((await peer.expect('subscribe')).payload.channel);
    assert.deepEqual(asked, ['flights/JFK', 'flights/EWR', 'flights/LGA']);
    assert.equal(peer.frames, 2);
  });

  it('says what was asked for, and nothing else', async () => {
    await connect();
    const since = { epoch: 'e', offsets: { 3: 1043 } };
    client.subscribe('flights/JFK', { mode: 'every', intervalMs: 250, snapshot: false, since });
    const { payload } = await peer.expect('subscribe');
    assert.deepEqual(payload, { channel: 'flights/JFK', mode: 'every', interval_ms: 250, snapshot: false, since });
  });

  it('tells what was granted', async () => {
    await connect();
    const flights = client.subscribe('flights', { intervalMs: 60, snapshot: false });
    assert.deepEqual([flights.phase, flights.feedState, flights.intervalMs], ['subscribing', 'stale', null]);
    await peer.grant({ interval_ms: 100 });
    const detail = await next(flights, 'subscribed');
    assert.deepEqual(detail, {
      channel: 'flights',
      mode: 'latest',
      intervalMs: 100,
      position: { epoch: 'e', offsets: { 0: 0 } },
      recovered: 'none',
      gap: undefined,
      reason: undefined,
    });
    assert.deepEqual([flights.phase, flights.feedState, flights.intervalMs], ['subscribed', 'live', 100]);
  });

  it('keeps subscriptions apart by their number', async () => {
    await connect();
    const [jfk, ewr] = ['flights/JFK', 'flights/EWR'].map((c) => client.subscribe(c, { snapshot: false }));
    await peer.grant({ sub: 1 });
    await peer.grant({ sub: 2 });
    peer.updates(9, 5, event('x', 4));
    peer.updates(1, 3, event('a', 2));
    peer.updates(2, 4, event('b', 3));
    await next(ewr, 'update');
    assert.deepEqual([[...jfk.state.keys()], [...ewr.state.keys()]], [['a'], ['b']]);
  });
});

describe('a refusal', () => {
  it('that is final ends the subscription it belongs to, with code and message', async () => {
    await connect();
    const [wrong, right] = ['flihgts', 'flights'].map((c) => client.subscribe(c, { snapshot: false }));
    const { id } = await peer.expect('subscribe');
    const [error, ended, subscribed] = [next(wrong, 'error'), next(wrong, 'unsubscribed'), next(right, 'subscribed')];
    peer.send('error', { code: 'unknown_channel', message: 'no stream is called flihgts' }, id);
    await peer.grant();
    assert.deepEqual([(await error).code, (await error).message], ['unknown_channel', 'no stream is called flihgts']);
    assert.equal((await ended).code, 'unknown_channel');
    await subscribed;
    assert.deepEqual(client.subscriptions, [right]);
  });

  it('that passes is tried again when the server says, not before', async () => {
    clock.install();
    await connect();
    const flights = client.subscribe('flights', { snapshot: false });
    const error = next(flights, 'error');
    peer.send('error', { code: 'rate_limited', message: 'slow down', retry_after_ms: 5000 }, (await peer.expect('subscribe')).id);
    assert.equal((await error).retryAfterMs, 5000);
    assert.equal(flights.phase, 'subscribing');
    clock.tick(4999);
    assert.equal(peer.unread, 0);
    clock.tick(1);
    await peer.grant();
    await next(flights, 'subscribed');
  });

  it('of the whole connection is an error of the client', async () => {
    await connect();
    const error = next(client, 'error');
    peer.send('error', { code: 'bad_request', message: 'what?' });
    assert.equal((await error).code, 'bad_request');
    assert.equal(client.state, 'connected');
  });

  it('throws in a loop', async () => {
    await connect();
    const flights = client.subscribe('flights');
    const loop = (async () => {
      for await (const _ of flights);
    })();
    peer.send('error', { code: 'forbidden', message: 'not yours' }, (await peer.expect('subscribe')).id);
    await assert.rejects(within(loop, 'the end of the loop'), { name: 'TidewireError', code: 'forbidden' });
  });
});

describe('update', () => {
  it('moves to the new number; frames of the old one count until the answer, and not after', async () => {
    await connect();
    const flights = await granted();
    flights.update({ intervalMs: 1000 });
    const { id, payload } = await peer.expect('update_subscription');
    assert.deepEqual(payload, { sub: 7, interval_ms: 1000 });
    peer.updates(7, 2, event('a', 1));
    await next(flights, 'update');
    const position = { epoch: 'e', offsets: { 0: 2 } };
    peer.subscribed(id, { sub: 8, interval_ms: 1000, recovered: 'changes', position });
    peer.updates(7, 9, event('x', 8));
    peer.updates(8, 3, event('b', 2));
    await next(flights, 'update');
    assert.deepEqual([...flights.state.keys()], ['a', 'b']);
    assert.equal(flights.intervalMs, 1000);
    assert.deepEqual(flights.position, { epoch: 'e', offsets: { 0: 3 } });
  });

  it('sends only the last of several wishes while one is under way', async () => {
    await connect();
    const flights = await granted();
    for (const intervalMs of [100, 250, 500]) flights.update({ intervalMs });
    const first = await peer.expect('update_subscription');
    peer.subscribed(first.id, { sub: 8, recovered: 'changes' });
    const last = await peer.expect('update_subscription');
    assert.deepEqual([first.payload, last.payload], [
      { sub: 7, interval_ms: 100 },
      { sub: 8, interval_ms: 500 },
    ]);
  });

  it('waits for the answer to subscribe', async () => {
    await connect();
    const flights = client.subscribe('flights');
    const asked = await peer.expect('subscribe');
    flights.update({ intervalMs: 500 });
    const other = client.subscribe('notices');
    const next = await peer.expect('subscribe');
    assert.equal(next.payload.channel, other.channel, 'nothing was asked in between');
    peer.subscribed(asked.id);
    assert.equal((await peer.expect('update_subscription')).payload.interval_ms, 500);
  });

  it('in the middle of a snapshot starts it anew: the parts before are no part of it', async () => {
    await connect();
    const flights = client.subscribe('flights');
    await peer.grant();
    const position = { epoch: 'e', offsets: { 0: 9 } };
    await next(flights, 'subscribed');
    const lagging = next(flights, 'status');
    peer.send('snapshot', { sub: 7, position, events: [event('a', 1)], more: true });
    peer.send('status', { sub: 7, state: 'lagging', age_ms: 1 });
    await lagging;
    flights.update({ paused: true });
    const { id } = await peer.expect('update_subscription');
    peer.subscribed(id, { sub: 7, recovered: 'snapshot' });
    const snapshot = next(flights, 'snapshot');
    peer.send('snapshot', { sub: 7, position, events: [event('b', 2)] });
    assert.deepEqual((await snapshot).events.map(({ key }) => key), ['b']);
    assert.deepEqual([...flights.state.keys()], ['b']);
    assert.deepEqual(flights.position, position);
  });

  it('that is refused leaves the old values, and tells why', async () => {
    await connect();
    const flights = await granted({ snapshot: false, intervalMs: 100 });
    flights.update({ intervalMs: -1 });
    const error = next(flights, 'error');
    peer.send('error', { code: 'bad_request', message: 'no' }, (await peer.expect('update_subscription')).id);
    assert.equal((await error).code, 'bad_request');
    assert.equal(flights.phase, 'subscribed');
    await reconnected();
    assert.equal((await peer.grant()).interval_ms, 100);
  });

  it('pauses and goes on', async () => {
    await connect();
    const flights = await granted();
    for (const paused of [true, false]) {
      flights.update({ paused });
      const { id, payload } = await peer.expect('update_subscription');
      assert.deepEqual(payload, { sub: 7, paused });
      peer.subscribed(id, { sub: 7, recovered: 'changes' });
      await next(flights, 'subscribed');
    }
  });

  it('a paused subscription stays away from a new connection until it goes on, then resumes', async () => {
    await connect();
    const flights = await granted();
    flights.update({ paused: true });
    peer.subscribed((await peer.expect('update_subscription')).id, { recovered: 'changes' });
    await next(flights, 'subscribed');
    const connected = next(client, 'connected');
    await reconnected();
    await connected;
    assert.equal(flights.phase, 'subscribing');
    flights.update({ paused: false });
    assert.deepEqual((await peer.grant({ recovered: 'changes' })).since, { epoch: 'e', offsets: { 0: 0 } });
    await next(flights, 'subscribed');
  });
});

describe('the end of a subscription', () => {
  it('unsubscribe tells the server and hears nothing more', async () => {
    await connect();
    const flights = await granted();
    const ended = next(flights, 'unsubscribed');
    flights.unsubscribe();
    assert.equal((await ended).code, 'requested');
    const { id, payload } = await peer.expect('unsubscribe');
    assert.deepEqual(payload, { sub: 7 });
    peer.updates(7, 3, event('a', 2));
    peer.send('unsubscribed', { sub: 7, code: 'requested', reason: '' }, id);
    await granted({ snapshot: false }, { sub: 8 });
    assert.equal(flights.received, 0);
  });

  it('unsubscribe before the answer waits for the number', async () => {
    await connect();
    const flights = client.subscribe('flights');
    const { id } = await peer.expect('subscribe');
    flights.unsubscribe();
    peer.subscribed(id, { sub: 5 });
    assert.deepEqual((await peer.expect('unsubscribe')).payload, { sub: 5 });
    assert.equal(flights.phase, 'unsubscribed');
  });

  it('unsubscribe while the rate changes uses the new number', async () => {
    await connect();
    const flights = await granted();
    flights.update({ intervalMs: 500 });
    const { id } = await peer.expect('update_subscription');
    flights.unsubscribe();
    peer.subscribed(id, { sub: 8, recovered: 'changes' });
    assert.deepEqual((await peer.expect('unsubscribe')).payload, { sub: 8 });
  });

  it('is not asked for again on the next connection', async () => {
    await connect();
    const flights = await granted();
    flights.unsubscribe();
    await peer.expect('unsubscribe');
    await reconnected();
    client.subscribe('notices');
    assert.equal((await peer.grant()).channel, 'notices');
  });

  it('by the server comes with its code, as an event and in a loop', async () => {
    await connect();
    const flights = await granted();
    const loop = (async () => {
      for await (const _ of flights);
    })();
    const ended = next(flights, 'unsubscribed');
    peer.send('unsubscribed', { sub: 7, code: 'forbidden', reason: 'the token shrank' });
    assert.deepEqual(await ended, { code: 'forbidden', reason: 'the token shrank' });
    await assert.rejects(within(loop, 'the end of the loop'), { code: 'forbidden', message: 'the token shrank' });
  });
});

describe('what the application sees', () => {
  it('a status without a number concerns every subscription', async () => {
    await connect();
    const subscriptions = ['a', 'b'].map((channel) => client.subscribe(channel, { snapshot: false }));
    await peer.grant({ sub: 1 });
    await peer.grant({ sub: 2 });
    await next(subscriptions[1], 'subscribed');
    peer.send('status', { state: 'stale', age_ms: 61_000 });
    assert.deepEqual(await next(subscriptions[1], 'status'), { state: 'stale', ageMs: 61_000 });
    assert.deepEqual(subscriptions.map(({ feedState }) => feedState), ['stale', 'stale']);
  });

  it('a gap while live is told, and the position goes on behind it', async () => {
    await connect();
    const flights = await granted({ mode: 'every' });
    peer.send('gap', { sub: 7, gap: { 0: [3, 9] }, reason: 'too_far' });
    assert.deepEqual(await next(flights, 'gap'), { type: 'gap', gap: { 0: [3, 9] }, reason: 'too_far' });
    assert.deepEqual(flights.position, { epoch: 'e', offsets: { 0: 9 } });
  });

  it('a full view is told once', async () => {
    await connect();
    const flights = await granted({ snapshot: false, maxKeys: 1 });
    const errors = [];
    flights.on('error', ({ code }) => errors.push(code));
    peer.updates(7, 3, event('a', 1), event('b', 2));
    await next(flights, 'update');
    peer.updates(7, 4, event('c', 3));
    await next(flights, 'update');
    assert.deepEqual(errors, ['view_full']);
    assert.deepEqual([...flights.state.keys()], ['c']);
  });

  it('a loop reads snapshot, updates and gaps, and ends with unsubscribe', async () => {
    await connect();
    const flights = client.subscribe('flights', { mode: 'every', snapshot: false });
    await peer.grant();
    const types = [];
    const loop = (async () => {
      for await (const item of flights) types.push(item.type);
    })();
    await next(flights, 'subscribed');
    peer.updates(7, 2, event('a', 1));
    await next(flights, 'update');
    peer.send('gap', { sub: 7, gap: { 0: [2, 5] }, reason: 'too_far' });
    await next(flights, 'gap');
    peer.updates(7, 6, event('a', 5));
    await next(flights, 'update');
    flights.unsubscribe();
    await within(loop, 'the end of the loop');
    assert.deepEqual(types, ['update', 'gap', 'update']);
  });

  it('a slow loop in mode latest gets the newest of each key, and the count of the rest', async () => {
    await connect();
    const flights = await granted();
    const reader = flights[Symbol.asyncIterator]();
    for (let n = 1; n <= 5; n += 1) {
      peer.updates(7, n + 1, event('a', n));
      await next(flights, 'update');
    }
    const { value } = await reader.next();
    assert.deepEqual([value.events, value.coalesced], [[event('a', 5)], 4]);
  });

  it('a slow loop in mode every gets a gap where it was too slow', async () => {
    await connect();
    const flights = await granted({ mode: 'every', maxBuffered: 2 });
    const reader = flights[Symbol.asyncIterator]();
    for (let n = 1; n <= 3; n += 1) {
      peer.updates(7, n + 1, event('a', n));
      await next(flights, 'update');
    }
    const items = [(await reader.next()).value, (await reader.next()).value];
    assert.deepEqual(items[0], { type: 'gap', gap: { 0: [1, 3] }, reason: 'slow_consumer' });
    assert.deepEqual(items[1].events, [event('a', 3)]);
  });

  it('a position can be stored as JSON and handed to another client', async () => {
    await connect();
    const flights = await granted();
    peer.updates(7, 12, event('a', 11));
    await next(flights, 'update');
    const since = JSON.parse(JSON.stringify(flights.position));
    client.subscribe('flights', { since, mode: 'every' });
    assert.deepEqual((await peer.grant({ sub: 8 })).since, { epoch: 'e', offsets: { 0: 12 } });
  });
});
