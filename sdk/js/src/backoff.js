/** How long to wait before the next attempt: full-jitter exponential back-off. */

/** Timers beyond this fire at once in every engine. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
/** A server asks for patience, not for ever. */
const MAX_ASKED_MS = 600_000;

/**
 * @typedef {object} BackoffPolicy
 * @property {number} minDelayMs ceiling of the first wait
 * @property {number} maxDelayMs ceiling of every wait
 */

/**
 * Milliseconds to wait before attempt number `attempt` (0 is the first retry). What the server asked
 * for (`retryAfterMs`) comes on top of the jitter, so that a crowd told the same figure still spreads.
 *
 * @param {number} attempt
 * @param {number} random in [0, 1)
 * @param {BackoffPolicy} policy
 * @param {number} [retryAfterMs]
 */
export function backoffMs(attempt, random, { minDelayMs, maxDelayMs }, retryAfterMs = 0) {
  const ceiling = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(attempt, 30));
  return Math.min(Math.max(retryAfterMs, 0), MAX_ASKED_MS) + random * ceiling;
}

/**
 * When to move after a `goaway`: anywhere in the time it leaves, less a fifth for the way itself.
 *
 * @param {number} random in [0, 1)
 * @param {number} afterMs
 */
export const moveAfterMs = (random, afterMs) =>
  random * 0.8 * Math.min(Math.max(afterMs, 0), MAX_ASKED_MS);
