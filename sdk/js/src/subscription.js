/** One client's interest in one channel, as the application holds it. */

import { Batches } from './batches.js';
import { Emitter } from './emitter.js';
import { TidewireError } from './errors.js';
import { Reception } from './reception.js';

/** @import {Receipt, Tracing} from './tracing.js' */
/** @import {Subscription as Api, SubscriptionEvents, SubscribeOptions, FeedState, Item, ServerMessage} from './types.d.ts' */

/**
 * @typedef {object} Host
 * @property {(subscription: Subscription) => void} change what was asked for has changed
 * @property {(subscription: Subscription) => void} drop it is over
 * @property {Tracing} [tracing]
 */

/** @extends {Emitter<SubscriptionEvents>} @implements {Api} */
export class Subscription extends Emitter {
  /** @type {'subscribing' | 'subscribed' | 'unsubscribed'} */
  phase = 'subscribing';
  /** @type {FeedState} */
  feedState = 'stale';
  /** @type {number | null} */
  intervalMs = null;
  received = 0;
  coalesced = 0;
  frames = 0;
  bytes = 0;
  /** What the application asked for, granted or not. @type {{intervalMs?: number, paused: boolean}} */
  _wanted;
  /** Attempts refused in a row. */
  _refusals = 0;
  /** The session whose frames count. @type {{generation: number} | null} */
  _source = null;
  #reception;
  #options;
  #host;
  /** @type {Set<Batches>} */
  #readers = new Set();

  /**
   * @param {string} channel
   * @param {SubscribeOptions} options
   * @param {Host} host
   */
  constructor(channel, options, host) {
    super();
    this.channel = channel;
    this.#options = options;
    this.#host = host;
    this._wanted = { intervalMs: options.intervalMs, paused: false };
    this.#reception = new Reception({
      mode: options.mode,
      snapshot: options.snapshot ?? true,
      since: options.since ?? null,
      keepState: options.keepState ?? false,
      maxKeys: options.maxKeys ?? 100_000,
    });
  }

  get mode() {
    return this.#reception.mode;
  }

  get state() {
    return this.#reception.table.rows;
  }

  get position() {
    return this.#reception.position;
  }

  get duplicates() {
    return this.#reception.duplicates;
  }

  /** @param {{intervalMs?: number, paused?: boolean}} change */
  update(change) {
    if (this.phase === 'unsubscribed') return;
    Object.assign(this._wanted, change);
    this.#host.change(this);
  }

  unsubscribe() {
    this._end({ code: 'requested', reason: 'the application unsubscribed' });
  }

  /** @returns {AsyncIterableIterator<Item>} */
  [Symbol.asyncIterator]() {
    const reader = new Batches(this.#options.maxBuffered ?? 10_000, (left) => this.#readers.delete(left));
    if (this.phase === 'unsubscribed') reader.finish(null);
    else this.#readers.add(reader);
    return reader;
  }

  /** Payload of its `subscribe`, resuming where there is something to resume. */
  _request() {
    const { mode, snapshot } = this.#options;
    return {
      channel: this.channel,
      mode,
      interval_ms: this._wanted.intervalMs,
      snapshot: snapshot === false ? false : undefined,
      since: this.position ?? undefined,
    };
  }

  /**
   * The server's `subscribed`, in answer to `subscribe` or, with `isMove`, to `update_subscription`.
   *
   * @param {{generation: number}} source
   * @param {ServerMessage['payload']} payload
   * @param {boolean} isMove
   */
  _subscribed(source, payload, isMove) {
    this._source = source;
    this._refusals = 0;
    this.phase = 'subscribed';
    this.intervalMs = payload.interval_ms ?? null;
    const gap = this.#reception.subscribed(payload, isMove);
    const { channel, mode, intervalMs } = this;
    const { position, recovered, gap: missing, reason } = payload;
    this._emit('subscribed', { channel, mode, intervalMs, position, recovered, gap: missing, reason });
    if (gap) this.#hand(gap);
    this.#feed('live', 0);
  }

  /**
   * @param {ServerMessage} message
   * @param {number} size characters of its share of the frame
   * @param {number} receivedAt
   */
  _receive({ type, payload }, size, receivedAt) {
    this.frames += 1;
    this.bytes += size;
    if (type === 'status') return this.#feed(payload.state, payload.age_ms ?? null);
    const receipt = (type === 'updates' && this.#host.tracing?.begin(this.channel, payload, receivedAt)) || null;
    const { table } = this.#reception;
    const evicted = table.evicted;
    const item = this.#interpret(type, payload, receivedAt);
    if (table.evicted > evicted && evicted === 0) this._emit('error', viewFull(this.channel));
    if (item && receipt) receipt.within(() => this.#hand(item, receipt));
    else if (item) this.#hand(item);
    receipt?.release();
  }

  /** @param {TidewireError} error */
  _failed(error) {
    this._emit('error', error);
  }

  /** The connection that fed it is gone; it resumes on the next. */
  _lost() {
    this._source = null;
    this.#reception.dropParts();
    if (this.phase === 'unsubscribed') return;
    this.phase = 'subscribing';
    this.#feed('stale', null);
  }

  /** @param {{code: string, reason: string}} why @param {TidewireError | null} [error] */
  _end({ code, reason }, error = null) {
    if (this.phase === 'unsubscribed') return;
    this.phase = 'unsubscribed';
    this.#host.drop(this);
    this._source = null;
    for (const reader of this.#readers) reader.finish(error);
    this.#readers.clear();
    this._emit('unsubscribed', { code, reason });
  }

  /** @param {string} type @param {ServerMessage['payload']} payload @param {number} receivedAt @returns {Item | null} */
  #interpret(type, payload, receivedAt) {
    if (type === 'snapshot') return this.#reception.snapshot(payload);
    if (type === 'gap') return this.#reception.gap(payload.gap, payload.reason);
    this.coalesced += payload.coalesced ?? 0;
    return this.#reception.updates(payload, receivedAt);
  }

  /** @param {Item} item @param {Receipt | null} [receipt] */
  #hand(item, receipt = null) {
    if (item.type !== 'gap') this.received += item.events.length;
    for (const reader of this.#readers) reader.push(item, this.mode, receipt);
    if (item.type === 'snapshot') this._emit('snapshot', item);
    else if (item.type === 'update') this._emit('update', item);
    else this._emit('gap', item);
  }

  /** @param {FeedState} state @param {number | null} ageMs */
  #feed(state, ageMs) {
    if (state === this.feedState && state === 'live') return;
    this.feedState = state;
    this._emit('status', { state, ageMs });
  }
}

/** @param {string} channel */
const viewFull = (channel) =>
  new TidewireError(
    'view_full',
    `the view of ${channel} is full and drops its oldest keys; raise maxKeys, or subscribe to a group`,
  );
