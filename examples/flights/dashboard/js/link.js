/** The page's subscriptions: flights of the chosen airport, notices, and the replay's clock. */

import { Tidewire } from '/sdk/tidewire.js';

import { ALL } from './link-names.js';

/** @typedef {{airport: string, mode: 'latest' | 'every', rate: number}} Choice */
/** @typedef {import('./store.js').Update} Update */

/**
 * @typedef {object} Handlers
 * @property {() => void} onSwitch another channel: what was known is void
 * @property {(events: Update[]) => void} onTable the whole table
 * @property {(events: Update[], position: {offsets: Record<string, number>}) => void} onBase the table beside a running stream
 * @property {(events: Update[]) => void} onEvents
 * @property {(events: Update[]) => void} onNotices
 * @property {(row: {sim: number, speed: number, lap: number, rate: number, rates: Record<string, number>}) => void} onClock
 * @property {() => void} onState the connection or a feed is in another state
 */


const CLOCK_INTERVAL_MS = 250;
const NOTICES_INTERVAL_MS = 500;
const BASE_INTERVAL_MS = 5_000;

export class Link {
  /** Node that serves us. */
  node = '';
  /** When anything was last heard (monotonic ms). */
  heardAt = NaN;
  /** Why it ended for good, or null. @type {string | null} */
  refusal = null;
  /** What the flights' feed says of itself. @type {'live' | 'stale' | 'lagging'} */
  feedState = 'stale';
  /** Since when it has been so (monotonic ms); NaN until the node has said so. */
  feedSince = NaN;
  #client;
  #handlers;
  /** @type {any} */
  #flights = null;
  /** @type {any} */
  #base = null;
  /** @type {any} */
  #notices = null;
  /** @type {Choice | null} */
  #choice = null;

  /** @param {string} url @param {Handlers} handlers */
  constructor(url, handlers) {
    this.#handlers = handlers;
    this.#client = new Tidewire(url, { client: 'tidewire-flights/1' });
    this.#client.on('connected', ({ node }) => {
      this.node = node;
      this.refusal = null;
      handlers.onState();
    });
    this.#client.on('state', () => handlers.onState());
    this.#client.on('disconnected', ({ code, reason, isPermanent }) => {
      this.refusal = isPermanent ? reason || `close code ${code}` : null;
      handlers.onState();
    });
  }

  /** Connect, and subscribe to what is chosen. @param {Choice} choice */
  start(choice) {
    this.#client.connect();
    this.#subscribeClock();
    this.choose(choice);
  }

  /** @returns {'disconnected' | 'connecting' | 'connected'} */
  get state() {
    return this.#client.state;
  }

  /** What the flights' subscription has counted so far, and the rate that was granted. */
  get counters() {
    const { frames = 0, coalesced = 0, intervalMs = null } = this.#flights ?? {};
    return { frames, coalesced, intervalMs };
  }

  retry() {
    this.refusal = null;
    this.#client.connect();
  }

  /** @param {Choice} choice */
  choose(choice) {
    const before = this.#choice;
    this.#choice = { ...choice };
    if (before && before.airport === choice.airport && before.mode === choice.mode) {
      if (before.rate !== choice.rate) this.#flights?.update({ intervalMs: choice.rate });
      return;
    }
    const isOtherChannel = before?.airport !== choice.airport;
    if (isOtherChannel) this.#handlers.onSwitch();
    this.#subscribeFlights(choice);
    if (isOtherChannel) this.#subscribeNotices(choice);
  }

  /** @param {Choice} choice */
  #subscribeFlights({ airport, mode, rate }) {
    this.#flights?.unsubscribe();
    this.#base?.unsubscribe();
    this.#base = null;
    const channel = channelOf('flights', airport);
    const flights = this.#client.subscribe(channel, { mode, intervalMs: rate });
    this.#flights = flights;
    this.#feed('stale', null);
    flights.on('update', ({ events }) => this.#heard(flights === this.#flights && this.#handlers.onEvents, events));
    flights.on('snapshot', ({ events, position }) => {
      if (flights !== this.#flights) return;
      this.#heard();
      if (mode === 'latest') this.#handlers.onTable(events);
      else this.#handlers.onBase(events, position);
    });
    flights.on('status', ({ state, ageMs }) => {
      if (flights !== this.#flights) return;
      this.#feed(state, ageMs);
      this.#handlers.onState();
    });
    if (mode === 'every') {
      const readBase = () => {
        if (flights === this.#flights && !this.#base) this.#base = this.#readOnce(channel, this.#handlers.onBase);
      };
      readBase();
      flights.on('gap', readBase);
    }
  }

  /**
   * Mode `every` brings events only: what stands already comes once, in another subscription.
   *
   * @param {string} channel
   * @param {(events: Update[], position: {offsets: Record<string, number>}) => void} handle
   */
  #readOnce(channel, handle) {
    const once = this.#client.subscribe(channel, { mode: 'latest', intervalMs: BASE_INTERVAL_MS });
    once.once('snapshot', ({ events, position }) => {
      if (once === this.#base) this.#base = null;
      once.unsubscribe();
      this.#heard();
      handle(events, position);
    });
    return once;
  }

  /** @param {Choice} choice */
  #subscribeNotices({ airport }) {
    this.#notices?.unsubscribe();
    const notices = this.#client.subscribe(channelOf('notices', airport), {
      mode: 'every',
      intervalMs: NOTICES_INTERVAL_MS,
    });
    this.#notices = notices;
    const hand = (/** @type {Update[]} */ events) => notices === this.#notices && this.#handlers.onNotices(events);
    this.#readOnce(notices.channel, (events) => hand(events.sort((a, b) => a.ts - b.ts)));
    notices.on('update', ({ events }) => this.#heard(hand, events));
  }

  #subscribeClock() {
    const clock = this.#client.subscribe('replay', { mode: 'latest', intervalMs: CLOCK_INTERVAL_MS });
    for (const name of /** @type {const} */ (['snapshot', 'update'])) {
      clock.on(name, ({ events }) => {
        this.#heard();
        const row = events.find(({ key }) => key === 'clock')?.data;
        if (row && Number.isFinite(row.sim)) this.#handlers.onClock(row);
      });
    }
  }

  /** @param {'live' | 'stale' | 'lagging'} state @param {number | null} ageMs null where no node has said it */
  #feed(state, ageMs) {
    this.feedState = state;
    this.feedSince = ageMs === null ? NaN : performance.now() - ageMs;
  }

  /** @param {false | ((events: Update[]) => void)} [handle] @param {Update[]} [events] */
  #heard(handle, events) {
    this.heardAt = performance.now();
    if (handle && events) handle(events);
  }
}

/** @param {string} stream @param {string} airport */
const channelOf = (stream, airport) => (airport === ALL ? stream : `${stream}/${airport}`);
