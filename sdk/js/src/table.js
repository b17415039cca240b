/** The keyed view of a subscription: newest value of each key, and what is older than it. */

/** @import {WireEvent, Row} from './types.d.ts' */

/** Removed keys whose offset is remembered; beyond it the oldest are forgotten. */
const MAX_TOMBSTONES = 10_000;

export class Table {
  /** @type {Map<string, Row>} the view itself; always the same Map */
  rows = new Map();
  /** Keys that left because the view was full. */
  evicted = 0;
  /** @type {Map<string, [number, number]>} */
  #tombstones = new Map();
  #maxKeys;

  /** @param {number} maxKeys beyond it the key that came first leaves the view */
  constructor(maxKeys) {
    this.#maxKeys = maxKeys;
  }

  /**
   * Whether this key is already known at this offset or a later one of the same partition.
   *
   * @param {WireEvent} event
   */
  has({ key, offset: [partition, offset] }) {
    const last = this.rows.get(key)?.offset ?? this.#tombstones.get(key);
    return last !== undefined && last[0] === partition && offset <= last[1];
  }

  /** @param {WireEvent} event */
  put({ key, data, ts, offset, deleted }) {
    if (deleted) {
      this.rows.delete(key);
      this.#tombstones.delete(key);
      this.#tombstones.set(key, offset);
      if (this.#tombstones.size > MAX_TOMBSTONES) dropFirst(this.#tombstones);
      return;
    }
    this.#tombstones.delete(key);
    this.rows.set(key, { data, ts, offset });
    if (this.rows.size > this.#maxKeys) {
      dropFirst(this.rows);
      this.evicted += 1;
    }
  }

  /** @param {WireEvent[]} events */
  replace(events) {
    this.rows.clear();
    this.#tombstones.clear();
    for (const event of events) this.put(event);
  }

  /**
   * Forget the offsets from `end` on (of every partition where none is named): they will be used
   * again. The values stay until something newer comes.
   *
   * @param {number} [partition]
   * @param {number} [end]
   */
  forget(partition, end = 0) {
    for (const [key, row] of this.rows) {
      if (isBeyond(row.offset)) this.rows.set(key, { ...row, offset: [row.offset[0], end - 1] });
    }
    for (const [key, offset] of this.#tombstones) {
      if (isBeyond(offset)) this.#tombstones.delete(key);
    }
    /** @param {[number, number]} offset */
    function isBeyond([p, offset]) {
      return offset >= end && (partition === undefined || p === partition);
    }
  }
}

/** @param {Map<string, unknown>} map */
function dropFirst(map) {
  for (const key of map.keys()) {
    map.delete(key);
    return;
  }
}
