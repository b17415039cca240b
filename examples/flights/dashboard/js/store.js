/** The newest event of every flight, and which keys changed since somebody last looked. Pure. */

/** @typedef {{data: Record<string, any>, ts: number, offset: [number, number]}} Row */
/** @typedef {{key: string, data?: any, ts: number, offset: [number, number], deleted?: boolean}} Update */

const MAX_ROWS = 5_000;
const MAX_REMOVED = 5_000;

export class Store {
  /** @type {Map<string, Row>} */
  rows = new Map();
  /** @type {Set<string>} */
  #changed = new Set();
  /** Offsets of removals, so that an older snapshot does not bring a key back. @type {Map<string, [number, number]>} */
  #removed = new Map();
  /** Whether everything was replaced since the last take: no highlighting. */
  #isFresh = true;

  clear() {
    for (const key of this.rows.keys()) this.#changed.add(key);
    this.rows.clear();
    this.#removed.clear();
    this.#isFresh = true;
  }

  /** @param {Update[]} events @returns {void} */
  update(events) {
    for (const event of events) this.#apply(event);
  }

  /** The whole table, as the subscription holds it. @param {Update[]} events */
  replace(events) {
    this.clear();
    for (const event of events) this.#apply(event);
  }

  /**
   * The whole table as it was at a position, beside a subscription that may already be further.
   *
   * @param {Update[]} events
   * @param {{offsets: Record<string, number>}} position
   */
  merge(events, position) {
    const present = new Set(events.map((event) => event.key));
    for (const [key, { offset }] of this.rows) {
      if (!present.has(key) && offset[1] < (position.offsets[offset[0]] ?? 0)) this.#drop(key);
    }
    for (const event of events) this.#apply(event);
    this.#isFresh = true;
  }

  /** Changed keys (hand over and clear), and whether they are news. */
  take() {
    const taken = { keys: this.#changed, isFresh: this.#isFresh };
    this.#changed = new Set();
    this.#isFresh = false;
    return taken;
  }

  /** @param {Update} event */
  #apply({ key, data, ts, offset, deleted }) {
    const known = this.rows.get(key)?.offset ?? this.#removed.get(key);
    if (known && known[0] === offset[0] && offset[1] <= known[1]) return;
    if (deleted || data === null || typeof data !== 'object') {
      this.#drop(key);
      this.#removed.delete(key);
      this.#removed.set(key, offset);
      if (this.#removed.size > MAX_REMOVED) this.#removed.delete(first(this.#removed));
      return;
    }
    this.#removed.delete(key);
    this.rows.set(key, { data, ts, offset });
    this.#changed.add(key);
    if (this.rows.size > MAX_ROWS) this.#drop(first(this.rows));
  }

  /** @param {string} key */
  #drop(key) {
    if (this.rows.delete(key)) this.#changed.add(key);
  }
}

/** @template T @param {Map<string, T>} map @returns {string} */
const first = (map) => map.keys().next().value ?? '';
