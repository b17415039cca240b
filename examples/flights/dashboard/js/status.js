/** Tells how the connection is: a badge in the head, and a banner when values are not fresh. */

/** @typedef {'live' | 'connecting' | 'reconnecting' | 'resuming' | 'stale' | 'lagging' | 'refused'} LinkStatus */

/**
 * @typedef {object} Told
 * @property {LinkStatus} status
 * @property {number} feedAgeMs since when the feed has been so; NaN where no node has said it
 * @property {number} heardAgeMs since something was heard
 * @property {string} node that serves the page
 * @property {string | null} refusal
 */

const WORDS = /** @type {const} */ ({
  live: 'Live',
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  resuming: 'Resuming',
  stale: 'Kafka away',
  lagging: 'Catching up',
  refused: 'Refused',
});

/** Values are called old, and a state is timed, only from this age on (ms). */
const NOTEWORTHY_AGE = 2_000;

/** @param {import('./link.js').Link} link @param {boolean} hasValues @returns {LinkStatus} */
export function linkStatus(link, hasValues) {
  if (link.refusal !== null) return 'refused';
  if (link.state !== 'connected') return hasValues ? 'reconnecting' : 'connecting';
  if (link.feedState !== 'stale') return link.feedState;
  if (Number.isFinite(link.feedSince)) return 'stale';
  return hasValues ? 'resuming' : 'connecting';
}

/** How long a feed has not been live, as the badge says it. @param {Told} told */
export function ageText({ status, feedAgeMs }) {
  const isTimed = (status === 'stale' || status === 'lagging') && feedAgeMs >= NOTEWORTHY_AGE;
  return isTimed ? `for ${duration(feedAgeMs)}` : '';
}

/** @param {Told} told */
export function bannerText({ status, heardAgeMs, refusal }) {
  const age = heardAgeMs >= NOTEWORTHY_AGE ? ` Showing values from ${duration(heardAgeMs)} ago.` : '';
  switch (status) {
    case 'reconnecting':
      return `Connection lost, reconnecting.${age}`;
    case 'resuming':
      return age && `Waiting for the node to go on.${age}`;
    case 'stale':
      return `The node does not hear from Kafka; it goes on by itself.${age}`;
    case 'lagging':
      return 'This connection is slow: the node skips to the newest values.';
    case 'refused':
      return `The node refused this page: ${refusal}.`;
    default:
      return '';
  }
}

/**
 * State and node are spoken when they change; the age, which changes every second, is only seen.
 *
 * @param {Record<'state' | 'age' | 'node' | 'banner' | 'text' | 'retry', HTMLElement>} elements
 */
export function statusWriter({ state, age, node, banner, text, retry }) {
  return (/** @type {Told} */ told) => {
    const words = bannerText(told);
    document.body.dataset.state = told.status;
    set(state, WORDS[told.status]);
    set(age, ageText(told));
    set(node, told.node);
    node.title = told.node && `Served by ${told.node}`;
    set(text, words);
    banner.hidden = words === '';
    banner.dataset.kind = told.status;
    retry.hidden = told.status !== 'refused';
  };
}

/** @param {number} ms */
function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

/** @param {HTMLElement} element @param {string} words */
function set(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
