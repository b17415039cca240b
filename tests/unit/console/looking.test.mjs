/** The channels that the page looks at, each with one subscription whoever wants it. */

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, it } from 'node:test';

import { script } from './core.mjs';

const { Looking } = await script('looking.js');

/** As much of the SDK's subscription as is used here; the test is its node. */
class Subscription extends EventEmitter {
  phase = 'subscribing';
  feedState = 'stale';

  constructor(channel) {
    super();
    this.channel = channel;
  }

  granted(feedState = 'live') {
    this.phase = 'subscribed';
    this.emit('subscribed', {});
    this.feedState = feedState;
    this.emit('status', { state: feedState });
  }

  refused(code) {
    this.phase = 'unsubscribed';
    this.emit('unsubscribed', { code, reason: '' });
  }

  unsubscribe() {
    this.refused('requested');
  }
}

function looking() {
  const [subscriptions, told, frames] = [[], [], []];
  const subject = new Looking({
    subscribe: (channel) => {
      subscriptions.push(new Subscription(channel));
      return subscriptions.at(-1);
    },
    onChannel: (channel, { state, text }) => told.push(`${channel} ${state}${text && `: ${text}`}`),
    onFrame: (channel, frame) => frames.push([channel, frame]),
  });
  return { subject, subscriptions, told, frames };
}

describe('a channel that is looked at', () => {
  it('has one subscription for all who want it, and leaves with the last of them', () => {
    const { subject, subscriptions, frames } = looking();
    subject.look('watch', 'flights/JFK');
    subject.look('follow', 'flights/JFK');
    assert.deepEqual(subscriptions.map(({ channel }) => channel), ['flights/JFK']);
    subject.look('watch', null);
    assert.equal(subscriptions[0].phase, 'subscribing');
    subscriptions[0].emit('update', 'frame');
    subject.look('follow', 'flights');
    assert.equal(subscriptions[0].phase, 'unsubscribed');
    subscriptions[0].emit('update', 'too late');
    assert.deepEqual(frames, [['flights/JFK', 'frame']]);
  });

  it('is told as it is to who wants it later', () => {
    const { subject, subscriptions, told } = looking();
    subject.look('follow', 'flights/JFK');
    subscriptions[0].granted();
    told.length = 0;
    subject.look('watch', 'flights/JFK');
    assert.deepEqual(told, ['flights/JFK live']);
    subscriptions[0].granted('lagging');
    subject.look('third', 'flights/JFK');
    assert.equal(told.at(-1), 'flights/JFK lagging');
    subscriptions[0].phase = 'subscribing';
    subject.look('fourth', 'flights/JFK');
    assert.equal(told.at(-1), 'flights/JFK waiting');
  });

  it('is told as it becomes, and nothing of one that was left', () => {
    const { subject, subscriptions, told } = looking();
    subject.look('watch', 'flights');
    assert.deepEqual(told, ['flights waiting']);
    subscriptions[0].granted('stale');
    assert.deepEqual(told.slice(1), ['flights live', 'flights stale']);
    subject.look('watch', null);
    assert.equal(told.length, 3);
  });

  it('that was refused is asked for again', () => {
    const { subject, subscriptions, told } = looking();
    subject.look('watch', 'nowhere');
    subscriptions[0].refused('unknown_channel');
    assert.equal(told.at(-1), 'nowhere refused: unknown_channel');
    subject.look('watch', 'nowhere');
    subscriptions[1].granted();
    assert.equal(told.at(-1), 'nowhere live');
  });
});
