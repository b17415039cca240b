/** Spans for updates that come traced, made with OpenTelemetry's API as the application hands it in. */

import { now } from './clock.js';
import { TidewireError } from './errors.js';

/** @import {OpenTelemetry, ServerMessage} from './types.d.ts' */

/** W3C trace context, and sampled. */
const SAMPLED = /^(?!ff)(?!00.{54})[\da-f]{2}-(?!0{32})([\da-f]{32})-(?!0{16})([\da-f]{16})-[\da-f][13579bdf](-.*)?$/;
/** The API's `SpanKind.CONSUMER`. */
const CONSUMER = 4;

/** Whatever the API throws costs spans and is told once, by `onFault`; it never reaches who delivers. */
export class Tracing {
  #api;
  #version;
  #onFault;
  #hasFailed = false;
  /** @type {any} */
  #tracer;

  /**
   * @param {OpenTelemetry} api
   * @param {string} version of this package
   * @param {(error: TidewireError) => void} onFault
   */
  constructor(api, version, onFault) {
    if (typeof api.trace?.getTracer !== 'function') {
      throw new TypeError("opentelemetry must be the API: import * as api from '@opentelemetry/api'");
    }
    this.#api = api;
    this.#version = version;
    this.#onFault = onFault;
  }

  /**
   * The span of an `updates` message; null where its sender did not sample it.
   *
   * @param {string} channel
   * @param {ServerMessage['payload']} payload
   * @param {number} receivedAt
   * @returns {Receipt | null}
   */
  begin(channel, { traceparent, events }, receivedAt) {
    const [, traceId, spanId] = SAMPLED.exec(traceparent) ?? [];
    if (!traceId) return null;
    return this.attempt(() => {
      const { trace, ROOT_CONTEXT } = this.#api;
      this.#tracer ??= trace.getTracer('tidewire', this.#version);
      const stream = channel.split('/', 1)[0];
      const options = {
        kind: CONSUMER,
        startTime: receivedAt,
        attributes: {
          'messaging.system': 'tidewire',
          'messaging.operation.name': 'receive',
          'messaging.operation.type': 'process',
          'messaging.destination.name': channel,
          'messaging.destination.template': stream,
          'messaging.batch.message_count': events.length,
        },
      };
      const parent = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: 1, isRemote: true });
      const span = this.#tracer.startSpan(`receive ${stream}`, options, parent);
      return new Receipt(this, span, parent, receivedAt);
    });
  }

  /**
   * Call `deliver`, once, with `span` as the active one if the API has a context.
   *
   * @param {any} span
   * @param {any} parent its parent's context
   * @param {() => void} deliver must not throw
   */
  within(span, parent, deliver) {
    const { trace, context } = this.#api;
    let isDelivered = false;
    const once = () => {
      isDelivered = true;
      deliver();
    };
    this.attempt(() => context?.with?.(trace.setSpan?.(parent, span), once));
    if (!isDelivered) deliver();
  }

  /** What `call` returns; null where it throws. @template T @param {() => T} call @returns {T | null} */
  attempt(call) {
    try {
      return call();
    } catch (cause) {
      const isFirst = !this.#hasFailed;
      this.#hasFailed = true;
      if (isFirst) this.#onFault(new TidewireError('tracing', `OpenTelemetry failed: ${cause}`, { cause }));
      return null;
    }
  }
}

/** A span that ends when everybody who held it, the one who began it included, has released it. */
export class Receipt {
  #tracing;
  #span;
  #parent;
  #receivedAt;
  #holders = 1;

  /** @param {Tracing} tracing @param {any} span @param {any} parent @param {number} receivedAt */
  constructor(tracing, span, parent, receivedAt) {
    this.#tracing = tracing;
    this.#span = span;
    this.#parent = parent;
    this.#receivedAt = receivedAt;
  }

  /** @param {() => void} deliver must not throw */
  within(deliver) {
    this.#tracing.within(this.#span, this.#parent, deliver);
  }

  hold() {
    this.#holders += 1;
    return this;
  }

  release() {
    this.#holders -= 1;
    if (this.#holders === 0) this.#tracing.attempt(() => this.#span.end(Math.max(this.#receivedAt, now())));
  }
}
