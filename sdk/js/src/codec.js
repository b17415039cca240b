/** Messages to text frames and back; nothing but the wire format is known here. */

import { VERSION } from './codes.js';
import { TidewireError } from './errors.js';

/** @import {ServerMessage, WireEvent, Position} from './types.d.ts' */

/** Characters of one frame at most; the server takes 64 KiB. */
const MAX_FRAME = 48_000;

/**
 * @typedef {object} ClientMessage
 * @property {string} type
 * @property {number} [id]
 * @property {Record<string, unknown>} payload fields that are undefined are left out
 */

/**
 * The texts of as few frames as possible: several messages share one as an array.
 *
 * @param {ClientMessage[]} messages
 * @returns {string[]}
 */
export function encode(messages) {
  /** @type {string[][]} */
  const frames = [];
  let room = 0;
  for (const message of messages) {
    const text = JSON.stringify({ v: VERSION, ...message });
    if (text.length + 1 > room) {
      frames.push([]);
      room = MAX_FRAME - 2;
    }
    frames[frames.length - 1].push(text);
    room -= text.length + 1;
  }
  return frames.map((texts) => (texts.length === 1 ? texts[0] : `[${texts.join()}]`));
}

/**
 * The messages of one text frame; those of a type not known here are left out.
 *
 * Throws `TidewireError` (`bad_frame`) for what no server of this protocol sends.
 *
 * @param {string} text
 * @returns {ServerMessage[]}
 */
export function decode(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TidewireError('bad_frame', 'the server sent a frame that is not JSON', { cause });
  }
  return (Array.isArray(value) ? value : [value]).flatMap(readMessage);
}

/** @param {any} message @returns {ServerMessage[]} */
function readMessage(message) {
  if (message?.v !== VERSION || typeof message.type !== 'string') {
    throw bad('a message', `"v": ${VERSION} and a "type"`);
  }
  const { type, id, payload = {} } = message;
  if (!Object.hasOwn(SHAPES, type)) return [];
  for (const [field, [isRight, wanted]] of Object.entries(SHAPES[type])) {
    if (!isRight(payload?.[field])) throw bad(type, `${wanted} as "${field}"`);
  }
  return [{ type, id, payload }];
}

/** @param {string} what @param {string} wanted */
const bad = (what, wanted) =>
  new TidewireError('bad_frame', `the server sent ${what} without ${wanted}`);

/** @param {unknown} value @returns {value is Record<string, unknown>} */
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** @param {any} value @returns {value is Position} */
const isPosition = (value) =>
  typeof value?.epoch === 'string' &&
  isObject(value.offsets) &&
  Object.values(value.offsets).every(Number.isInteger);

/** @param {any} value */
const isPair = (value) => Array.isArray(value) && value.length === 2 && value.every(Number.isInteger);

/** @param {any} event @returns {event is WireEvent} */
const isEvent = (event) =>
  typeof event?.key === 'string' &&
  isPair(event.offset) &&
  (event.deleted === true || event.data !== undefined);

/** @typedef {[(value: any) => boolean, string]} Rule */
/** @type {Rule} */
const COUNT = [Number.isInteger, 'a number'];
/** @type {Rule} */
const WORD = [(value) => typeof value === 'string', 'a text'];
/** @type {Rule} */
const POSITION = [isPosition, 'a position'];
/** @type {Rule} */
const EVENTS = [(value) => Array.isArray(value) && value.every(isEvent), 'a list of events'];
/** @type {Rule} */
const GAP = [(value) => isObject(value) && Object.values(value).every(isPair), 'a map of pairs'];

/** The fields without which a message has no meaning. @type {Record<string, Record<string, Rule>>} */
const SHAPES = {
  welcome: { ping_interval_ms: COUNT },
  subscribed: { sub: COUNT, mode: WORD, position: POSITION, recovered: WORD },
  snapshot: { sub: COUNT, position: POSITION, events: EVENTS },
  updates: { sub: COUNT, position: POSITION, events: EVENTS },
  status: { state: WORD },
  gap: { sub: COUNT, gap: GAP },
  unsubscribed: { sub: COUNT },
  refreshed: {},
  goaway: {},
  error: { code: WORD },
  ping: {},
};
