/** Where the token comes from, and when the next one is due. */

import { MAX_TIMER_MS } from './backoff.js';
import { TidewireError } from './errors.js';

/** A fresh token is fetched this long before the old one ends, or a quarter of its life if that is less. */
const LEAD_MS = 30_000;

export class Tokens {
  /** @type {string | null | undefined} */
  #token;
  #getToken;
  #timeoutMs;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {string | undefined} token
   * @param {(() => Promise<string | null> | string | null) | undefined} getToken
   * @param {number} timeoutMs
   */
  constructor(token, getToken, timeoutMs) {
    this.#token = token;
    this.#getToken = getToken;
    this.#timeoutMs = timeoutMs;
  }

  get canFetch() {
    return this.#getToken !== undefined;
  }

  /**
   * The token to show; null for none. Rejects with `TidewireError` (`token`) when it cannot be had in time.
   *
   * @returns {Promise<string | null>}
   */
  async get() {
    if (!this.#token && this.#getToken) this.#token = await this.#fetch(this.#getToken);
    return this.#token ?? null;
  }

  /** The token is not good any more. */
  forget() {
    if (this.canFetch) this.#token = null;
  }

  /**
   * Call `renew` shortly before the token runs out, unless `stop` comes first.
   *
   * @param {number | undefined} expiresInMs
   * @param {() => void} renew
   */
  schedule(expiresInMs, renew) {
    this.stop();
    if (!expiresInMs || !this.canFetch) return;
    const delay = Math.max(expiresInMs - LEAD_MS, expiresInMs * 0.75);
    this.#timer = setTimeout(renew, Math.min(delay, MAX_TIMER_MS));
  }

  stop() {
    clearTimeout(this.#timer);
  }

  /** @param {() => Promise<string | null> | string | null} getToken */
  async #fetch(getToken) {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
      const error = new Error(`no token within ${this.#timeoutMs} ms`);
      timer = setTimeout(() => reject(error), this.#timeoutMs);
    });
    try {
      return /** @type {string | null} */ (await Promise.race([getToken(), late]));
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new TidewireError('token', `getToken failed: ${why}`, { cause });
    } finally {
      clearTimeout(timer);
    }
  }
}
