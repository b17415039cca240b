/** Words and numbers of the wire, and the duty each close code carries. */

export const VERSION = 1;
export const SUBPROTOCOL = 'tidewire.v1.json';

export const TOKEN_EXPIRED = 3005;

/**
 * Whether reconnecting is pointless until a person or a program changes something.
 *
 * @param {number} code a WebSocket close code
 */
export const isPermanent = (code) => code >= 3500 && code <= 3999;

const PASSING = new Set(['rate_limited', 'unavailable', 'internal']);

/**
 * Whether a refused request may succeed later on the same connection.
 *
 * @param {{code: string, retryAfterMs?: number}} error
 */
export const isPassing = ({ code, retryAfterMs }) => retryAfterMs !== undefined || PASSING.has(code);
