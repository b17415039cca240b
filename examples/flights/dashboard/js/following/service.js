/** The example's own service: a visitor's token, and what the visitor follows. */

const TOKEN = 'tidewire-flights.visitor';
const LOCK = 'tidewire-flights.visitor';
const TIMEOUT_MS = 8_000;
/** Pauses between two attempts, from the first to the longest. */
export const AGAIN_MS = [500, 5_000];
/** A token that has less left is shown for a fresh one at the next opportunity. */
const FRESH_MS = 24 * 3_600_000;

/** @typedef {{visitor: string, token: string, endsAt: number, askAt: number}} Pass */

/** The service said no, and why. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * Where it answers; null where the page is served without it. A page out of the browser's cache may be
 * there before its node is: then it asks until the node answers.
 *
 * @returns {Promise<Service | null>}
 */
export async function findService() {
  for (let delayMs = AGAIN_MS[0]; ; delayMs = Math.min(2 * delayMs, AGAIN_MS[1])) {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch('/run/example.json', { signal, cache: 'no-store' }).catch(() => null);
    if (response?.status === 404) return null;
    const told = response?.ok ? await response.json().catch(() => null) : null;
    if (told) return told.following ? new Service(told.following) : null;
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

export class Service {
  #url;

  /** @param {string} url */
  constructor(url) {
    this.#url = url;
  }

  /** Who we are, if we ever followed a flight; kept by the browser for all its tabs. @returns {Pass | null} */
  get pass() {
    try {
      const pass = JSON.parse(localStorage.getItem(TOKEN) ?? 'null');
      return pass?.token && pass.visitor ? pass : null;
    } catch {
      return null;
    }
  }

  /** A token that is good for a while; two tabs at once make one visitor. @returns {Promise<Pass>} */
  async admitted() {
    const { locks } = navigator;
    return locks ? locks.request(LOCK, () => this.#admitted()) : this.#admitted();
  }

  /** @param {'GET' | 'PUT' | 'DELETE'} method @param {string} [flight] @returns {Promise<{visitor: string, flights: string[]}>} */
  async follow(method, flight) {
    const path = flight ? `/${flight.split('/').map(encodeURIComponent).join('/')}` : '';
    for (let attempt = 0; ; attempt += 1) {
      const { visitor, token } = await this.admitted();
      try {
        return { visitor, ...(await this.#ask(method, `/api/follow${path}`, token)) };
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 401 || attempt > 0) throw error;
        localStorage.removeItem(TOKEN); // another run's key: we are somebody new there
      }
    }
  }

  async #admitted() {
    const pass = this.pass;
    const now = Date.now();
    if (pass && now < pass.askAt) return pass;
    try {
      const { visitor, token, expires_in_ms: left } = await this.#ask('POST', '/api/visitor', pass?.token);
      const fresh = { visitor, token, endsAt: now + left, askAt: now + Math.min(FRESH_MS, left / 2) };
      localStorage.setItem(TOKEN, JSON.stringify(fresh));
      return fresh;
    } catch (error) {
      if (pass && now < pass.endsAt) return pass;
      throw error;
    }
  }

  /** @param {string} method @param {string} path @param {string} [token] @returns {Promise<any>} */
  async #ask(method, path, token) {
    const headers = token ? { Authorization: `Bearer ${token}` } : undefined;
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(this.#url + path, { method, headers, signal, cache: 'no-store' });
    const body = await response.json();
    if (!response.ok) throw new Refused(response.status, body.detail ?? `HTTP ${response.status}`);
    return body;
  }
}
