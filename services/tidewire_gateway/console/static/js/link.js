/** The page's one connection: the system's own streams, and the channels that the operator looks at. */

import { Tidewire } from '../sdk/tidewire.js';

import { Looking } from './looking.js';

/** @import {FlowRecord, SystemRecord, WireRecord} from './core/records.d.ts' */

/**
 * @typedef {object} Handlers
 * @property {(events: WireRecord<SystemRecord>[]) => void} onTable
 * @property {(events: WireRecord<SystemRecord>[]) => void} onSystem
 * @property {(records: FlowRecord[]) => void} onFlows
 * @property {(channel: string, update: Frame) => void} onFrame of a channel that is looked at
 * @property {(channel: string, state: ChannelState) => void} onChannel
 * @property {(isMove: boolean) => void} onConnected
 * @property {() => void} onState
 */
/** @typedef {{events: any[], traceparent?: string, receivedAt?: number}} Frame */
/** @typedef {{state: 'waiting' | 'live' | 'stale' | 'lagging' | 'refused', text: string}} ChannelState */

export const SYSTEM = 'tidewire.system';
export const FLOWS = 'tidewire.flows';
const WATCH_INTERVAL_MS = 250;
const SYSTEM_INTERVAL_MS = 500;
const FLOWS_INTERVAL_MS = 250;

export class Link {
  /** Node that serves us. */
  node = '';
  /** Why it ended for good, or null. @type {string | null} */
  refusal = null;
  /** What the feed of `tidewire.system` says of itself. @type {'live' | 'stale' | 'lagging'} */
  feedState = 'stale';
  /** Since when it has been so (monotonic ms); NaN until the node has said so. */
  feedSince = NaN;
  #client;
  #handlers;
  /** @type {any} */
  #flows = null;
  #looking;

  /** @param {string} url @param {Handlers} handlers */
  constructor(url, handlers) {
    this.#handlers = handlers;
    this.#client = new Tidewire(url, { client: 'tidewire-console/1' });
    this.#looking = new Looking({
      // Without a snapshot: of a large table only what changes from now on is of interest here.
      subscribe: (channel) => this.#client.subscribe(channel, { mode: 'latest', intervalMs: WATCH_INTERVAL_MS, snapshot: false }),
      onChannel: handlers.onChannel,
      onFrame: handlers.onFrame,
    });
    this.#client.on('connected', ({ node, isMove }) => {
      this.node = node;
      this.refusal = null;
      handlers.onConnected(isMove);
      handlers.onState();
    });
    this.#client.on('state', () => handlers.onState());
    this.#client.on('disconnected', ({ code, reason, isPermanent }) => {
      this.refusal = isPermanent ? reason || `close code ${code}` : null;
      handlers.onState();
    });
  }

  start() {
    const system = this.#client.subscribe(SYSTEM, { mode: 'latest', intervalMs: SYSTEM_INTERVAL_MS });
    system.on('snapshot', ({ events }) => this.#handlers.onTable(events));
    system.on('update', ({ events }) => this.#handlers.onSystem(events));
    system.on('status', ({ state, ageMs }) => {
      this.feedState = state;
      this.feedSince = ageMs === null ? NaN : performance.now() - ageMs;
      this.#handlers.onState();
    });
    system.on('unsubscribed', ({ code, reason }) => {
      this.refusal = `${SYSTEM}: ${reason || code}`;
      this.#handlers.onState();
    });
    this.#client.connect();
  }

  /** @returns {'disconnected' | 'connecting' | 'connected'} */
  get state() {
    return this.#client.state;
  }

  retry() {
    this.refusal = null;
    this.#client.connect();
  }

  /** Read the flows from now on. */
  readFlows() {
    if (this.#flows) return;
    this.#flows = this.#client.subscribe(FLOWS, { mode: 'every', intervalMs: FLOWS_INTERVAL_MS });
    this.#flows.on('update', (/** @type {Frame} */ { events }) => this.#handlers.onFlows(events.flatMap(({ data }) => (data ? [data] : []))));
  }

  /** See `Looking`. @param {string} who @param {string | null} channel */
  look(who, channel) {
    this.#looking.look(who, channel);
  }
}
