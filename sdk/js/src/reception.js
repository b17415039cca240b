/** What one subscription makes of the frames it gets: position, duplicates, snapshots, gaps. Pure. */

import { Table } from './table.js';

/** @import {WireEvent, Position, Gap, Mode, Batch, Snapshot, GapNotice, ServerMessage} from './types.d.ts' */

/**
 * @typedef {object} ReceptionOptions
 * @property {Mode} [mode] what was asked for
 * @property {boolean} snapshot whether a fresh subscription is to begin with one
 * @property {Position | null} since where to resume
 * @property {boolean} keepState whether mode `every` keeps the keyed view too; `latest` always does
 * @property {number} maxKeys
 */

export class Reception {
  /** @type {Mode} */
  mode;
  /** @type {Position | null} what `since` would be now */
  position;
  table;
  duplicates = 0;
  #snapshot;
  #keepState;
  /** @type {Record<string, number>} mode `every`: partition → offset after the last one delivered */
  #next = {};
  /** A snapshot is to come: position and view wait for it. */
  #isAwaited = false;
  /** @type {{events: WireEvent[], later: WireEvent[], partial: boolean} | null} parts that came so far */
  #staged = null;

  /** @param {ReceptionOptions} options */
  constructor({ mode = 'latest', snapshot, since, keepState, maxKeys }) {
    this.mode = mode;
    this.position = since;
    this.table = new Table(maxKeys);
    this.#snapshot = snapshot;
    this.#keepState = keepState;
  }

  /**
   * Answer to `subscribe` or, with `isMove`, to `update_subscription`.
   *
   * @param {ServerMessage['payload']} payload
   * @param {boolean} [isMove]
   * @returns {GapNotice | null}
   */
  subscribed({ mode, recovered, position, gap, reason }, isMove = false) {
    this.mode = mode;
    this.dropParts();
    const isFresh = recovered === 'none' && !isMove;
    const isTable = mode === 'latest' && this.#snapshot;
    if (recovered === 'none') this.#isAwaited = isMove ? this.#isAwaited : isTable;
    else this.#isAwaited = recovered === 'snapshot';
    if (this.#isAwaited) return null;
    // What goes on elsewhere, or at another rate, never falls back behind what is known here.
    if (isFresh || !this.position || this.position.epoch !== position.epoch) this.#begin(position);
    else this.position = merged(position, this.position.offsets);
    return recovered === 'gap' || gap ? this.gap(gap ?? {}, reason) : null;
  }

  /** A snapshot will not be completed: position and view stay as they were before it. */
  dropParts() {
    this.#staged = null;
  }

  /**
   * One part of a snapshot. Only the last one has an effect, and returns the whole.
   *
   * @param {ServerMessage['payload']} payload
   * @returns {Snapshot | null}
   */
  snapshot({ position, events, partial, more }) {
    const staged = (this.#staged ??= { events: [], later: [], partial: false });
    for (const event of events) staged.events.push(event);
    staged.partial ||= partial === true;
    if (more) return null;
    this.#begin(position);
    const whole = [...staged.events, ...staged.later];
    if (this.keepsState) this.table.replace(whole);
    return { type: 'snapshot', events: whole, position, partial: staged.partial };
  }

  /**
   * Null where nothing in the frame was new.
   *
   * @param {ServerMessage['payload']} payload
   * @param {number} receivedAt
   * @returns {Batch | null}
   */
  updates({ position, events, coalesced = 0, traceparent }, receivedAt) {
    if (this.#staged) {
      this.#staged.later.push(...events);
      return null;
    }
    if (!this.#isAwaited) this.#advance(position);
    const fresh = events.filter((/** @type {WireEvent} */ event) => this.#take(event));
    this.duplicates += events.length - fresh.length;
    if (fresh.length === 0) return null;
    return { type: 'update', events: fresh, position: this.position, coalesced, traceparent, receivedAt };
  }

  /**
   * @param {Gap} gap
   * @param {string | null} [reason]
   * @returns {GapNotice}
   */
  gap(gap, reason = null) {
    const ends = reason === 'recreated' ? [] : Object.entries(gap);
    for (const [partition, [, end]] of ends) {
      this.#next[partition] = end;
      this.table.forget(Number(partition), end);
      if (this.position && this.isSettled) this.position = merged(this.position, { [partition]: end });
    }
    return { type: 'gap', gap, reason };
  }

  /** Whether no snapshot is under way or promised. */
  get isSettled() {
    return !this.#isAwaited && !this.#staged;
  }

  get keepsState() {
    return this.#keepState || this.mode === 'latest';
  }

  /** @param {Position} position where everything starts anew */
  #begin(position) {
    this.#isAwaited = false;
    this.dropParts();
    this.#next = {};
    this.table.forget();
    this.position = position;
  }

  /** @param {Position} moved */
  #advance(moved) {
    if (this.position?.epoch !== moved.epoch) this.#begin(moved);
    else this.position = merged(this.position, moved.offsets);
  }

  /** Whether `event` is new; if so it is taken into the view. @param {WireEvent} event */
  #take(event) {
    const [partition, offset] = event.offset;
    if (offset < 0) return true; // pushed: it stands in no topic
    if (this.mode === 'every') {
      if (offset < (this.#next[partition] ?? 0)) return false;
      this.#next[partition] = offset + 1;
    } else if (this.table.has(event)) return false;
    if (this.keepsState) this.table.put(event);
    return true;
  }
}

/**
 * @param {Position} position
 * @param {Record<string, number>} offsets
 * @returns {Position}
 */
const merged = ({ epoch, offsets: known }, offsets) => ({ epoch, offsets: { ...known, ...offsets } });
