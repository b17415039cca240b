/** The flights that a visitor follows: kept by the service, told on `@me`, shared by every tab of the browser. */

import { Tidewire } from '/sdk/tidewire.js';

import { emptyRecord, merged, readRecord, withEvents, withFlights, withRead } from './record.js';
import { AGAIN_MS, Refused } from './service.js';

/** @typedef {import('./record.js').FollowRecord} FollowRecord */

const RECORD = 'tidewire-flights.following';

export class Following {
  /** @type {FollowRecord} */
  record = readRecord(localStorage.getItem(RECORD));
  /** Flights whose wish is on its way. @type {Set<string>} */
  pending = new Set();
  /** What went wrong with the last wish, for people. */
  trouble = '';
  /** Why no notices come any more, until somebody does something. */
  refusal = '';
  /** Whether notices come now; null while nobody is there to get any. @type {boolean | null} */
  isLive = null;
  #service;
  #url;
  #onChange;
  #openedAt = Date.now();
  /** A connection of its own: the board needs no identity, and goes on whatever happens here. @type {Tidewire | null} */
  #client = null;
  #delayMs = AGAIN_MS[0];

  /** @param {import('./service.js').Service} service @param {string} url of the WebSocket @param {() => void} onChange */
  constructor(service, url, onChange) {
    this.#service = service;
    this.#url = url;
    this.#onChange = onChange;
    addEventListener('storage', ({ key, newValue }) => {
      if (key === RECORD && newValue !== null) this.#heardFromOtherTab(newValue);
    });
  }

  /** Go on as the visitor that this browser was; without one nothing happens until a flight is chosen. */
  start() {
    if (!this.#service.pass) return;
    this.#listen();
    this.#refresh();
  }

  /** @param {string} flight */
  isFollowed(flight) {
    return this.record.flights.includes(flight);
  }

  /** Follow a flight, or no longer. @param {string} flight */
  async toggle(flight) {
    if (this.pending.has(flight)) return;
    const isWish = !this.isFollowed(flight);
    this.pending.add(flight);
    this.trouble = '';
    this.#onChange();
    try {
      this.#answered(await this.#service.follow(isWish ? 'PUT' : 'DELETE', flight));
    } catch (error) {
      const why = error instanceof Refused ? error.message : 'the service of this example does not answer';
      this.trouble = `${flight} could not be ${isWish ? 'followed' : 'unfollowed'}: ${why}.`;
    }
    this.pending.delete(flight);
    this.#onChange();
  }

  /** @param {string[]} flights */
  read(flights) {
    this.#keep(withRead(this.record, flights));
  }

  readGap() {
    this.#keep({ ...this.record, gapReadTo: this.record.gapAt });
  }

  /** What the service knows may be more than this browser: another run's directory, a cleared storage. */
  async #refresh() {
    try {
      this.#answered(await this.#service.follow('GET'));
    } catch {
      setTimeout(() => this.#refresh(), this.#delayMs);
      this.#delayMs = Math.min(2 * this.#delayMs, AGAIN_MS[1]);
    }
  }

  /** @param {{visitor: string, flights: string[]}} answer */
  #answered({ visitor, flights }) {
    const isOther = visitor !== this.record.visitor;
    const before = isOther ? emptyRecord(visitor) : this.record;
    this.#keep(withFlights(before, flights, Date.now()));
    if (isOther) this.#hangUp();
    this.#listen();
  }

  #listen() {
    if (this.record.flights.length === 0) return this.#hangUp();
    if (this.#client) return;
    const client = new Tidewire(this.#url, {
      client: 'tidewire-flights/1',
      getToken: async () => (await this.#service.admitted()).token,
    });
    this.#client = client;
    const mine = client.subscribe('@me', { mode: 'every', since: this.record.position });
    const isCurrent = () => client === this.#client;
    mine.on('update', ({ events }) => {
      if (!isCurrent()) return;
      this.#keep(withEvents(this.record, events, { position: mine.position, openedAt: this.#openedAt }));
    });
    mine.on('gap', () => isCurrent() && this.#keep({ ...this.record, position: mine.position, gapAt: Date.now() }));
    mine.on('status', ({ state }) => {
      if (!isCurrent()) return;
      this.isLive = state === 'live';
      this.#onChange();
    });
    mine.on('unsubscribed', ({ reason }) => isCurrent() && this.#refused(reason));
    client.on('disconnected', ({ isPermanent, reason }) => isPermanent && isCurrent() && this.#refused(reason));
    client.connect();
  }

  #hangUp() {
    const client = this.#client;
    this.#client = null;
    this.isLive = null;
    this.refusal = '';
    client?.close();
  }

  /** @param {string} reason */
  #refused(reason) {
    this.isLive = false;
    this.refusal = reason;
    this.#onChange();
  }

  /** Keep it for all tabs; what another tab kept meanwhile is not lost. @param {FollowRecord} record */
  #keep(record) {
    this.record = merged(record, readRecord(localStorage.getItem(RECORD)));
    localStorage.setItem(RECORD, JSON.stringify(this.record));
    this.#onChange();
  }

  /** @param {string} text */
  #heardFromOtherTab(text) {
    const other = readRecord(text);
    const isOther = other.visitor !== this.record.visitor;
    this.record = isOther ? other : merged(this.record, other);
    if (isOther) this.#hangUp();
    this.#listen();
    this.#onChange();
  }
}
