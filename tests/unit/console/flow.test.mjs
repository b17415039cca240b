/** Sampled events, their stages, and the frames of this page that carried them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { core, flowRecord, START } from './core.mjs';

const { Arrivals, Flows, MAX_EVENTS, isWanted, sampledEvents } = await core('flows.js');
const { journey, scaleOf, whyUnknown } = await core('stages.js');

/** The only event of a record, and what the page knows of its frame. */
function travelled(record, arrival = null) {
  const flows = new Flows();
  flows.add([record]);
  return journey(flows.list[0], arrival);
}
const told = ({ stages }) => stages.map(({ id, ms }) => [id, ms]);

describe('flows', () => {
  it('are one line an event and flush, newest first', () => {
    const flows = new Flows();
    const two = flowRecord({ span: 'b'.repeat(16) });
    two.sampled = [two.sampled[0], { ...two.sampled[0], offset: 1043 }];
    flows.add([flowRecord(), two]);
    assert.deepEqual(flows.list.map(({ id }) => id), [`${'b'.repeat(16)}-3-1043`, `${'b'.repeat(16)}-3-1042`, '00f067aa0ba902b7-3-1042']);
    flows.add([two]);
    assert.equal(flows.list.length, 3);
    assert.equal(flows.get('00f067aa0ba902b7-3-1042').event.key, 'JFK/B6-704');
    assert.equal(flows.get('nobody'), null);
  });

  it('are 200 at most: the oldest leave', () => {
    const flows = new Flows();
    for (let n = 0; n < 300; n += 1) flows.add([flowRecord({}, { offset: n })]);
    assert.equal(flows.list.length, MAX_EVENTS);
    assert.deepEqual([flows.list[0].event.offset, flows.list.at(-1).event.offset, flows.count], [299, 100, 300]);
  });

  it('are chosen by channel, stream and key', () => {
    const flows = new Flows();
    flows.add([flowRecord()]);
    const wanted = (what) => isWanted(flows.list[0], what);
    assert.ok(wanted({}));
    assert.ok(wanted({ channel: 'flights/JFK', stream: 'flights', key: 'JFK/B6-704' }));
    assert.ok(!wanted({ channel: 'flights' }));
    assert.ok(!wanted({ stream: 'notices', key: 'JFK/B6-704' }));
    assert.ok(!wanted({ key: 'JFK/B6-705' }));
  });

  it('come without an event where the record names none', () => {
    const flows = new Flows();
    flows.add([flowRecord({ sampled: [] }), flowRecord({ sampled: undefined })]);
    assert.deepEqual(flows.list, []);
  });
});

describe('events', () => {
  const span = (n) => String(n).repeat(16);
  const ways = (events) => events.map((event) => event.ways.map(({ flow }) => flow.span[0]).join(''));
  const events = (records, isSeen = () => false) => {
    const flows = new Flows();
    flows.add(records);
    return sampledEvents(flows.list, isSeen);
  };

  it('are one, whatever feeds and nodes sent them, in the order of their newest way', () => {
    const other = flowRecord({ span: span(2) }, { offset: 1043 });
    const found = events([flowRecord({ span: span(1) }), other, flowRecord({ span: span(3), node: 'node-2', channel: 'flights' })]);
    assert.deepEqual(ways(found), ['31', '2']);
    assert.deepEqual(found.map(({ shown }) => shown.flow.span[0]), ['3', '2']);
    assert.equal(found[0].id, events([flowRecord({ span: span(9) })])[0].id, 'which ways are known does not matter to it');
  });

  it('are one though nodes gave them traces of their own', () => {
    assert.deepEqual(ways(events([flowRecord({ span: span(1) }), flowRecord({ span: span(2) }, { trace: 'a'.repeat(32) })])), ['21']);
  });

  it('differ in partition, offset and topic, and without an offset in trace and key', () => {
    const apart = (changes, event) => events([flowRecord({ span: span(1) }), flowRecord({ span: span(2), ...changes }, event)]).length;
    assert.equal(apart({}, {}), 1);
    assert.equal(apart({}, { partition: 4 }), 2);
    assert.equal(apart({ topic: 'notices' }, {}), 2);
    const pushes = (event) => events([flowRecord({ span: span(1) }, { offset: -1 }), flowRecord({ span: span(2) }, { offset: -1, ...event })]).length;
    assert.deepEqual([pushes({}), pushes({ trace: 'a'.repeat(32) }), pushes({ key: 'mia' })], [1, 2, 2]);
  });

  it('show the newest way, but rather one that this page has seen', () => {
    const records = [1, 2, 3].map((n) => flowRecord({ span: span(n) }));
    const [{ shown }] = events(records, ({ flow }) => flow.span !== span(3));
    assert.equal(shown.flow.span, span(2));
  });
});

describe('the memory of flows', () => {
  const span = (n) => n.toString(16).padStart(16, '0');

  it('holds as many events whether one feed sends them or three', () => {
    const flows = new Flows();
    for (let n = 0; n < 900; n += 1) flows.add([flowRecord({ span: span(n) }, { offset: Math.floor(n / 3) })]);
    assert.equal(sampledEvents(flows.list, () => false).length, MAX_EVENTS);
    assert.deepEqual([flows.list.length, flows.count], [3 * MAX_EVENTS, 300]);
  });

  it('is bounded though one event goes many ways, which it knows of one another', () => {
    const flows = new Flows();
    for (let n = 0; n < 2000; n += 1) flows.add([flowRecord({ span: span(n) })]);
    assert.deepEqual([flows.list.length, flows.count], [4 * MAX_EVENTS, 1]);
    const [newest] = flows.list;
    assert.equal(flows.waysOf(newest).length, flows.list.length);
    const old = { ...newest, id: 'that has left' };
    assert.equal(flows.waysOf(old).at(-1), old);
    flows.add([flowRecord({ span: span(9999) }, { offset: 7 })]);
    assert.deepEqual(flows.waysOf(flows.list[0]), [flows.list[0]]);
  });
});

describe('arrivals', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

  it('are found by the span of the frame, first arrival and first paint', () => {
    const arrivals = new Arrivals();
    assert.equal(arrivals.received(traceparent, 10), '00f067aa0ba902b7');
    arrivals.received(traceparent, 99);
    arrivals.painted(['00f067aa0ba902b7', 'unknown'], 20);
    arrivals.painted(['00f067aa0ba902b7'], 99);
    assert.deepEqual(arrivals.of('00f067aa0ba902b7'), { receivedAt: 10, paintedAt: 20 });
    assert.equal(arrivals.of('unknown'), null);
  });

  it('are found whatever the flags say: a flow may be told that no span records', () => {
    const arrivals = new Arrivals();
    for (const [n, flags] of ['00', '01', 'ff'].entries()) {
      const span = String(n + 1).repeat(16);
      assert.equal(arrivals.received(`00-4bf92f3577b34da6a3ce929d0e0e4736-${span}-${flags}`, n), span);
      assert.deepEqual(arrivals.of(span), { receivedAt: n, paintedAt: null });
    }
  });

  it('are none of frames that were not sampled', () => {
    const arrivals = new Arrivals();
    assert.equal(arrivals.received(undefined, 1), null);
    assert.equal(arrivals.received('nonsense', 1), null);
  });

  it('are bounded', () => {
    const arrivals = new Arrivals();
    const span = (n) => n.toString(16).padStart(16, '0');
    for (let n = 0; n <= 500; n += 1) arrivals.received(`00-${'a'.repeat(32)}-${span(n)}-01`, n);
    assert.equal(arrivals.of(span(0)), null);
    assert.deepEqual(arrivals.of(span(500)), { receivedAt: 500, paintedAt: null });
  });
});

describe('a journey', () => {
  it('goes from the record to the screen, each stage after the other', () => {
    const { stages, totalMs, isComplete, isSkewed } = travelled(flowRecord(), { receivedAt: START + 253, paintedAt: START + 266 });
    assert.deepEqual(stages.map(({ id, startMs, ms }) => [id, startMs, ms]), [
      ['broker', 0, 4.5], ['wait', 4.5, 246], ['write', 250.5, 0.5], ['network', 251, 2], ['browser', 253, 13],
    ]);
    assert.equal(stages[1].name, 'Wait for the flush');
    assert.deepEqual([totalMs, isComplete, isSkewed], [266, true, false]);
  });

  it('passes the router where there was one', () => {
    assert.deepEqual(told(travelled(flowRecord({}, { routed_at_ms: START + 2 }))).slice(0, 3), [['router', 2], ['broker', 2.5], ['wait', 246]]);
  });

  it('ends at the socket for frames that this page did not get, and waits for the paint of those it got', () => {
    const elsewhere = travelled(flowRecord());
    assert.deepEqual(told(elsewhere).slice(3), [['network', null], ['browser', null]]);
    assert.deepEqual([elsewhere.totalMs, elsewhere.isComplete], [251, false]);
    const unpainted = travelled(flowRecord(), { receivedAt: START + 253, paintedAt: null });
    assert.deepEqual(told(unpainted).slice(3), [['network', 2], ['browser', null]]);
    assert.equal(unpainted.isComplete, false);
  });

  it('counts as 0 what two clocks make negative, and says so', () => {
    const { stages, totalMs, isSkewed } = travelled(flowRecord(), { receivedAt: START + 200, paintedAt: START + 216 });
    assert.deepEqual(stages.filter((stage) => stage.isSkewed).map(({ id, ms }) => [id, ms]), [['network', 0]]);
    assert.deepEqual([totalMs, isSkewed], [267, true]);
    assert.equal(travelled(flowRecord({}, { ts_ms: START + 9 })).stages[0].isSkewed, true);
  });

  it('has a scale that reaches its end, and reasons for what is not known', () => {
    assert.deepEqual(scaleOf(251), { marks: [0, 100, 200, 300], end: 300 });
    assert.ok(scaleOf(0).end > 0);
    const page = { isWatched: true, hasArrived: false };
    assert.match(whyUnknown('network', { ...page, isWatched: false }), /watch/);
    assert.match(whyUnknown('browser', page), /did not get/);
    assert.match(whyUnknown('browser', { ...page, hasArrived: true }), /not in front/);
    assert.match(whyUnknown('broker', page), /not told/);
  });
});
