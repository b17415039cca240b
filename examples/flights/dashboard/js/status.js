/** Tells how the connection is: the mark in the head, and a banner when values are not fresh. */

/** @typedef {'live' | 'connecting' | 'reconnecting' | 'stale' | 'lagging' | 'refused'} LinkStatus */

const WORDS = /** @type {const} */ ({
  live: 'Live',
  connecting: 'Connecting',
  reconnecting: 'Reconnecting',
  stale: 'Stale',
  lagging: 'Catching up',
  refused: 'Refused',
});

/** Values are called old only from this age on (ms). */
const NOTEWORTHY_AGE = 2_000;

/** @param {import('./link.js').Link} link @param {boolean} hasValues @returns {LinkStatus} */
export function linkStatus(link, hasValues) {
  if (link.refusal !== null) return 'refused';
  if (link.state !== 'connected') return hasValues ? 'reconnecting' : 'connecting';
  if (link.feedState === 'live' || link.feedState === 'lagging') return link.feedState;
  return hasValues ? 'stale' : 'connecting';
}

/** @param {LinkStatus} status @param {number} ageMs since something was heard @param {string | null} refusal */
export function bannerText(status, ageMs, refusal) {
  const seconds = Math.floor(ageMs / 1000);
  const age = ageMs >= NOTEWORTHY_AGE ? ` Showing values from ${seconds} s ago.` : '';
  switch (status) {
    case 'reconnecting':
      return `Connection lost, reconnecting.${age}`;
    case 'stale':
      return `The node does not hear from Kafka.${age}`;
    case 'lagging':
      return 'This connection is slow: the node skips to the newest values.';
    case 'refused':
      return `The node refused this page: ${refusal}.`;
    default:
      return '';
  }
}

/** @param {Record<'link' | 'state' | 'node' | 'banner' | 'text' | 'retry', HTMLElement>} elements */
export function statusWriter({ state, node, banner, text, retry }) {
  return (/** @type {LinkStatus} */ status, /** @type {string} */ nodeName, /** @type {string} */ words) => {
    document.body.dataset.state = status;
    set(state, WORDS[status]);
    set(node, nodeName);
    set(text, words);
    banner.hidden = words === '';
    banner.dataset.kind = status;
    retry.hidden = status !== 'refused';
  };
}

/** @param {HTMLElement} element @param {string} words */
function set(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
