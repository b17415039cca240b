/** How the page's connection is, in words. Pure. */

/** @typedef {'live' | 'connecting' | 'reconnecting' | 'resuming' | 'stale' | 'lagging' | 'refused'} Status */
/**
 * @typedef {object} LinkFacts
 * @property {'disconnected' | 'connecting' | 'connected'} state
 * @property {string | null} refusal why it ended for good
 * @property {'live' | 'stale' | 'lagging'} feedState
 * @property {number} feedSince since when it has been so (ms); NaN where no node has said it
 * @property {number} heardAt when anything was last heard (ms)
 * @property {boolean} hasValues
 */

export const WORDS = /** @type {const} */ ({
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
/** Connected, and yet nothing comes: somebody should wonder (ms). */
const SILENCE = 10_000;

/** @param {LinkFacts} link @returns {Status} */
export function statusOf({ state, refusal, feedState, feedSince, hasValues }) {
  if (refusal !== null) return 'refused';
  if (state !== 'connected') return hasValues ? 'reconnecting' : 'connecting';
  if (feedState !== 'stale') return feedState;
  if (Number.isFinite(feedSince)) return 'stale';
  return hasValues ? 'resuming' : 'connecting';
}

/** How long a feed has not been live, as the badge says it. @param {Status} status @param {number} ageMs */
export const ageText = (status, ageMs) =>
  (status === 'stale' || status === 'lagging') && ageMs >= NOTEWORTHY_AGE ? `for ${duration(ageMs)}` : '';

/** @param {Status} status @param {number} heardAgeMs @param {string | null} refusal */
export function bannerText(status, heardAgeMs, refusal) {
  const age = heardAgeMs >= NOTEWORTHY_AGE ? ` Figures are from ${duration(heardAgeMs)} ago.` : '';
  switch (status) {
    case 'reconnecting':
      return `Connection lost, reconnecting.${age}`;
    case 'resuming':
      return age && `Waiting for the node to go on.${age}`;
    case 'stale':
      return `The node does not hear from Kafka; it goes on by itself.${age}`;
    case 'lagging':
      return 'This connection is slow: the node skips to the newest figures.';
    case 'refused':
      return `The node refused this page: ${refusal}.`;
    case 'live':
      return heardAgeMs >= SILENCE ? `No process has told how it is for ${duration(heardAgeMs)}.` : '';
    default:
      return '';
  }
}

/** @param {number} ms */
function duration(ms) {
  const seconds = Math.floor(ms / 1000);
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}
