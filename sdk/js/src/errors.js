/** The one error class of this package. */

/**
 * What went wrong, with a code to branch on: one of the protocol's error codes, or
 * `bad_frame`, `token`, `tracing`, `view_full`, `unsubscribed`.
 */
export class TidewireError extends Error {
  name = 'TidewireError';

  /**
   * @param {string} code
   * @param {string} message
   * @param {{retryAfterMs?: number, cause?: unknown}} [extra]
   */
  constructor(code, message, { retryAfterMs, cause } = {}) {
    super(message, { cause });
    /** @type {string} */
    this.code = code;
    /** @type {number | undefined} */
    this.retryAfterMs = retryAfterMs;
  }
}
