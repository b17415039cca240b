/** The last sampled events, and when this page had the frames that carried them. Bounded, pure. */

/** @import {FlowRecord, SampledEvent} from './records.d.ts' */

/** One sampled event in one flush. @typedef {{id: string, flow: FlowRecord, event: SampledEvent}} Flow */
/**
 * One sampled event, and every flush that carried or has folded it: one for each feed and node.
 *
 * @typedef {{id: string, ways: Flow[], shown: Flow}} Sampled `ways` newest first, `shown` one of them
 */
/**
 * When this page had a frame (Unix ms); `paintedAt` null until a frame with it was painted.
 *
 * @typedef {{receivedAt: number, paintedAt: number | null}} Arrival
 */
/** @typedef {{channel?: string | null, stream?: string | null, key?: string | null}} Wanted */

/** Events; of what their feeds and nodes tell of them some ways are kept for each. */
export const MAX_EVENTS = 200;
const MAX_WAYS_PER_EVENT = 4;
const MAX_ARRIVALS = 500;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/;

export class Flows {
  /** Newest first. @type {Flow[]} */
  list = [];
  /** How many events ever came, whatever their ways. */
  count = 0;

  /** @param {FlowRecord[]} records oldest first */
  add(records) {
    const known = new Set(this.list.map(({ id }) => id));
    const events = new Set(this.list.map(eventId));
    for (const flow of records) {
      for (const event of flow.sampled ?? []) {
        const id = flowId(flow.span, event.partition, event.offset);
        if (known.has(id)) continue;
        known.add(id);
        const added = { id, flow, event };
        if (!events.has(eventId(added))) this.count += 1;
        events.add(eventId(added));
        this.list.unshift(added);
      }
    }
    this.#dropOldest();
  }

  /** Those that are known of its event, newest first, and itself. @param {Flow} flow */
  waysOf(flow) {
    const ways = this.list.filter((other) => eventId(other) === eventId(flow));
    return ways.some(({ id }) => id === flow.id) ? ways : [...ways, flow];
  }

  #dropOldest() {
    const events = new Set();
    const end = this.list.findIndex((flow, n) => events.add(eventId(flow)).size > MAX_EVENTS || n >= MAX_EVENTS * MAX_WAYS_PER_EVENT);
    if (end >= 0) this.list.length = end;
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
   * A frame came; returns its span, or null where no flow is told of it. Its flags do not matter: a flow may have no span.
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

/**
 * One entry an event, in the order of its newest way. It shows that, but rather one that this page has seen.
 *
 * @param {Flow[]} flows newest first
 * @param {(flow: Flow) => boolean} isSeen
 * @returns {Sampled[]}
 */
export function sampledEvents(flows, isSeen) {
  /** @type {Map<string, Flow[]>} */
  const ways = new Map();
  for (const flow of flows) {
    const id = eventId(flow);
    const known = ways.get(id);
    if (known) known.push(flow);
    else ways.set(id, [flow]);
  }
  return [...ways].map(([id, all]) => ({ id, ways: all, shown: all.find(isSeen) ?? all[0] }));
}

/**
 * The same for each way of an event. Its place in Kafka says which it is: where nobody samples it, each node follows it in a trace of its own.
 *
 * @param {Flow} flow
 */
export const eventId = ({ flow: { topic }, event: { trace, key, partition, offset } }) =>
  offset < 0 ? `${topic} ${trace} ${key}` : `${topic} ${partition} ${offset}`;

/** @param {Flow} flow @param {Wanted} wanted what is null or absent does not matter */
export const isWanted = ({ flow, event }, { channel, stream, key }) =>
  (channel == null || flow.channel === channel) && (stream == null || flow.stream === stream) && (key == null || event.key === key);
