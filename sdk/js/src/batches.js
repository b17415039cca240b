/** What an async iterator has not yet asked for: a bounded buffer with a rule for either mode. */

/** @import {Batch, Gap, Item, Mode} from './types.d.ts' */
/** @import {Receipt} from './tracing.js' */

/** Receipts that one loop holds; what comes beyond is not held. */
const MOST_HELD = 128;

/**
 * Mode `latest` keeps the newest snapshot and the newest event of each key after it, so it is never
 * larger than the view. Mode `every` keeps events in order up to `maxEvents`; beyond, all batches but
 * the newest leave, and a gap with reason `slow_consumer` names what they held.
 */
export class BatchBuffer {
  /** @type {Item[]} */
  #items = [];
  #events = 0;
  #maxEvents;
  /** What ends with an item that waits. @type {Map<Item, Receipt[]>} */
  #receipts = new Map();

  /** @param {number} maxEvents */
  constructor(maxEvents) {
    this.#maxEvents = maxEvents;
  }

  /**
   * @param {Item} item
   * @param {Mode} mode
   * @param {Receipt | null} [receipt]
   */
  push(item, mode, receipt = null) {
    if (receipt) this.#receipts.set(item, [receipt]);
    if (mode === 'latest') this.#fold(item);
    else this.#append(item);
  }

  /** @returns {Item | undefined} */
  take() {
    const item = this.#items.shift();
    if (item) this.#events -= weight(item);
    return item;
  }

  /** The receipts of an item that was taken, and of all whose place it took. @param {Item} item */
  claim(item) {
    const receipts = this.#receipts.get(item) ?? [];
    this.#receipts.delete(item);
    return receipts;
  }

  /** `heir` takes the place of others. @param {Item} heir @param {Item[]} items */
  #inherit(heir, items) {
    if (this.#receipts.size === 0) return;
    const receipts = [...items, heir].flatMap((item) => this.claim(item));
    this.#receipts.set(heir, receipts);
  }

  /** @param {Item} item */
  #fold(item) {
    if (item.type === 'snapshot') {
      this.#inherit(item, this.#items);
      this.#items = this.#items.filter(({ type }) => type === 'gap');
    } else {
      const at = this.#items.findIndex(({ type }) => type === item.type);
      if (at >= 0) {
        const [known] = this.#items.splice(at, 1);
        const both = joined(known, item);
        this.#inherit(both, [known, item]);
        item = both;
      }
    }
    this.#items.push(item);
  }

  /** @param {Item} item */
  #append(item) {
    this.#items.push(item);
    this.#events += weight(item);
    if (this.#events <= this.#maxEvents || this.#items.length === 1) return;
    const [snapshot] = this.#items.filter(({ type }) => type === 'snapshot').slice(-1);
    /** @type {Gap} */
    const gap = {};
    for (const lost of this.#items.slice(0, -1)) widen(gap, lost);
    this.#inherit(item, this.#items.slice(0, -1));
    this.#items = [{ type: 'gap', gap, reason: 'slow_consumer' }, item];
    if (snapshot && snapshot !== item) this.#items.unshift(snapshot);
    this.#events = this.#items.reduce((sum, kept) => sum + weight(kept), 0);
  }
}

/** The reading end of a buffer. @implements {AsyncIterableIterator<Item>} */
export class Batches {
  #buffer;
  #onReturn;
  /** @type {{resolve: (result: IteratorResult<Item>) => void, reject: (error: Error) => void}[]} */
  #waiting = [];
  #isOver = false;
  /** @type {Error | null} */
  #error = null;
  #held = 0;
  /** Of what the reader deals with. @type {Receipt[]} */
  #inHand = [];

  /**
   * @param {number} maxEvents
   * @param {(batches: Batches) => void} onReturn called when the reader leaves
   */
  constructor(maxEvents, onReturn) {
    this.#buffer = new BatchBuffer(maxEvents);
    this.#onReturn = onReturn;
  }

  /**
   * `receipt` is held until the reader, once it has got the item or what took its place, asks for more.
   *
   * @param {Item} item
   * @param {Mode} mode
   * @param {Receipt | null} [receipt]
   */
  push(item, mode, receipt = null) {
    const held = receipt && this.#held < MOST_HELD ? receipt.hold() : null;
    if (held) this.#held += 1;
    const reader = this.#waiting.shift();
    if (!reader) return this.#buffer.push(item, mode, held);
    if (held) this.#inHand.push(held);
    reader.resolve({ value: item, done: false });
  }

  /** What is buffered can still be read; then the loop ends, or throws `error`. @param {Error | null} error */
  finish(error) {
    this.#isOver = true;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (error) reject(error);
      else resolve({ value: undefined, done: true });
      error = null;
    }
    this.#error = error;
  }

  /** @returns {Promise<IteratorResult<Item>>} */
  next() {
    this.#release();
    const value = this.#take();
    if (value) return Promise.resolve({ value, done: false });
    if (!this.#isOver) {
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    }
    const error = this.#error;
    this.#error = null;
    return error ? Promise.reject(error) : Promise.resolve({ value: undefined, done: true });
  }

  /** @returns {Promise<IteratorResult<Item>>} */
  return() {
    while (this.#take());
    this.#release();
    this.finish(null);
    this.#onReturn(this);
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #take() {
    const item = this.#buffer.take();
    if (item) this.#inHand.push(...this.#buffer.claim(item));
    return item;
  }

  #release() {
    const receipts = this.#inHand.splice(0);
    this.#held -= receipts.length;
    for (const receipt of receipts) receipt.release();
  }
}

/** @param {Item} item */
const weight = (item) => (item.type === 'gap' ? 1 : item.events.length);

/** Two of a kind as one. @param {Item} known @param {Item} item @returns {Item} */
function joined(known, item) {
  if (item.type === 'gap') {
    const gap = known.type === 'gap' ? { ...known.gap } : {};
    widen(gap, item);
    return { ...item, gap };
  }
  const { events, coalesced } = /** @type {Batch} */ (known);
  const newest = new Map(events.map((event) => [event.key, event]));
  for (const event of item.events) {
    newest.delete(event.key);
    newest.set(event.key, event);
  }
  const folded = events.length + item.events.length - newest.size;
  const before = coalesced + /** @type {Batch} */ (item).coalesced;
  return { .../** @type {Batch} */ (item), events: [...newest.values()], coalesced: before + folded };
}

/** Stretch `gap` over what `lost` held. @param {Gap} gap @param {Item} lost */
function widen(gap, lost) {
  if (lost.type === 'snapshot') return;
  const ranges =
    lost.type === 'gap'
      ? Object.entries(lost.gap)
      : lost.events.filter(({ offset }) => offset[1] >= 0).map(({ offset: [p, o] }) => [p, [o, o + 1]]);
  for (const [partition, [first, next]] of /** @type {[string, [number, number]][]} */ (ranges)) {
    gap[partition] = [gap[partition]?.[0] ?? first, next];
  }
}
