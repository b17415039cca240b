/** A WebSocket server whose replies the test writes itself, and waits with a deadline. */

import { WebSocketServer } from 'ws';

import { SUBPROTOCOL } from '../src/codes.js';

// Taken before any test puts fake timers in their place.
const { setTimeout, clearTimeout } = globalThis;
const DEADLINE_MS = 5000;

/** `promise`, or an error that names what did not come. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not come within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The next `name` of an emitter. */
export const next = (emitter, name) => within(new Promise((resolve) => emitter.once(name, resolve)), name);

/** First in, first out; a reader waits with a deadline. */
class Queue {
  #items = [];
  #readers = [];

  put(item) {
    const reader = this.#readers.shift();
    if (reader) reader(item);
    else this.#items.push(item);
  }

  get(what) {
    if (this.#items.length) return Promise.resolve(this.#items.shift());
    return within(new Promise((resolve) => this.#readers.push(resolve)), what);
  }

  get size() {
    return this.#items.length;
  }
}

/** One connection, seen from the server. */
export class Peer {
  /** What the client closed with. */
  closed;
  frames = 0;
  #socket;
  #messages = new Queue();

  constructor(socket) {
    this.#socket = socket;
    this.protocol = socket.protocol;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('message', (data) => {
      this.frames += 1;
      for (const message of [JSON.parse(data)].flat()) this.#messages.put(message);
    });
  }

  /** The client's next message, which must be of `type`. */
  async expect(type) {
    const message = await this.#messages.get(type);
    if (message.type !== type) throw new Error(`${JSON.stringify(message)} came instead of ${type}`);
    return message;
  }

  get unread() {
    return this.#messages.size;
  }

  get isOpen() {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  send(type, payload, id) {
    this.raw(JSON.stringify({ v: 1, type, id, payload }));
  }

  raw(data) {
    this.#socket.send(data);
  }

  close(code, reason = '') {
    this.#socket.close(code, reason);
  }

  kill() {
    this.#socket.terminate();
  }

  /** Take `hello`, answer `welcome`. */
  async welcome(payload = {}) {
    const hello = await this.expect('hello');
    this.send('welcome', { connection: 'c', node: 'n', ping_interval_ms: 1000, limits: {}, ...payload }, hello.id);
    return hello;
  }

  /** Take `subscribe`, answer `subscribed`. */
  async grant(payload = {}) {
    const { id, payload: asked } = await this.expect('subscribe');
    this.subscribed(id, { channel: asked.channel, mode: asked.mode, ...payload });
    return asked;
  }

  subscribed(id, payload = {}) {
    const position = { epoch: 'e', offsets: { 0: 0 } };
    const defaults = { sub: 7, channel: 'flights', mode: 'latest', interval_ms: 0, position, recovered: 'none' };
    const given = Object.fromEntries(Object.entries(payload).filter(([, value]) => value !== undefined));
    this.send('subscribed', { ...defaults, ...given }, id);
  }

  snapshot(sub, offset, ...events) {
    this.send('snapshot', { sub, position: { epoch: 'e', offsets: { 0: offset } }, events });
  }

  updates(sub, offset, ...events) {
    this.send('updates', { sub, position: { epoch: 'e', offsets: { 0: offset } }, events, coalesced: 0 });
  }
}

export const event = (key, offset) => ({ key, data: `${key}${offset}`, ts: 1, offset: [0, offset] });

export class TestServer {
  #server;
  #peers = new Queue();

  static async start() {
    const server = new TestServer();
    server.#server = new WebSocketServer({
      port: 0,
      host: '127.0.0.1',
      handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
    });
    server.#server.on('connection', (socket) => server.#peers.put(new Peer(socket)));
    await within(new Promise((resolve) => server.#server.once('listening', resolve)), 'the server');
    server.url = `ws://127.0.0.1:${server.#server.address().port}/v1/ws`;
    return server;
  }

  /** The next connection. */
  peer() {
    return this.#peers.get('a connection');
  }

  /** Connections that nobody asked for yet. */
  get waiting() {
    return this.#peers.size;
  }

  async stop() {
    for (const socket of this.#server.clients) socket.terminate();
    await within(new Promise((resolve) => this.#server.close(resolve)), 'the end of the server');
  }
}
