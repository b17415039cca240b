/** Following one key: when the node must be asked again, and what of it to show. Pure. */

import { flowId } from './flows.js';

/** @typedef {{stream: string, key: string}} Target */
/**
 * An event of the key as this page got it; `span` null where its frame was not sampled.
 *
 * @typedef {{id: string, at: number, data: any, isDeleted: boolean, span: string | null, flowId: string | null}} Seen
 */

/** For how long a node is asked to follow at a time: a page that is not in front may be let to ask once a minute only. */
export const FOLLOW_SECONDS = 150;
const RENEW_AFTER_MS = 25_000;
const RETRY_AFTER_MS = 5_000;
export const MAX_SEEN = 8;

/** Whether the node follows for us, and when it is to be asked again. */
export class FollowLease {
  /** @type {'asking' | 'following' | 'failed'} */
  state = 'asking';
  /** Why the last request failed. */
  problem = '';
  #dueAt = -Infinity;
  #isAsked = false;
  /** It is to be asked again as soon as it is answered. */
  #isHurried = false;

  /** @param {Target} target */
  constructor(target) {
    this.target = target;
  }

  get body() {
    return { ...this.target, seconds: FOLLOW_SECONDS };
  }

  /** Whether to ask now; true once for each time. @param {number} now */
  take(now) {
    if (this.#isAsked || (now < this.#dueAt && !this.#isHurried)) return false;
    this.#isAsked = true;
    this.#isHurried = false;
    return true;
  }

  /** @param {number} now */
  granted(now) {
    this.state = 'following';
    this.problem = '';
    this.#answered(now + RENEW_AFTER_MS);
  }

  /** @param {number} now @param {string} problem */
  failed(now, problem) {
    this.state = 'failed';
    this.problem = problem;
    this.#answered(now + RETRY_AFTER_MS);
  }

  /** Ask again at once: another node, which knows nothing of this, may serve us now. */
  hurry() {
    this.#isHurried = true;
  }

  /** @param {number} dueAt */
  #answered(dueAt) {
    this.#isAsked = false;
    this.#dueAt = dueAt;
  }
}

/**
 * What nodes are to be asked, one request after another: of two that are under way at once either may come first. To let go comes
 * before to follow, and only what is not followed any more is let go.
 */
export class FollowRequests {
  /** What is followed. @type {FollowLease | null} */
  lease = null;
  /** What a node may follow for us. @type {Target[]} */
  #asked = [];
  /** Ends the request that is under way. @type {((now: number, problem: string | null) => void) | null} */
  #end = null;

  /**
   * Follow `target`, or nothing; returns whether that is another than before. One that failed is asked for again at once.
   *
   * @param {Target | null} target
   */
  want(target) {
    const { lease } = this;
    if (isSame(target, lease?.target ?? null)) {
      if (lease?.state === 'failed') lease.hurry();
      return false;
    }
    this.lease = target && new FollowLease(target);
    return true;
  }

  /**
   * The request to send now, or null; the next one comes when this one is answered.
   *
   * @param {number} now
   * @returns {{method: 'POST' | 'DELETE', body: object} | null}
   */
  take(now) {
    if (this.#end) return null;
    const { lease } = this;
    const past = this.#asked.find((target) => !isSame(target, lease?.target ?? null));
    if (past) {
      this.#forget(past);
      this.#end = () => {}; // where it was not heard, it runs out by itself
      return { method: 'DELETE', body: past };
    }
    if (!lease?.take(now)) return null;
    this.#forget(lease.target);
    this.#asked.push(lease.target);
    this.#end = (at, problem) => (problem === null ? lease.granted(at) : lease.failed(at, problem));
    return { method: 'POST', body: lease.body };
  }

  /** What was taken last was answered. @param {number} now @param {string | null} problem */
  answered(now, problem) {
    this.#end?.(now, problem);
    this.#end = null;
  }

  /** The page goes: all that is to be let go, at once. @returns {Target[]} */
  leave() {
    this.lease = null;
    return this.#asked.splice(0);
  }

  /** @param {Target} target */
  #forget(target) {
    this.#asked = this.#asked.filter((one) => !isSame(one, target));
  }
}

/** The last events of one key, newest first. */
export class KeyLine {
  /** @type {Seen[]} */
  list = [];
  #key;

  /** @param {string} key */
  constructor(key) {
    this.#key = key;
  }

  /**
   * @param {{key: string, data?: any, deleted?: boolean, offset: [number, number]}[]} events of one frame
   * @param {string | null} span
   * @param {number} at Unix ms
   */
  add(events, span, at) {
    for (const { key, data, deleted, offset } of events) {
      if (key !== this.#key) continue;
      const [partition, place] = offset;
      const id = `${partition}-${place}`;
      if (this.list.some((seen) => seen.id === id)) continue;
      const seen = { id, at, data, isDeleted: deleted === true, span, flowId: span && flowId(span, partition, place) };
      this.list = [seen, ...this.list].slice(0, MAX_SEEN);
    }
  }
}

/** An event's content on one line. @param {Seen} seen @param {number} [most] characters */
export function contentOf({ data, isDeleted }, most = 120) {
  if (isDeleted) return 'deleted';
  const line = JSON.stringify(data) ?? '';
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}

/** @param {Target | null} a @param {Target | null} b */
const isSame = (a, b) => a?.stream === b?.stream && a?.key === b?.key;

/** What is wrong with a target, or null. @param {Target} target */
export function targetProblem({ stream, key }) {
  if (stream === '') return 'Which stream?';
  if (/[^A-Za-z0-9._~-]/.test(stream)) return 'A stream’s name has no slash: the key goes into the other field';
  return key === '' ? 'Which key?' : null;
}
