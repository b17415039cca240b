/** Following a key, and the channels and addresses around it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { core } from './core.mjs';

const { FOLLOW_SECONDS, FollowLease, FollowRequests, KeyLine, MAX_SEEN, contentOf, targetProblem } = await core('follow.js');
const { channelOfKey, channelProblem, knownChannels, obviousChannel, streamsOf } = await core('channels.js');
const { readRoute, writeRoute } = await core('route.js');
const { ageText, bannerText, statusOf } = await core('status.js');

const target = { stream: 'flights', key: 'JFK/B6-704' };

describe('a lease to follow', () => {
  it('is asked for at once, once at a time, and again well before it runs out', () => {
    const lease = new FollowLease(target);
    assert.deepEqual(lease.body, { ...target, seconds: FOLLOW_SECONDS });
    assert.ok(lease.take(0));
    assert.ok(!lease.take(1000), 'the answer is awaited');
    lease.granted(1000);
    assert.equal(lease.state, 'following');
    assert.ok(!lease.take(2000));
    assert.ok(lease.take(1000 + (FOLLOW_SECONDS * 1000) / 2));
  });

  it('is asked for again soon after a failure, which is told', () => {
    const lease = new FollowLease(target);
    lease.take(0);
    lease.failed(0, 'too many');
    assert.deepEqual([lease.state, lease.problem], ['failed', 'too many']);
    assert.ok(!lease.take(1000));
    assert.ok(lease.take(5000));
    lease.granted(5001);
    assert.deepEqual([lease.state, lease.problem], ['following', '']);
  });

  it('is asked for at once where another node serves the page, also while the answer of the one before is awaited', () => {
    const lease = new FollowLease(target);
    lease.take(0);
    lease.granted(0);
    lease.hurry();
    assert.ok(lease.take(1));
    lease.hurry();
    lease.granted(2);
    assert.ok(lease.take(3));
  });
});

describe('requests to follow', () => {
  const other = { stream: 'flights', key: 'LGA/AA-1' };
  /** Every request that is due, in its order; each is answered with `problem`. */
  function sent(requests, now = 0, problem = null) {
    const all = [];
    for (let request = requests.take(now); request; request = requests.take(now)) {
      all.push(`${request.method} ${request.body.key}`);
      requests.answered(now, problem);
    }
    return all;
  }

  it('go one after another', () => {
    const requests = new FollowRequests();
    assert.equal(requests.take(0), null);
    assert.ok(requests.want(target));
    assert.deepEqual(requests.take(0), { method: 'POST', body: { ...target, seconds: FOLLOW_SECONDS } });
    assert.ok(requests.want(other));
    assert.equal(requests.take(1), null, 'an answer is awaited');
    requests.answered(2, null);
    assert.equal(requests.lease.state, 'asking', 'that answer was not for this one');
    assert.deepEqual(requests.take(2), { method: 'DELETE', body: target });
    assert.equal(requests.take(3), null, 'an answer is awaited');
    requests.answered(3, null);
    assert.deepEqual(sent(requests, 3), ['POST LGA/AA-1']);
    assert.equal(requests.lease.state, 'following');
  });

  it('never let go of what is followed now, however fast one wish came after another', () => {
    const requests = new FollowRequests();
    requests.want(target);
    requests.take(0);
    for (const wish of [other, target, other, target]) requests.want(wish);
    requests.answered(1, null);
    assert.deepEqual(sent(requests, 1), ['POST JFK/B6-704']);
    assert.equal(requests.lease.state, 'following');
  });

  it('are none for what is followed already, but for one that failed', () => {
    const requests = new FollowRequests();
    requests.want(target);
    assert.deepEqual(sent(requests), ['POST JFK/B6-704']);
    assert.ok(!requests.want({ ...target }));
    assert.deepEqual(sent(requests, 1), []);
    assert.deepEqual(sent(requests, 30_000, 'the node does not answer'), ['POST JFK/B6-704']);
    assert.equal(requests.lease.problem, 'the node does not answer');
    assert.ok(!requests.want({ ...target }));
    assert.deepEqual(sent(requests, 30_001), ['POST JFK/B6-704']);
  });

  it('let go at the end of all that a node may follow, and of nothing that it was not asked for', () => {
    const requests = new FollowRequests();
    assert.ok(!requests.want(null));
    requests.want(other);
    requests.want(target);
    assert.deepEqual(sent(requests), ['POST JFK/B6-704']);
    assert.ok(requests.want(null));
    assert.deepEqual(sent(requests, 1, 'the node does not answer'), ['DELETE JFK/B6-704']);
    requests.want(target);
    requests.take(2);
    requests.want(other);
    assert.deepEqual(requests.leave(), [target]);
    assert.equal(requests.lease, null);
    requests.answered(3, null);
    assert.deepEqual(sent(requests, 3), []);
  });
});

describe('the line of a key', () => {
  const event = (key, offset, data = { n: offset }) => ({ key, data, offset: [3, offset] });

  it('has its events only, newest first, each once, with the flow that they belong to', () => {
    const line = new KeyLine(target.key);
    line.add([event('JFK/AA-1', 6), event(target.key, 7), event(target.key, 8)], 'abc', 100);
    line.add([event(target.key, 8), { key: target.key, deleted: true, offset: [3, 9] }], null, 200);
    assert.deepEqual(line.list.map(({ id, at, flowId }) => [id, at, flowId]), [['3-9', 200, null], ['3-8', 100, 'abc-3-8'], ['3-7', 100, 'abc-3-7']]);
    assert.deepEqual(line.list.map((seen) => contentOf(seen)), ['deleted', '{"n":8}', '{"n":7}']);
  });

  it('is bounded, and so is what it shows of an event', () => {
    const line = new KeyLine(target.key);
    for (let n = 0; n < 50; n += 1) line.add([event(target.key, n)], null, n);
    assert.equal(line.list.length, MAX_SEEN);
    line.add([event(target.key, 99, { text: 'x'.repeat(500) })], null, 99);
    assert.equal(contentOf(line.list[0]).length, 120);
    assert.ok(contentOf(line.list[0]).endsWith('…'));
    assert.equal(contentOf({ isDeleted: false, data: undefined }), '');
  });

  it('needs a stream and a key', () => {
    assert.equal(targetProblem(target), null);
    assert.match(targetProblem({ stream: '', key: 'x' }), /stream/);
    assert.match(targetProblem({ stream: 'flights/JFK', key: 'x' }), /slash/);
    assert.match(targetProblem({ stream: 'flights', key: '' }), /key/);
  });
});

describe('channels', () => {
  const feeds = ['flights', 'flights/JFK', 'flights', 'tidewire.system', '@me', 'notices'].map((channel) => ({ channel }));

  it('are those of feeds, without the system’s own and the users’', () => {
    assert.deepEqual(knownChannels(feeds), ['flights', 'flights/JFK', 'notices']);
    assert.deepEqual(streamsOf(['flights', 'flights/JFK', 'notices']), ['flights', 'notices']);
  });

  it('are watched unasked only where there is one', () => {
    assert.deepEqual([obviousChannel([]), obviousChannel(['a']), obviousChannel(['a', 'b'])], [null, 'a', null]);
  });

  it('carry a key: its group where that is known, else the whole stream', () => {
    assert.equal(channelOfKey('flights', 'JFK/B6-704', ['flights', 'flights/JFK', 'flights/J']), 'flights/JFK');
    assert.equal(channelOfKey('flights', 'JFK/B6-704', ['flights/JFK/B6-704', 'flights/JFK']), 'flights/JFK/B6-704');
    assert.equal(channelOfKey('flights', 'JFK', ['notices/JFK', 'flights/LGA']), 'flights');
  });

  it('have names that can be wrong', () => {
    assert.equal(channelProblem('flights/JFK'), null);
    for (const wrong of ['', 'a b', '/x', 'x/', 'x'.repeat(256)]) assert.match(channelProblem(wrong), /channel/, wrong);
  });
});

describe('the address', () => {
  it('names page and channel, and is read as it was written', () => {
    for (const route of [{ page: 'system', watch: null }, { page: 'flow', watch: 'flights/JFK' }, { page: 'flow', watch: null }]) {
      assert.deepEqual(readRoute(writeRoute(route)), route);
    }
    assert.deepEqual(readRoute(''), { page: 'system', watch: null });
    assert.deepEqual(readRoute('#nowhere?watch='), { page: 'system', watch: null });
  });
});

describe('the connection', () => {
  const link = { state: 'connected', refusal: null, feedState: 'live', feedSince: NaN, heardAt: 0, hasValues: true };
  const status = (changes) => statusOf({ ...link, ...changes });

  it('has one word for each state', () => {
    assert.equal(status({}), 'live');
    assert.equal(status({ state: 'connecting' }), 'reconnecting');
    assert.equal(status({ state: 'disconnected', hasValues: false }), 'connecting');
    assert.equal(status({ feedState: 'stale' }), 'resuming');
    assert.equal(status({ feedState: 'stale', hasValues: false }), 'connecting');
    assert.equal(status({ feedState: 'stale', feedSince: 5 }), 'stale');
    assert.equal(status({ feedState: 'lagging' }), 'lagging');
    assert.equal(status({ refusal: 'no' }), 'refused');
  });

  it('says how old the figures are once that matters', () => {
    assert.equal(ageText('stale', 1000), '');
    assert.equal(ageText('stale', 12_000), 'for 12 s');
    assert.equal(ageText('lagging', 420_000), 'for 7 min');
    assert.equal(ageText('live', 420_000), '');
    assert.equal(bannerText('reconnecting', 500, null), 'Connection lost, reconnecting.');
    assert.match(bannerText('stale', 5000, null), /Kafka.*5 s ago/);
    assert.equal(bannerText('resuming', 500, null), '');
    assert.match(bannerText('lagging', 0, null), /slow/);
    assert.match(bannerText('refused', 0, 'unknown_channel'), /unknown_channel/);
    assert.equal(bannerText('connecting', 0, null), '');
  });

  it('that is live and hears nobody says so', () => {
    assert.equal(bannerText('live', 3000, null), '');
    assert.match(bannerText('live', 15_000, null), /15 s/);
  });
});
