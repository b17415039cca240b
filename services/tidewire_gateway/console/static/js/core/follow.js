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

  /** @param {Target} target */
  constructor(target) {
    this.target = target;
  }

  get body() {
    return { ...this.target, seconds: FOLLOW_SECONDS };
  }

  /** Whether to ask now; true once for each time. @param {number} now */
  take(now) {
    if (this.#isAsked || now < this.#dueAt) return false;
    this.#isAsked = true;
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

  /** Another node may serve us now: it knows nothing of this. */
  moved() {
    this.#dueAt = -Infinity;
  }

  /** @param {number} dueAt */
  #answered(dueAt) {
    this.#isAsked = false;
    this.#dueAt = dueAt;
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

/** What is wrong with a target, or null. @param {Target} target */
export function targetProblem({ stream, key }) {
  if (stream === '') return 'Which stream?';
  if (/[^A-Za-z0-9._~-]/.test(stream)) return 'A stream’s name has no slash: the key goes into the other field';
  return key === '' ? 'Which key?' : null;
}
