/** Figures for people: few digits, and a unit that is named. Pure. */

/** A value and its unit, for places that set them in different type. @typedef {[value: string, unit: string]} Figure */

export const NOTHING = '–';
const NO_BREAK = '\u00a0';
const SCALES = /** @type {const} */ ([[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]);

/** `0`, `7.4`, `213`, `1.8k`, `24M`. @param {number | null | undefined} value */
export function amount(value) {
  if (!isNumber(value)) return NOTHING;
  for (const [scale, letter] of SCALES) {
    if (Math.abs(value) >= scale * 0.9995) return `${digits(value / scale)}${letter}`;
  }
  return Number.isInteger(value) ? String(value) : digits(value);
}

/** Slow rates are told by the minute, so that they do not read as 0. @param {number | null | undefined} perSecond @returns {Figure} */
export function rate(perSecond) {
  if (!isNumber(perSecond)) return [NOTHING, ''];
  return perSecond > 0 && perSecond < 0.95 ? [amount(perSecond * 60), '/min'] : [amount(perSecond), '/s'];
}

/** `0.4 ms`, `34 ms`, `1.2 s`, `5 min`, `3 h`, `2 d`. @param {number | null | undefined} value @returns {Figure} */
export function seconds(value) {
  if (!isNumber(value)) return [NOTHING, ''];
  const size = Math.abs(value);
  if (size < 0.9995) return [digits(value * 1e3), 'ms'];
  if (size < 99.95) return [digits(value), 's'];
  if (size < 5970) return [digits(value / 60), 'min'];
  return size < 172_800 ? [digits(value / 3600), 'h'] : [digits(value / 86_400), 'd'];
}

/** @param {number | null | undefined} value @returns {Figure} */
export const milliseconds = (value) => seconds(isNumber(value) ? value / 1e3 : null);

/** Decimal sizes: `512 B`, `91 MB`. @param {number | null | undefined} value @returns {Figure} */
export function bytes(value) {
  if (!isNumber(value)) return [NOTHING, ''];
  const scale = [[1e9, 'GB'], [1e6, 'MB'], [1e3, 'KB']].find(([size]) => value >= Number(size) * 0.9995);
  return scale ? [digits(value / Number(scale[0])), String(scale[1])] : [value.toFixed(0), 'B'];
}

/** @param {number | null | undefined} value a second @returns {Figure} */
export function byteRate(value) {
  const [size, unit] = bytes(value);
  return [size, unit && `${unit}/s`];
}

/** @param {number | null | undefined} share 0 to 1 @returns {Figure} */
export const percent = (share) => (isNumber(share) ? [digits(share * 100), '%'] : [NOTHING, '']);

/** @param {Figure} figure */
export const text = ([value, unit]) => (unit === '' ? value : unit.startsWith('/') ? value + unit : value + NO_BREAK + unit);

/** `14:03:07.250` where the reader is. @param {number} ms Unix */
export function clock(ms) {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return NOTHING;
  const two = (/** @type {number} */ part) => String(part).padStart(2, '0');
  const rest = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${rest}`;
}

/** `1 node`, `3 nodes`. @param {number} count @param {string} word @param {string} [many] */
export const counted = (count, word, many = `${word}s`) => `${amount(count)}${NO_BREAK}${count === 1 ? word : many}`;

/** `catching_up` is `catching up`. @param {string} name */
export const words = (name) => name.replaceAll('_', ' ');

/** Three digits at most: `0`, `0.04`, `7.4`, `213`. @param {number} value */
function digits(value) {
  const size = Math.abs(value);
  if (size < 0.005) return '0';
  if (size >= 9.95) return value.toFixed(0);
  return value.toFixed(size >= 0.095 ? 1 : 2).replace(/\.0+$/, '');
}

/** @param {unknown} value @returns {value is number} */
const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);
