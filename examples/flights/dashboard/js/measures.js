/** What the page measures of itself over the last seconds. Pure: `now` is an argument. */

const MAX_SAMPLES = 4_000;

/** Numbers of the last `windowMs`. */
export class Window {
  #windowMs;
  /** @type {{at: number, value: number}[]} */
  #samples = [];

  /** @param {number} windowMs */
  constructor(windowMs) {
    this.#windowMs = windowMs;
  }

  /** @param {number} now @param {number} value */
  add(now, value) {
    this.#samples.push({ at: now, value });
    if (this.#samples.length > MAX_SAMPLES) this.#samples.splice(0, MAX_SAMPLES / 4);
  }

  clear() {
    this.#samples = [];
  }

  /** @param {number} now */
  sum(now) {
    this.#forget(now);
    return this.#samples.reduce((sum, { value }) => sum + value, 0);
  }

  /** Per second. @param {number} now */
  rate(now) {
    return this.sum(now) / (this.#windowMs / 1000);
  }

  /** @param {number} now @param {number[]} shares @returns {number[]} NaN where nothing was measured */
  quantiles(now, shares) {
    this.#forget(now);
    const sorted = Float64Array.from(this.#samples, ({ value }) => value).sort();
    return shares.map((share) => quantile(sorted, share));
  }

  /** @param {number} now */
  #forget(now) {
    const oldest = now - this.#windowMs;
    const kept = this.#samples.findIndex(({ at }) => at >= oldest);
    if (kept !== 0) this.#samples.splice(0, kept < 0 ? this.#samples.length : kept);
  }
}

/** @param {ArrayLike<number>} sorted @param {number} share */
export function quantile(sorted, share) {
  if (sorted.length === 0) return NaN;
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}
