/** Spans of what comes traced: which there are, what they say, and when they end. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { Subscription } from '../src/subscription.js';
import { Tidewire } from '../src/tidewire.js';
import { Tracing } from '../src/tracing.js';
import { event } from './server.js';
import { FakeOpenTelemetry, SPAN, TRACE, TRACEPARENT } from './telemetry.js';

const ARRIVED = 1_764_460_800_250.31;

/** A subscription that stands at 0, and the frames that it is given. */
class Fed {
  faults = [];
  #offset = 0;

  constructor(api = new FakeOpenTelemetry(), { channel = 'flights/JFK', ...options } = {}) {
    this.api = api;
    const tracing = new Tracing(api, '1.2.3', (error) => this.faults.push(error));
    this.subscription = new Subscription(channel, { snapshot: false, ...options }, { change() {}, drop() {}, tracing });
    const position = { epoch: 'e', offsets: { 0: 0 } };
    this.subscription._subscribed({ generation: 1 }, { mode: options.mode ?? 'latest', position, recovered: 'none' }, false);
  }

  /** One event of `key`. */
  update(key = 'a', traceparent = TRACEPARENT) {
    this.updates([event(key, this.#offset++)], traceparent);
  }

  updates(events, traceparent = TRACEPARENT, receivedAt = ARRIVED) {
    const position = { epoch: 'e', offsets: { 0: this.#offset } };
    this.subscription._receive({ type: 'updates', payload: { position, events, traceparent } }, 1, receivedAt);
  }

  snapshot(...events) {
    const position = { epoch: 'e', offsets: { 0: this.#offset } };
    this.subscription._receive({ type: 'snapshot', payload: { position, events } }, 1, ARRIVED);
  }

  get loop() {
    return this.subscription[Symbol.asyncIterator]();
  }
}

describe('a traced update', () => {
  it('is a span that goes on with the trace of its frame', () => {
    const fed = new Fed();
    fed.updates([event('a', 1), event('b', 2)]);
    const { api } = fed;
    const [{ name, options, context }] = api.spans;
    assert.equal(name, 'receive flights');
    assert.deepEqual(options, {
      kind: 4,
      startTime: ARRIVED,
      attributes: {
        'messaging.system': 'tidewire',
        'messaging.operation.name': 'receive',
        'messaging.operation.type': 'process',
        'messaging.destination.name': 'flights/JFK',
        'messaging.destination.template': 'flights',
        'messaging.batch.message_count': 2,
      },
    });
    const parent = { traceId: TRACE, spanId: SPAN, traceFlags: 1, isRemote: true };
    assert.deepEqual(context, { from: api.ROOT_CONTEXT, parent });
    assert.deepEqual(api.tracers, [['tidewire', '1.2.3']]);
  });

  it('asks for its tracer once', () => {
    const fed = new Fed();
    fed.update();
    fed.update();
    assert.equal(fed.api.spans.length, 2);
    assert.equal(fed.api.tracers.length, 1);
  });

  it('keeps the name of messages to a user', () => {
    const fed = new Fed(undefined, { channel: '@me', mode: 'every' });
    fed.update();
    assert.equal(fed.api.spans[0].name, 'receive @me');
  });

  it('ends once every listener has returned', () => {
    const fed = new Fed();
    const open = [];
    for (let n = 0; n < 2; n += 1) fed.subscription.on('update', () => open.push(fed.api.ended === 0));
    fed.update();
    const [span] = fed.api.spans;
    assert.deepEqual(open, [true, true]);
    assert.equal(span.ends, 1);
    assert.ok(span.endTime >= ARRIVED);
  });

  it('never ends before it began, even where the clock was set back', () => {
    const fed = new Fed();
    const receivedAt = Date.now() + 3_600_000;
    fed.updates([event('a', 1)], TRACEPARENT, receivedAt);
    assert.equal(fed.api.spans[0].endTime, receivedAt);
  });

  it('ends too where nothing in it was new', () => {
    const fed = new Fed();
    fed.updates([event('a', 5)]);
    fed.updates([event('a', 5)]);
    assert.equal(fed.subscription.duplicates, 1);
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1, 1]);
  });

  it('ends where a listener throws', (t) => {
    t.mock.method(globalThis, 'queueMicrotask', () => {}); // where its error would surface
    const fed = new Fed();
    fed.subscription.on('update', () => {
      throw new Error('of the application');
    });
    fed.update();
    assert.equal(fed.api.ended, 1);
    assert.deepEqual(fed.faults, []);
  });

  it('is the active span while listeners run, where the API has a context', () => {
    const fed = new Fed();
    let active;
    fed.subscription.on('update', () => (active = fed.api.active));
    fed.update();
    assert.equal(active, fed.api.spans[0]);
    assert.equal(fed.api.active, null);
  });

  for (const missing of ['context', 'context.with']) {
    it(`is delivered and recorded without ${missing}`, () => {
      const api = new FakeOpenTelemetry();
      api.context = missing === 'context' ? undefined : {};
      const fed = new Fed(api);
      let delivered = 0;
      fed.subscription.on('update', () => (delivered += 1));
      fed.update();
      assert.deepEqual([delivered, api.ended, fed.faults], [1, 1, []]);
    });
  }

  it('tells listeners its trace and when it arrived', () => {
    const fed = new Fed();
    const told = [];
    fed.subscription.on('update', ({ traceparent, receivedAt }) => told.push([traceparent, receivedAt]));
    fed.update();
    assert.deepEqual(told, [[TRACEPARENT, ARRIVED]]);
  });
});

describe('no span', () => {
  const later = `01-${TRACE}-${SPAN}-03-what-else`;
  for (const [what, traceparent, spans] of [
    ['is made of an update without a trace', null, 0],
    ['is made of one that is not sampled', `00-${TRACE}-${SPAN}-00`, 0],
    ['is made of one without a trace id', `00-${'0'.repeat(32)}-${SPAN}-01`, 0],
    ['is made of one without a span id', `00-${TRACE}-${'0'.repeat(16)}-01`, 0],
    ['is made of the version that never will be', `ff-${TRACE}-${SPAN}-01`, 0],
    ['is made where version 00 goes on', `${TRACEPARENT}-more`, 0],
    ['is made of anything else', 7, 0],
    ['is missing where a later version goes on', later, 1],
  ]) {
    it(what, () => {
      const fed = new Fed();
      let delivered = 0;
      fed.subscription.on('update', () => (delivered += 1));
      fed.update('a', traceparent);
      assert.deepEqual([fed.api.spans.length, delivered, fed.faults], [spans, 1, []]);
    });
  }

  it('is made of a snapshot', () => {
    const fed = new Fed();
    fed.snapshot(event('a', 1));
    assert.deepEqual(fed.api.spans, []);
  });
});

describe('an API that throws', () => {
  for (const broken of ['getTracer', 'setSpanContext', 'startSpan', 'setSpan', 'with', 'after with', 'end']) {
    it(`costs no update and is told once: ${broken}`, () => {
      const fed = new Fed(new FakeOpenTelemetry(broken));
      const keys = [];
      fed.subscription.on('update', ({ events }) => keys.push(events[0].key));
      fed.update('a');
      fed.update('b');
      assert.deepEqual(keys, ['a', 'b']);
      assert.deepEqual(fed.faults.map(({ code }) => code), ['tracing']);
      assert.match(fed.faults[0].message, /OpenTelemetry failed: Error: .* is broken/);
      assert.match(fed.faults[0].cause.message, new RegExp(broken));
    });
  }

  it('ends its spans where only its context fails', () => {
    const fed = new Fed(new FakeOpenTelemetry('with'));
    fed.update();
    assert.equal(fed.api.ended, 1);
  });

  it('is refused where it is no API at all', () => {
    const make = (opentelemetry) => new Tidewire('ws://localhost', { WebSocket: class {}, opentelemetry });
    assert.throws(() => make({}), /import \* as api from '@opentelemetry\/api'/);
    assert.throws(() => make({ trace: {} }), TypeError);
  });
});

describe('a loop', () => {
  it('ends the span of an update when it asks for more', async () => {
    const fed = new Fed();
    const { loop } = fed;
    const first = loop.next();
    fed.update();
    await first;
    assert.equal(fed.api.ended, 0);
    const second = loop.next();
    assert.equal(fed.api.ended, 1);
    fed.update();
    await second;
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1, 0]);
  });

  it('holds the span of an update that waits for it', async () => {
    const fed = new Fed(undefined, { mode: 'every' });
    const { loop } = fed;
    fed.update('a');
    fed.update('b');
    await loop.next();
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [0, 0]);
    await loop.next();
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1, 0]);
  });

  it('shares the span with other loops: the last one ends it', async () => {
    const fed = new Fed();
    const loops = [fed.loop, fed.loop];
    fed.update();
    for (const loop of loops) await loop.next();
    loops[0].next();
    assert.equal(fed.api.ended, 0);
    loops[1].next();
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1]);
  });

  it('ends all spans that it holds when it is left', async () => {
    const fed = new Fed();
    const { loop } = fed;
    fed.update('a');
    for await (const { events } of loop) {
      assert.equal(events[0].key, 'a');
      fed.update('b');
      assert.equal(fed.api.ended, 0);
      break;
    }
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1, 1]);
  });

  it('ends the spans of updates that were folded into one with that one', async () => {
    const fed = new Fed();
    const { loop } = fed;
    fed.update('a');
    fed.update('b');
    fed.update('a');
    const { value } = await loop.next();
    assert.equal(value.events.length, 2);
    assert.equal(fed.api.ended, 0);
    loop.next();
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1, 1, 1]);
  });

  it('ends the span of an update with the snapshot that took its place', async () => {
    const fed = new Fed();
    const { loop } = fed;
    fed.update('a');
    fed.snapshot(event('b', 9));
    assert.equal((await loop.next()).value.type, 'snapshot');
    assert.equal(fed.api.ended, 0);
    loop.next();
    assert.equal(fed.api.ended, 1);
  });

  it('ends the spans of updates that were too many with the one that is left', async () => {
    const fed = new Fed(undefined, { mode: 'every', maxBuffered: 2 });
    const { loop } = fed;
    for (let n = 0; n < 3; n += 1) fed.update();
    assert.equal((await loop.next()).value.reason, 'slow_consumer');
    assert.equal((await loop.next()).value.type, 'update');
    assert.equal(fed.api.ended, 0);
    loop.next();
    assert.deepEqual(fed.api.spans.map(({ ends }) => ends), [1, 1, 1]);
  });

  it('that stands still holds 128 spans at most, and others once it goes on', async () => {
    const fed = new Fed();
    const { loop } = fed;
    for (let n = 0; n < 200; n += 1) fed.update();
    assert.equal(fed.api.ended, 72);
    await loop.next();
    loop.next();
    assert.equal(fed.api.ended, 200);
    fed.update();
    assert.equal(fed.api.ended, 200);
  });
});
