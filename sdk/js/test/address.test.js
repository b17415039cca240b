/** Addresses. */

import assert from 'node:assert/strict';
import { it } from 'node:test';

import { moveTarget, socketUrl } from '../src/address.js';

it('takes paths and http addresses', () => {
  assert.equal(socketUrl('/v1/ws', 'https://example.org/board#top'), 'wss://example.org/v1/ws');
  assert.equal(socketUrl('http://127.0.0.1:8080/v1/ws'), 'ws://127.0.0.1:8080/v1/ws');
  assert.equal(socketUrl('wss://example.org/v1/ws#x'), 'wss://example.org/v1/ws');
  assert.throws(() => socketUrl('/v1/ws'), TypeError);
});

it('moves where a goaway says, but from an encrypted address to no plain one', () => {
  assert.equal(moveTarget('wss://a/v1/ws', 'wss://b/v1/ws'), 'wss://b/v1/ws');
  assert.equal(moveTarget('wss://a/v1/ws', '/v2/ws'), 'wss://a/v2/ws');
  assert.equal(moveTarget('wss://a/v1/ws', 'ws://b/v1/ws'), 'wss://a/v1/ws');
  assert.equal(moveTarget('ws://a/v1/ws', 'ws://b/v1/ws'), 'ws://b/v1/ws');
  assert.equal(moveTarget('ws://a/v1/ws', undefined), 'ws://a/v1/ws');
});
