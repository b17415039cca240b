/** Leaves the map and the board out of some frames where the machine cannot draw all in each. Pure. */

/** Longer frames than this mean that something has to be left out (ms). */
const BUSY_FRAME = 24;
const WEIGHT = 0.05;
const LONGEST_FRAME = 250;
const MAP_INTERVALS = /** @type {const} */ ([0, 30, 60, 120]);
const BOARD_INTERVALS = /** @type {const} */ ([0, 50, 100, 200]);

export class Pace {
  #mean = 16;
  #lastAt = NaN;
  #level = 0;
  #changedAt = 0;

  /** @param {number} now */
  frame(now) {
    const length = Math.min(now - this.#lastAt, LONGEST_FRAME);
    this.#lastAt = now;
    if (!Number.isFinite(length)) return;
    this.#mean += (length - this.#mean) * WEIGHT;
    if (now - this.#changedAt < 1_000) return;
    const wanted = this.#mean > BUSY_FRAME ? this.#level + 1 : this.#mean < BUSY_FRAME - 6 ? this.#level - 1 : this.#level;
    const level = Math.min(Math.max(wanted, 0), MAP_INTERVALS.length - 1);
    if (level !== this.#level) [this.#level, this.#changedAt] = [level, now];
  }

  /** Time between two pictures of the map, in ms; 0: in every frame. */
  get mapInterval() {
    return MAP_INTERVALS[this.#level];
  }

  /** Whether there is time to show what changed. */
  get hasTimeForFlashes() {
    return this.#level < 2;
  }

  /** Time between two writes of the board; what comes in between is folded by flight. */
  get boardInterval() {
    return BOARD_INTERVALS[this.#level];
  }
}
