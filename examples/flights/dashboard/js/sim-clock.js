/** Simulated time between two reports of the replay. Pure: `now` is an argument. */

/** A replay that says nothing for so long has stopped, and so does its clock (ms). */
const MAX_SILENCE = 3_000;
/** A jump backwards by more than this is another lap or another start, not jitter (simulated ms). */
const JUMP = 15 * 60_000;

export class SimClock {
  speed = 0;
  lap = 0;
  /** @type {number | null} */
  #base = null;
  #heardAt = 0;
  #shown = -Infinity;

  /**
   * The replay's row came. Returns whether time jumped: what was drawn belongs to another time.
   *
   * @param {{sim: number, speed: number, lap: number}} row
   * @param {number} now
   */
  report({ sim, speed, lap }, now) {
    const isKnown = this.speed > 0;
    const isJump = isKnown && (lap !== this.lap || sim < this.#shown - JUMP || sim > this.#shown + 40 * JUMP);
    this.#base = sim;
    this.#heardAt = now;
    this.speed = speed;
    this.lap = lap;
    if (isJump || !isKnown) this.#shown = sim;
    return isJump;
  }

  /** An event carries a time too: the clock where no replay reports. @param {number} sim @param {number} now */
  hint(sim, now) {
    if (this.speed === 0 && Number.isFinite(sim) && sim > (this.#base ?? -Infinity)) {
      this.#base = sim;
      this.#heardAt = now;
    }
  }

  get isSet() {
    return this.#base !== null;
  }

  /** Simulated Unix ms; never runs backwards within a lap. @param {number} now */
  at(now) {
    if (this.#base === null) return NaN;
    const elapsed = Math.min(Math.max(now - this.#heardAt, 0), MAX_SILENCE);
    this.#shown = Math.max(this.#shown, this.#base + elapsed * this.speed);
    return this.#shown;
  }
}
