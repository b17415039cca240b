/** The client against a real WebSocket server: connections, their ends, and what comes after. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, it, mock } from 'node:test';
import { WebSocket } from 'ws';

import { Tidewire } from '../src/tidewire.js';
import { Clock } from './clock.js';
import { TestServer, event, next, within } from './server.js';

let server;
let clients;
const clock = new Clock();

beforeEach(async () => {
  clients = [];
  server = await TestServer.start();
});

afterEach(async () => {
  for (const client of clients) client.close();
  clock.remove();
  await server.stop();
});

/** Retries at once unless the test says otherwise. */
function make(options = {}) {
  const client = new Tidewire(server.url, { WebSocket, random: () => 0, page: {}, ...options });
  clients.push(client);
  return client;
}

async function connected(options, welcome) {
  const client = make(options);
  client.connect();
  const peer = await server.peer();
  const hello = await peer.welcome(welcome);
  await next(client, 'connected');
  return { client, peer, hello };
}

/** A client with one subscription that holds a10 of a snapshot at 11. */
async function fed(options, subscribeOptions) {
  const { client, peer } = await connected(options);
  const flights = client.subscribe('flights', subscribeOptions);
  await peer.grant();
  peer.snapshot(7, 11, event('a', 10));
  await next(flights, 'snapshot');
  return { client, peer, flights };
}

const view = (subscription) => Object.fromEntries([...subscription.state].map(([key, { data }]) => [key, data]));

describe('connecting', () => {
  it('speaks the subprotocol, says hello, and tells its states', async () => {
    const client = make({ token: 'secret', client: 'board/2', device: 'kiosk' });
    const states = [];
    client.on('state', (state) => states.push(state));
    client.connect();
    const peer = await server.peer();
    const hello = await peer.welcome({ connection: 'c-1', node: 'n-1', limits: { subscriptions: 3 } });
    const detail = await next(client, 'connected');
    assert.equal(peer.protocol, 'tidewire.v1.json');
    assert.deepEqual(hello.payload, { token: 'secret', client: 'board/2', device: 'kiosk' });
    assert.deepEqual(detail, { connection: 'c-1', node: 'n-1', limits: { subscriptions: 3 }, isMove: false });
    assert.deepEqual(states, ['connecting', 'connected']);
    assert.equal(client.state, 'connected');
  });

  it('names itself and its version where the application does not', async () => {
    const { hello } = await connected();
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    assert.deepEqual(hello.payload, { client: `tidewire-js/${version}` });
  });

  it('opens one connection however often connect is called', async () => {
    const { client, peer } = await connected();
    client.connect();
    const flights = client.subscribe('flights');
    await peer.grant();
    await next(flights, 'subscribed');
    assert.equal(server.waiting, 0);
  });

  it('takes an http address too', async () => {
    const client = new Tidewire(server.url.replace('ws:', 'http:'), { WebSocket, page: {} });
    clients.push(client);
    client.connect();
    await (await server.peer()).welcome();
    await next(client, 'connected');
  });

  it('says what to do where there is no WebSocket', { skip: globalThis.WebSocket && 'there is one' }, () => {
    assert.throws(() => new Tidewire(server.url), /pass one, new Tidewire\(url, \{WebSocket\}\)/);
  });

  it('stops for good where the engine refuses the address', async () => {
    class Refusing {
      constructor() {
        throw new Error('an insecure socket from a secure page');
      }
    }
    const client = make({ WebSocket: Refusing });
    client.connect();
    const { reason, isPermanent } = await next(client, 'disconnected');
    assert.match(reason, /insecure/);
    assert.equal(isPermanent, true);
  });

  it('leaves nothing open when a listener disconnects at once', async () => {
    const client = make();
    client.once('connecting', () => client.disconnect());
    client.connect();
    assert.equal(client.state, 'disconnected');
    client.connect();
    await (await server.peer()).welcome();
    await next(client, 'connected');
    assert.equal(server.waiting, 0);
  });
});

describe('frames', () => {
  it('takes arrays apart, ignores unknown types and fields', async () => {
    const { client, peer } = await connected();
    const flights = client.subscribe('flights', { snapshot: false });
    await peer.grant();
    await next(flights, 'subscribed');
    const updates = { sub: 7, mood: 1, position: { epoch: 'e', offsets: { 0: 2 } }, events: [event('a', 1)] };
    peer.raw(
      JSON.stringify([
        { v: 1, type: 'juggle', payload: {} },
        { v: 1, type: 'updates', tide: 'high', payload: updates },
        { v: 1, type: 'status', payload: { sub: 7, state: 'lagging', age_ms: 9 } },
      ]),
    );
    assert.deepEqual((await next(flights, 'update')).events, [event('a', 1)]);
    assert.equal(flights.feedState, 'lagging');
    assert.equal(flights.received, 1);
    assert.ok(flights.frames === 2 && flights.bytes > 0);
  });

  for (const [what, data] of [
    ['text that is not JSON', 'oops'],
    ['a binary frame', Buffer.from('{}')],
    ['a message without its fields', '{"v":1,"type":"updates","payload":{}}'],
  ]) {
    it(`drops the connection for ${what}, and resumes`, async () => {
      const { client, peer, flights } = await fed();
      peer.raw(data);
      await next(client, 'connecting');
      const again = await server.peer();
      await again.welcome();
      const asked = await again.grant({ recovered: 'changes', position: { epoch: 'e', offsets: { 0: 11 } } });
      assert.deepEqual(asked.since, { epoch: 'e', offsets: { 0: 11 } });
      await next(flights, 'subscribed');
    });
  }
});

describe('a lost connection', () => {
  it('resumes every subscription from its position and keeps the view', async () => {
    const { client, peer, flights } = await fed();
    const statuses = [];
    flights.on('status', ({ state }) => statuses.push(state));
    peer.kill();
    assert.equal((await next(client, 'connecting')).code, 1006);
    assert.equal(flights.phase, 'subscribing');
    assert.deepEqual(view(flights), { a: 'a10' });
    const again = await server.peer();
    await again.welcome();
    const asked = await again.grant({ sub: 3, recovered: 'changes', position: { epoch: 'e', offsets: { 0: 11 } } });
    assert.deepEqual(asked, { channel: 'flights', since: { epoch: 'e', offsets: { 0: 11 } } });
    assert.equal((await next(flights, 'subscribed')).recovered, 'changes');
    again.updates(3, 13, event('a', 10), event('b', 12));
    assert.deepEqual((await next(flights, 'update')).events, [event('b', 12)]);
    assert.deepEqual(view(flights), { a: 'a10', b: 'b12' });
    assert.deepEqual(statuses, ['stale', 'live']);
    assert.equal(flights.duplicates, 1);
  });

  it('replaces the view when the answer is a snapshot', async () => {
    const { peer, flights } = await fed();
    peer.kill();
    const again = await server.peer();
    await again.welcome();
    await again.grant({ recovered: 'snapshot' });
    again.snapshot(7, 50, event('z', 44));
    await next(flights, 'snapshot');
    assert.deepEqual(view(flights), { z: 'z44' });
  });

  it('surfaces the gap of the answer', async () => {
    const { client, peer } = await connected();
    const notices = client.subscribe('notices', { mode: 'every', since: { epoch: 'e', offsets: { 0: 3 } } });
    const gap = next(notices, 'gap');
    await peer.grant({ recovered: 'gap', gap: { 0: [3, 90] }, position: { epoch: 'e', offsets: { 0: 90 } } });
    assert.deepEqual(await gap, { type: 'gap', gap: { 0: [3, 90] }, reason: null });
    assert.deepEqual(notices.position, { epoch: 'e', offsets: { 0: 90 } });
  });

  it('surfaces a gap that names no range, to listeners and loops, once for each answer', async () => {
    const { client, peer } = await connected();
    const mine = client.subscribe('@me', { mode: 'every', since: { epoch: 'old', offsets: { 2: 40 } } });
    const told = [];
    mine.on('gap', (gap) => told.push(gap));
    const reader = mine[Symbol.asyncIterator]();
    const read = async () => (await within(reader.next(), 'a gap')).value;
    const answer = { channel: '@me', mode: 'every', recovered: 'gap', position: { epoch: 'new', offsets: { 2: 0 } } };
    const notice = { type: 'gap', gap: {}, reason: 'recreated' };
    await peer.grant({ ...answer, reason: 'recreated' });
    assert.deepEqual(await read(), notice);
    peer.kill();
    const again = await server.peer();
    await again.welcome();
    await again.grant(answer);
    assert.deepEqual(await read(), { ...notice, reason: null });
    assert.deepEqual(told, [notice, { ...notice, reason: null }]);
    assert.deepEqual(mine.position, answer.position);
  });

  it('backs off with full jitter, further each time, and starts over once a connection was steady', async () => {
    const client = make({ random: () => 0.5 });
    clock.install();
    client.connect();
    for (const delayMs of [250, 500, 1000, 2000]) {
      const connecting = next(client, 'connecting');
      (await server.peer()).close(3030, 'overloaded');
      const detail = await connecting;
      assert.deepEqual([detail.code, detail.reason, detail.delayMs], [3030, 'overloaded', delayMs]);
      clock.tick(delayMs - 1);
      assert.equal(server.waiting, 0);
      clock.tick(1);
    }
    const peer = await server.peer();
    await peer.welcome({ ping_interval_ms: 1000 });
    await next(client, 'connected');
    clock.tick(500);
    peer.kill();
    assert.equal((await next(client, 'connecting')).delayMs, 250);
  });

  it('does not start over for a connection that ends right after its welcome', async () => {
    const client = make({ random: () => 0.5 });
    clock.install();
    client.connect();
    for (const delayMs of [250, 500, 1000]) {
      const peer = await server.peer();
      await peer.welcome();
      await next(client, 'connected');
      peer.close(3008);
      assert.equal((await next(client, 'connecting')).delayMs, delayMs);
      clock.tick(delayMs);
    }
  });

  it('waits as long as the server asks', async () => {
    const client = make();
    clock.install();
    client.connect();
    const peer = await server.peer();
    const { id } = await peer.expect('hello');
    const error = next(client, 'error');
    const connecting = next(client, 'connecting');
    peer.send('error', { code: 'unavailable', message: 'full', retry_after_ms: 7000 }, id);
    peer.close(3030);
    assert.equal((await error).retryAfterMs, 7000);
    assert.equal((await connecting).delayMs, 7000);
  });

  for (const code of [3500, 3501, 3502, 3503, 3504, 3999]) {
    it(`stops at close code ${code}`, async () => {
      const { client, peer, flights } = await fed();
      peer.close(code, 'why');
      assert.deepEqual(await next(client, 'disconnected'), { code, reason: 'why', isPermanent: true });
      assert.equal(client.state, 'disconnected');
      assert.equal(flights.feedState, 'stale');
      assert.equal(server.waiting, 0);
    });
  }

  for (const code of [1001, 1009, 1012, 3001, 3008, 3012, 3499, 4000]) {
    it(`comes back after close code ${code}`, async () => {
      const { client, peer } = await connected();
      peer.close(code);
      await (await server.peer()).welcome();
      await next(client, 'connected');
    });
  }

  it('gives up an attempt that gets no welcome in time', async () => {
    const client = make({ random: () => 0.5 });
    clock.install();
    client.connect();
    const peer = await server.peer();
    await peer.expect('hello');
    const connecting = next(client, 'connecting');
    clock.tick(10_000);
    assert.match((await connecting).reason, /no welcome within 10000 ms/);
    await within(peer.closed, 'the close');
    clock.tick(250);
    await (await server.peer()).welcome();
    await next(client, 'connected');
  });

  it('takes a connection that is silent for 2.5 ping intervals for dead', async () => {
    clock.install();
    const { client, peer, flights } = await fed();
    clock.tick(500);
    clock.tick(2000);
    assert.equal(client.state, 'connected');
    peer.send('ping', {});
    peer.send('status', { state: 'stale', age_ms: 1 });
    await next(flights, 'status');
    clock.tick(500);
    clock.tick(2000);
    assert.equal(client.state, 'connected');
    const connecting = next(client, 'connecting');
    clock.tick(500);
    assert.match((await connecting).reason, /nothing was heard/);
  });

  it('drops a connection that does not answer a request', async () => {
    clock.install();
    const { client, peer } = await connected({}, { ping_interval_ms: 25_000 });
    client.subscribe('flights');
    await peer.expect('subscribe');
    const connecting = next(client, 'connecting');
    clock.tick(15_000);
    assert.match((await connecting).reason, /no answer to subscribe/);
  });
});

describe('disconnect and close', () => {
  it('disconnect keeps the subscriptions, connect resumes them', async () => {
    const { client, peer, flights } = await fed();
    const detail = next(client, 'disconnected');
    client.disconnect();
    assert.equal((await detail).isPermanent, false);
    assert.equal(await within(peer.closed, 'the close'), 1000);
    client.connect();
    const again = await server.peer();
    await again.welcome();
    assert.deepEqual((await again.grant({ recovered: 'changes' })).since, { epoch: 'e', offsets: { 0: 11 } });
    await next(flights, 'subscribed');
  });

  it('close ends the subscriptions and their loops', async () => {
    const { client, flights } = await fed();
    const items = [];
    const loop = (async () => {
      for await (const item of flights) items.push(item);
    })();
    client.close();
    await within(loop, 'the end of the loop');
    assert.equal(flights.phase, 'unsubscribed');
    assert.deepEqual(client.subscriptions, []);
  });

  it('cancels an attempt that waits', async () => {
    clock.install();
    const { client, peer } = await connected({ random: () => 0.5 });
    peer.kill();
    await next(client, 'connecting');
    client.disconnect();
    clock.tick(60_000);
    assert.equal(client.state, 'disconnected');
    assert.equal(server.waiting, 0);
  });
});

describe('the page', () => {
  /** As much of a window as the client uses. */
  function pageOf() {
    const document = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
    return Object.assign(new EventTarget(), { document });
  }

  async function waiting(page) {
    clock.install();
    const { client, peer } = await connected({ page, random: () => 0.5 });
    peer.kill();
    await next(client, 'connecting');
    return client;
  }

  it('reconnects at once when the network is back', async () => {
    const page = pageOf();
    const client = await waiting(page);
    page.dispatchEvent(new Event('online'));
    await (await server.peer()).welcome();
    await next(client, 'connected');
  });

  it('reconnects at once when somebody looks again', async () => {
    const page = pageOf();
    const client = await waiting(page);
    page.document.dispatchEvent(new Event('visibilitychange'));
    assert.equal(server.waiting, 0);
    page.document.visibilityState = 'visible';
    page.document.dispatchEvent(new Event('visibilitychange'));
    await (await server.peer()).welcome();
    await next(client, 'connected');
  });

  it('moves a live connection to the network that is back, without a break', async () => {
    const page = pageOf();
    const { client, peer } = await connected({ page });
    page.dispatchEvent(new Event('online'));
    await (await server.peer()).welcome();
    assert.equal((await next(client, 'connected')).isMove, true);
    assert.equal(await within(peer.closed, 'the close'), 1000);
  });

  it('does not listen after disconnect', async () => {
    const page = pageOf();
    const { client } = await connected({ page });
    client.disconnect();
    page.dispatchEvent(new Event('online'));
    assert.equal(client.state, 'disconnected');
    assert.equal(server.waiting, 0);
  });
});

describe('tokens', () => {
  it('fetches a new one after 3005 and resumes', async () => {
    let count = 0;
    const { client, peer, hello } = await connected({ getToken: async () => `t${(count += 1)}` });
    assert.equal(hello.payload.token, 't1');
    peer.close(3005, 'expired');
    const again = await server.peer();
    assert.equal((await again.welcome()).payload.token, 't2');
    await next(client, 'connected');
  });

  it('keeps a good token over a reconnect', async () => {
    const getToken = mock.fn(async () => 't');
    const { peer } = await connected({ getToken });
    peer.kill();
    assert.equal((await (await server.peer()).welcome()).payload.token, 't');
    assert.equal(getToken.mock.callCount(), 1);
  });

  it('stops at 3005 where no new one can be had', async () => {
    const { client, peer } = await connected({ token: 'old' });
    peer.close(3005);
    assert.equal((await next(client, 'disconnected')).isPermanent, true);
  });

  it('tells of a getToken that fails, backs off, and tries again', async () => {
    clock.install();
    let isDown = true;
    const getToken = async () => {
      if (isDown) throw new Error('identity provider down');
      return 't';
    };
    const client = make({ getToken, random: () => 0.5 });
    client.connect();
    const error = await next(client, 'error');
    assert.equal(error.code, 'token');
    assert.match(error.message, /identity provider down/);
    assert.equal(client.state, 'connecting');
    isDown = false;
    clock.tick(250);
    await (await server.peer()).welcome();
    await next(client, 'connected');
  });

  it('shows a fresh token on the live connection before the old one runs out', async () => {
    clock.install();
    let count = 0;
    const getToken = async () => `t${(count += 1)}`;
    const { client, peer } = await connected({ getToken }, { expires_in_ms: 100_000, ping_interval_ms: 60_000 });
    const flights = client.subscribe('flights', { snapshot: false });
    await peer.grant();
    await next(flights, 'subscribed');
    for (const token of ['t2', 't3']) {
      clock.tick(75_000);
      const { id, payload } = await peer.expect('refresh');
      assert.deepEqual(payload, { token });
      peer.send('refreshed', { expires_in_ms: 100_000 }, id);
      peer.send('status', { state: 'stale', age_ms: 1 }); // once this is read, so is the answer
      await next(flights, 'status');
    }
  });

  it('tries again when the fresh token cannot be had, and keeps the connection', async () => {
    clock.install();
    const answers = ['t1', new Error('down'), 't2'];
    const getToken = async () => {
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return answer;
    };
    const { client, peer } = await connected({ getToken }, { expires_in_ms: 100_000, ping_interval_ms: 60_000 });
    const error = next(client, 'error');
    clock.tick(75_000);
    assert.equal((await error).code, 'token');
    assert.equal(client.state, 'connected');
    clock.tick(15_000);
    assert.deepEqual((await peer.expect('refresh')).payload, { token: 't2' });
  });
});
