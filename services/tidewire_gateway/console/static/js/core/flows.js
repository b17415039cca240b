/** The last sampled events, and when this page had the frames that carried them. Bounded, pure. */

/** @import {FlowRecord, SampledEvent} from './records.d.ts' */

/** One sampled event in one flush. @typedef {{id: string, flow: FlowRecord, event: SampledEvent}} Flow */
/**
 * When this page had a frame (Unix ms); `paintedAt` null until a frame with it was painted.
 *
 * @typedef {{receivedAt: number, paintedAt: number | null}} Arrival
 */
/** @typedef {{channel?: string | null, stream?: string | null, key?: string | null}} Wanted */

export const MAX_FLOWS = 200;
const MAX_ARRIVALS = 500;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/;

export class Flows {
  /** Newest first. @type {Flow[]} */
  list = [];
  /** How many ever came. */
  count = 0;
  #most;

  constructor(most = MAX_FLOWS) {
    this.#most = most;
  }

  /** @param {FlowRecord[]} records oldest first */
  add(records) {
    const known = new Set(this.list.map(({ id }) => id));
    for (const flow of records) {
      for (const event of flow.sampled ?? []) {
        const id = flowId(flow.span, event.partition, event.offset);
        if (known.has(id)) continue;
        known.add(id);
        this.list.unshift({ id, flow, event });
        this.count += 1;
      }
    }
    this.list.length = Math.min(this.list.length, this.#most);
  }

  /** @param {string} id */
  get(id) {
    return this.list.find((flow) => flow.id === id) ?? null;
  }
}

export class Arrivals {
  /** By span. @type {Map<string, Arrival>} */
  #arrivals = new Map();

  /**
   * A frame came; returns its span, or null where it was not sampled.
   *
   * @param {string | undefined} traceparent
   * @param {number} receivedAt
   */
  received(traceparent, receivedAt) {
    const span = TRACEPARENT.exec(traceparent ?? '')?.[2] ?? null;
    if (span === null || this.#arrivals.has(span)) return span;
    this.#arrivals.set(span, { receivedAt, paintedAt: null });
    if (this.#arrivals.size > MAX_ARRIVALS) this.#arrivals.delete(/** @type {string} */ (this.#arrivals.keys().next().value));
    return span;
  }

  /** @param {string[]} spans @param {number} at */
  painted(spans, at) {
    for (const span of spans) {
      const arrival = this.#arrivals.get(span);
      if (arrival && arrival.paintedAt === null) this.#arrivals.set(span, { ...arrival, paintedAt: at });
    }
  }

  /** @param {string} span */
  of(span) {
    return this.#arrivals.get(span) ?? null;
  }
}

/** @param {string} span @param {number} partition @param {number} offset */
export const flowId = (span, partition, offset) => `${span}-${partition}-${offset}`;

/** @param {Flow} flow @param {Wanted} wanted what is null or absent does not matter */
export const isWanted = ({ flow, event }, { channel, stream, key }) =>
  (channel == null || flow.channel === channel) && (stream == null || flow.stream === stream) && (key == null || event.key === key);
