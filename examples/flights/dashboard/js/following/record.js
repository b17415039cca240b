/** What this browser knows of the flights it follows; every tab holds a copy, and copies merge. Pure. */

/** @typedef {{epoch: string, offsets: Record<string, number>}} Position */
/** @typedef {{id: string, ts: number, missed: boolean, data: Record<string, any>}} Notice */

/**
 * @typedef {object} FollowRecord
 * @property {string} visitor whose record it is; '' before the first flight
 * @property {string[]} flights what is followed, oldest first
 * @property {number} flightsAt when the service said so (ms)
 * @property {Position | null} position of `@me`
 * @property {Record<string, Notice>} notices newest one of each flight
 * @property {Record<string, number>} readTo time of the newest notice that was read
 * @property {number} gapAt when it was learnt that notices are lost (ms); 0: never
 * @property {number} gapReadTo
 */

/** @param {string} [visitor] @returns {FollowRecord} */
export const emptyRecord = (visitor = '') => ({
  visitor, flights: [], flightsAt: 0, position: null, notices: {}, readTo: {}, gapAt: 0, gapReadTo: 0,
});

/** @param {string | null} text as `JSON.stringify` wrote it @returns {FollowRecord} */
export function readRecord(text) {
  try {
    const known = JSON.parse(text ?? '');
    if (typeof known?.visitor !== 'string' || !Array.isArray(known.flights)) return emptyRecord();
    return { ...emptyRecord(), ...known };
  } catch {
    return emptyRecord(); // another version wrote it, or somebody else
  }
}

/**
 * The newer of everything in both. Of two visitors the one of `mine` holds.
 *
 * @param {FollowRecord} mine @param {FollowRecord} other @returns {FollowRecord}
 */
export function merged(mine, other) {
  if (mine.visitor !== other.visitor) return mine.visitor ? mine : other;
  const { flights, flightsAt } = other.flightsAt > mine.flightsAt ? other : mine;
  const record = {
    visitor: mine.visitor,
    flights,
    flightsAt,
    position: later(mine.position, other.position),
    notices: pick(mine.notices, other.notices, (a, b) => (isAfter(b, a) ? b : a)),
    readTo: pick(mine.readTo, other.readTo, Math.max),
    gapAt: Math.max(mine.gapAt, other.gapAt),
    gapReadTo: Math.max(mine.gapReadTo, other.gapReadTo),
  };
  return onlyFollowed(record);
}

/**
 * Take in what came on `@me`. Returns the same record where nothing in it is new.
 *
 * @param {FollowRecord} record
 * @param {{id?: string, ts: number, data?: any}[]} events
 * @param {{position: Position | null, openedAt: number}} seen when this page was opened (ms)
 */
export function withEvents(record, events, { position, openedAt }) {
  const notices = { ...record.notices };
  for (const { id = '', ts, data } of events) {
    const flight = data?.key;
    if (typeof flight !== 'string' || typeof data.text !== 'string') continue;
    const notice = { id, ts, data, missed: ts < openedAt };
    if (!notices[flight] || isAfter(notice, notices[flight])) notices[flight] = notice;
  }
  return onlyFollowed({ ...record, notices, position: later(position, record.position) });
}

/** @param {FollowRecord} record @param {string[]} flights @param {number} at when the service said so */
export const withFlights = (record, flights, at) => onlyFollowed({ ...record, flights, flightsAt: at });

/** @param {FollowRecord} record @param {string[]} flights whose notices were read */
export function withRead(record, flights) {
  const readTo = { ...record.readTo };
  for (const flight of flights) readTo[flight] = Math.max(readTo[flight] ?? 0, record.notices[flight]?.ts ?? 0);
  return { ...record, readTo };
}

/** @param {FollowRecord} record @param {string} flight */
export const isUnread = ({ notices, readTo }, flight) => (notices[flight]?.ts ?? 0) > (readTo[flight] ?? 0);

/** Flights with something unread: how many, and how many of them came while no page was open. @param {FollowRecord} record */
export function countUnread(record) {
  const unread = record.flights.filter((flight) => isUnread(record, flight));
  return { unread: unread.length, missed: unread.filter((flight) => record.notices[flight].missed).length };
}

/** Newest notice first, then those without one. @param {FollowRecord} record */
export const inOrder = ({ flights, notices }) =>
  [...flights].reverse().sort((a, b) => (notices[b]?.ts ?? 0) - (notices[a]?.ts ?? 0));

/** @param {FollowRecord} record @returns {FollowRecord} */
function onlyFollowed(record) {
  const keep = (/** @type {Record<string, any>} */ map) =>
    Object.fromEntries(record.flights.filter((flight) => flight in map).map((flight) => [flight, map[flight]]));
  return { ...record, notices: keep(record.notices), readTo: keep(record.readTo) };
}

/** Of two lives of the topic that of `mine` holds. @param {Position | null} mine @param {Position | null} other @returns {Position | null} */
function later(mine, other) {
  if (!mine || !other || mine.epoch !== other.epoch) return mine ?? other;
  return { epoch: mine.epoch, offsets: pick(mine.offsets, other.offsets, Math.max) };
}

/** @param {Notice} a @param {Notice} b */
const isAfter = (a, b) => a.id !== b.id && a.ts >= b.ts;

/** @template T @param {Record<string, T>} a @param {Record<string, T>} b @param {(a: T, b: T) => T} choose */
function pick(a, b, choose) {
  const chosen = { ...b, ...a };
  for (const key of Object.keys(b)) if (key in a) chosen[key] = choose(a[key], b[key]);
  return chosen;
}
