/** The protocol on one connection: hello, requests and their replies, subscriptions by number. */

import { backoffMs } from './backoff.js';
import { now } from './clock.js';
import { decode, encode } from './codec.js';
import { SUBPROTOCOL, isPassing } from './codes.js';
import { Connection } from './connection.js';
import { TidewireError } from './errors.js';

/** @import {Subscription} from './subscription.js' */
/** @import {WebSocketClass} from './connection.js' */
/** @import {ServerMessage} from './types.d.ts' */

/** @typedef {Record<string, any>} Payload */

/**
 * @typedef {object} SessionOptions
 * @property {WebSocketClass} WebSocket
 * @property {number} connectTimeoutMs
 * @property {number} requestTimeoutMs
 * @property {number} minDelayMs
 * @property {number} maxDelayMs
 * @property {() => number} random
 * @property {number} generation of two sessions that hold a subscription the later one counts
 */

/**
 * @typedef {object} SessionHost
 * @property {(session: Session, welcome: Payload) => void} onWelcome
 * @property {(session: Session) => void} onSteady
 * @property {(session: Session) => void} onAnswered every subscription has its answer
 * @property {(session: Session, goaway: Payload) => void} onGoaway
 * @property {(session: Session, error: TidewireError) => void} onError of the whole connection
 * @property {(session: Session, close: {code: number, reason: string}) => void} onClose
 */

/** @typedef {{sub: number, intervalMs?: number, paused: boolean, isMoving: boolean}} Attachment */

export class Session {
  /** The server's `welcome`, once it came. @type {Payload | null} */
  welcome = null;
  /** That it is to be left, once the server said so. @type {Payload | null} */
  goaway = null;
  /** Whether a subscription listens here and no longer elsewhere. */
  hasTakenOver = false;
  generation;
  #isOver = false;
  #connection;
  #options;
  #host;
  #nextId = 1;
  /** @type {{type: string, id: number, payload: Payload}[]} */
  #outbox = [];
  /** @type {Map<number, {settle: (error: TidewireError | null, payload: Payload) => void, timer: ReturnType<typeof setTimeout>}>} */
  #requests = new Map();
  /** @type {Set<Subscription>} subscriptions without an answer yet */
  #pending = new Set();
  /** @type {Map<Subscription, ReturnType<typeof setTimeout>>} refused, to be asked for again */
  #refused = new Map();
  /** @type {Map<Subscription, Attachment>} */
  #attachments = new Map();
  /** @type {Map<number, Subscription>} */
  #bySub = new Map();

  /**
   * @param {string} url
   * @param {Payload} hello
   * @param {SessionOptions} options
   * @param {SessionHost} host
   */
  constructor(url, hello, options, host) {
    this.#options = options;
    this.#host = host;
    this.generation = options.generation;
    const { WebSocket, connectTimeoutMs: timeoutMs } = options;
    this.#connection = new Connection(url, { WebSocket, protocol: SUBPROTOCOL, timeoutMs }, {
      onOpen: () => this.request('hello', hello, (error, welcome) => this.#greeted(error, welcome)),
      onText: (text) => this.#read(text),
      onSteady: () => host.onSteady(this),
      onClose: (close) => {
        this.#release();
        host.onClose(this, close);
      },
    });
  }

  /**
   * Messages of one turn share a frame. `settle` is called once, unless the session ends before.
   *
   * @param {string} type
   * @param {Payload} payload
   * @param {(error: TidewireError | null, payload: Payload) => void} settle
   */
  request(type, payload, settle) {
    if (this.#isOver) return;
    const id = this.#nextId++;
    const { requestTimeoutMs } = this.#options;
    const timer = setTimeout(
      () => this.#connection.fail(1006, `no answer to ${type} within ${requestTimeoutMs} ms`),
      requestTimeoutMs,
    );
    this.#requests.set(id, { settle, timer });
    if (this.#outbox.push({ type, id, payload }) === 1) queueMicrotask(() => this.#flush());
  }

  /** Whether every subscription that was asked for has its answer. */
  get isAnswered() {
    return this.#pending.size === 0;
  }

  /** Bring the server to what the application wants of this subscription. @param {Subscription} subscription */
  reconcile(subscription) {
    const attachment = this.#attachments.get(subscription);
    if (!attachment) return this.#attach(subscription);
    const { intervalMs, paused } = subscription._wanted;
    const change = {
      interval_ms: intervalMs === attachment.intervalMs ? undefined : intervalMs,
      paused: paused === attachment.paused ? undefined : paused,
    };
    const isDue = change.interval_ms !== undefined || change.paused !== undefined;
    if (!isDue || attachment.isMoving) return;
    attachment.isMoving = true;
    this.request('update_subscription', { sub: attachment.sub, ...change }, (error, payload) => {
      attachment.isMoving = false;
      const granted = { ...attachment, intervalMs, paused };
      if (error) this.#stayed(subscription, attachment, granted, error);
      else this.#moved(subscription, granted, payload);
    });
  }

  /** @param {Subscription} subscription */
  detach(subscription) {
    clearTimeout(this.#refused.get(subscription));
    this.#refused.delete(subscription);
    const attachment = this.#attachments.get(subscription);
    if (!attachment || attachment.isMoving) return; // its answer finds it ended, with the number to use
    this.#forget(subscription, attachment);
    this.#unsubscribe(attachment.sub);
  }

  close() {
    this.#release();
    this.#connection.close();
  }

  /** @param {TidewireError | null} error @param {Payload} welcome */
  #greeted(error, welcome) {
    if (error) return this.#host.onError(this, error); // the server closes, or the deadline does
    this.welcome = welcome;
    this.#connection.watch(welcome.ping_interval_ms > 0 ? welcome.ping_interval_ms : 25_000);
    this.#host.onWelcome(this, welcome);
  }

  /** @param {Subscription} subscription */
  #attach(subscription) {
    if (subscription._wanted.paused || this.#pending.has(subscription)) return;
    clearTimeout(this.#refused.get(subscription));
    this.#refused.delete(subscription);
    this.#pending.add(subscription);
    const asked = { ...subscription._wanted };
    this.request('subscribe', subscription._request(), (error, payload) => {
      this.#pending.delete(subscription);
      if (error) this.#refusedWith(subscription, error);
      else this.#moved(subscription, { ...asked, sub: NaN, isMoving: false }, payload, false);
      if (this.isAnswered) this.#host.onAnswered(this);
    });
  }

  /**
   * @param {Subscription} subscription
   * @param {Attachment} attachment
   * @param {Payload} payload
   */
  #moved(subscription, attachment, payload, isMove = true) {
    this.#forget(subscription, attachment);
    if (subscription.phase === 'unsubscribed') return this.#unsubscribe(payload.sub);
    this.#attachments.set(subscription, { ...attachment, sub: payload.sub, isMoving: false });
    this.#bySub.set(payload.sub, subscription);
    if ((subscription._source?.generation ?? 0) > this.generation) return; // it has moved on
    this.hasTakenOver = true;
    subscription._subscribed(this, payload, isMove);
    this.reconcile(subscription);
  }

  /**
   * A change was refused: what was asked for meanwhile still counts.
   *
   * @param {Subscription} subscription
   * @param {Attachment} attachment
   * @param {Attachment} refused
   * @param {TidewireError} error
   */
  #stayed(subscription, attachment, refused, error) {
    if (subscription.phase === 'unsubscribed') return this.detach(subscription);
    const wanted = subscription._wanted;
    if (wanted.intervalMs === refused.intervalMs) wanted.intervalMs = attachment.intervalMs;
    if (wanted.paused === refused.paused) wanted.paused = attachment.paused;
    subscription._failed(error);
    this.reconcile(subscription);
  }

  /** @param {Subscription} subscription @param {TidewireError} error */
  #refusedWith(subscription, error) {
    if (subscription.phase === 'unsubscribed') return;
    subscription._failed(error);
    if (!isPassing(error)) return subscription._end({ code: error.code, reason: error.message }, error);
    const { random } = this.#options;
    const delay = backoffMs(subscription._refusals++, random(), this.#options, error.retryAfterMs);
    this.#refused.set(subscription, setTimeout(() => this.#attach(subscription), delay));
  }

  /** @param {number} sub */
  #unsubscribe(sub) {
    this.request('unsubscribe', { sub }, () => {});
  }

  /** @param {Subscription} subscription @param {Attachment} attachment */
  #forget(subscription, { sub }) {
    this.#attachments.delete(subscription);
    if (this.#bySub.get(sub) === subscription) this.#bySub.delete(sub);
  }

  /** @param {string} text */
  #read(text) {
    const receivedAt = now();
    let messages;
    try {
      messages = decode(text);
    } catch (error) {
      this.#host.onError(this, /** @type {TidewireError} */ (error));
      return this.#connection.fail(1006, /** @type {TidewireError} */ (error).message);
    }
    const size = Math.round(text.length / messages.length);
    for (const message of messages) this.#dispatch(message, size, receivedAt);
  }

  /** @param {ServerMessage} message @param {number} size @param {number} receivedAt */
  #dispatch(message, size, receivedAt) {
    const { type, id, payload } = message;
    const request = id === undefined ? undefined : this.#requests.get(id);
    const error = type === 'error' ? readError(payload) : null;
    if (request && id !== undefined) {
      clearTimeout(request.timer);
      this.#requests.delete(id);
      request.settle(error, payload);
    } else if (error) this.#host.onError(this, error);
    else if (type === 'goaway') this.#host.onGoaway(this, payload);
    else if (type === 'status' && payload.sub === undefined) {
      for (const subscription of this.#attachments.keys()) this.#deliver(subscription, message, 0, receivedAt);
    } else this.#deliver(this.#bySub.get(payload.sub), message, size, receivedAt);
  }

  /**
   * @param {Subscription | undefined} subscription
   * @param {ServerMessage} message
   * @param {number} size
   * @param {number} receivedAt
   */
  #deliver(subscription, message, size, receivedAt) {
    if (subscription?._source !== this) return;
    if (message.type === 'unsubscribed') return this.#expelled(subscription, message.payload);
    subscription._receive(message, size, receivedAt);
  }

  /** @param {Subscription} subscription @param {Payload} payload */
  #expelled(subscription, { sub, code = 'unsubscribed', reason = '' }) {
    this.#attachments.delete(subscription);
    this.#bySub.delete(sub);
    const error = new TidewireError(code, reason || `the server ended ${subscription.channel}`);
    subscription._failed(error);
    subscription._end({ code, reason }, error);
  }

  #flush() {
    const messages = this.#outbox.splice(0);
    for (const text of encode(messages)) this.#connection.send(text);
  }

  #release() {
    this.#isOver = true;
    for (const { timer } of this.#requests.values()) clearTimeout(timer);
    for (const timer of this.#refused.values()) clearTimeout(timer);
    this.#requests.clear();
    this.#refused.clear();
  }
}

/** @param {Payload} payload */
const readError = ({ code, message, retry_after_ms: retryAfterMs }) =>
  new TidewireError(code, message ?? code, { retryAfterMs: retryAfterMs ?? undefined });
