/** Words and numbers for people: times at an airport, delays, names. */

const NEW_YORK = 'America/New_York';
const MAX_CACHED = 4_000;

/** @type {Map<string, Intl.DateTimeFormat>} */
const clocks = new Map();
/** @type {Map<string, string>} */
const cache = new Map();

const dateFormat = new Intl.DateTimeFormat('en-GB', {
  timeZone: NEW_YORK,
  weekday: 'short',
  day: 'numeric',
  month: 'long',
  year: 'numeric',
});

/** `08:15` on the clock of `timeZone`. @param {number} ms @param {string} [timeZone] */
export function clockTime(ms, timeZone = NEW_YORK) {
  if (!Number.isFinite(ms)) return '';
  const id = `${timeZone} ${Math.floor(ms / 60_000)}`;
  let text = cache.get(id);
  if (text === undefined) {
    if (cache.size >= MAX_CACHED) cache.clear();
    cache.set(id, (text = clockOf(timeZone).format(ms)));
  }
  return text;
}

/** `Tue 1 January 2013` in New York. @param {number} ms */
export const calendarDate = (ms) => dateFormat.format(ms).replace(',', '');

/** `+25`, `−4`, `0`. @param {number} minutes */
export function delayText(minutes) {
  if (!Number.isFinite(minutes)) return '';
  const rounded = Math.round(minutes);
  return rounded > 0 ? `+${rounded}` : rounded < 0 ? `−${-rounded}` : '0';
}

/** `25 min`, `2 h` or `1 h 05`. @param {number} minutes */
export function duration(minutes) {
  const rounded = Math.round(minutes);
  if (rounded < 60) return `${rounded} min`;
  const [hours, rest] = [Math.floor(rounded / 60), rounded % 60];
  return rest === 0 ? `${hours} h` : `${hours} h ${String(rest).padStart(2, '0')}`;
}

/** Few digits, steady width: `0`, `7.4`, `213`, `1.8k`. @param {number} value */
export function amount(value) {
  if (!Number.isFinite(value)) return '–';
  if (value >= 10_000) return `${(value / 1000).toFixed(0)}k`;
  if (value >= 1_000) return `${(value / 1000).toFixed(1)}k`;
  if (value >= 99.5 || value === 0) return value.toFixed(0);
  return value < 9.95 ? value.toFixed(1) : value.toFixed(0);
}

/** Milliseconds as people read them: `34 ms`, `1.2 s`. @param {number} ms @returns {[string, string]} */
export function milliseconds(ms) {
  if (!Number.isFinite(ms)) return ['–', ''];
  return ms < 1000 ? [ms.toFixed(0), 'ms'] : [(ms / 1000).toFixed(1), 's'];
}

/** What every airport is: said on a board it only takes the room of the place's name. */
const KIND_OF_AIRPORT = /\s+(Intl|International|Rgnl|Regional|Airport|Arpt|Municipal|Mem|Fld|Field)\b\.?/g;
const KIND_OF_COMPANY = /\s+(Inc|Co|Corporation|Corp)\b\.?/g;

/** Names of the data set as a board shows them: `San Francisco Intl` is `San Francisco`. @param {string} name */
export const airportName = (name) => name.replace(KIND_OF_AIRPORT, '');

/** @param {string} name */
export const airlineName = (name) => name.replace(KIND_OF_COMPANY, '');

/** @param {string} timeZone */
function clockOf(timeZone) {
  let clock = clocks.get(timeZone);
  if (!clock) {
    clock = new Intl.DateTimeFormat('en-GB', {
      timeZone,
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    clocks.set(timeZone, clock);
  }
  return clock;
}
