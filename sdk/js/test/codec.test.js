/** Codec: held to the golden frames, plus what only this encoder decides. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { decode, encode } from '../src/codec.js';
import { vectors } from './vectors.js';

/** `actual` holds everything of `expected`; fields beyond it are allowed. */
function assertHolds(actual, expected, path = '$') {
  if (typeof expected !== 'object' || expected === null) return assert.deepEqual(actual, expected, path);
  assert.equal(Array.isArray(actual), Array.isArray(expected), path);
  if (Array.isArray(expected)) assert.equal(actual.length, expected.length, path);
  for (const [field, value] of Object.entries(expected)) assertHolds(actual[field], value, `${path}.${field}`);
}

describe('decode', () => {
  for (const file of ['server_frames.json', 'foreign_server_frames.json']) {
    for (const { name, frame, messages, fault } of vectors(file)) {
      it(`${file}: ${name}`, () => {
        if (fault) return assert.throws(() => decode(frame), { name: 'TidewireError', code: 'bad_frame' });
        const decoded = decode(frame);
        assertHolds(decoded, messages);
        decoded.forEach(({ id }, at) => assert.equal(id, messages[at].id));
      });
    }
  }

  it('does not take a name of Object for a type', () => {
    assert.deepEqual(decode('{"v":1,"type":"constructor","payload":{}}'), []);
  });
});

describe('encode', () => {
  const isOurs = ({ frame, messages, error }) => messages && !error && !Array.isArray(JSON.parse(frame));
  for (const { name, frame, messages } of vectors('client_frames.json').filter(isOurs)) {
    it(`client_frames.json: ${name}`, () => {
      const [{ type, id, payload }] = messages;
      const known = Object.entries(JSON.parse(frame).payload).filter(([field]) => field in payload);
      const [text, ...more] = encode([{ type, id, payload: Object.fromEntries(known) }]);
      const back = JSON.parse(text);
      assert.deepEqual(more, []);
      assert.equal(back.v, 1);
      assert.equal(back.type, type);
      assert.equal(back.id, id);
      for (const [field, value] of known) assertHolds(JSON.parse(JSON.stringify(value)), back.payload[field]);
    });
  }

  it('leaves out what is undefined', () => {
    const payload = { channel: 'flights', mode: undefined, since: undefined };
    assert.deepEqual(encode([{ type: 'subscribe', id: 2, payload }]), [
      '{"v":1,"type":"subscribe","id":2,"payload":{"channel":"flights"}}',
    ]);
  });

  it('puts several messages into one frame', () => {
    const [text, ...more] = encode([1, 2].map((sub) => ({ type: 'unsubscribe', id: sub, payload: { sub } })));
    assert.deepEqual(more, []);
    assert.deepEqual(JSON.parse(text).map(({ id }) => id), [1, 2]);
  });

  it('splits what one frame cannot hold, and keeps the order', () => {
    const offsets = Object.fromEntries(Array.from({ length: 1000 }, (_, p) => [p, 1_000_000 + p]));
    const message = (id) => ({ type: 'subscribe', id, payload: { channel: 'f', since: { epoch: 'e', offsets } } });
    const texts = encode(Array.from({ length: 20 }, (_, id) => message(id)));
    assert.ok(texts.length > 1);
    for (const text of texts) assert.ok(text.length <= 48_000, `${text.length}`);
    assert.deepEqual(texts.flatMap((text) => JSON.parse(text)).map(({ id }) => id), [...Array(20).keys()]);
  });

  it('makes no frame of nothing', () => {
    assert.deepEqual(encode([]), []);
  });
});
