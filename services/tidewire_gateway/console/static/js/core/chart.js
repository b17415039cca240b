/** Where lines, ticks and readings of a chart are. Pure. */

/** @typedef {[at: number, value: number | null]} Point */
/** @typedef {{width: number, height: number, from: number, until: number, top: number}} Frame `top` is the value at its upper edge */

const STEPS = [1, 2, 2.5, 5, 10];
/** A line breaks where no point came for so long (ms). */
const LONGEST_STEP_MS = 7_000;

/** The first of 1, 2, 2.5, 5 times a power of ten that `count` of reach `value`. @param {number} value @param {number} count */
export function niceStep(value, count) {
  if (!(value > 0)) return 1 / count;
  const power = 10 ** Math.floor(Math.log10(value / count));
  const step = STEPS.find((one) => one * power * count >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** Ticks from 0 that reach `value`: `count` steps at most. @param {number} value @param {number} count */
export function ticks(value, count) {
  const step = niceStep(value, count);
  const reach = Math.max(1, Math.ceil(value / step - 1e-9));
  return Array.from({ length: reach + 1 }, (_, n) => Number((n * step).toPrecision(12)));
}

/** The highest value of some lines; 0 where there is none. @param {Point[][]} lines */
export const highestOf = (lines) => lines.flat().reduce((top, [, value]) => Math.max(top, value ?? 0), 0);

/** @param {Frame} frame @param {number} at */
export const xOf = ({ width, from, until }, at) => ((at - from) / (until - from)) * width;

/** @param {Frame} frame @param {number} value */
export const yOf = ({ height, top }, value) => height - (value / top) * height;

/**
 * Data of an SVG path: a stretch for each run of points, a dot's breadth for one that stands alone.
 *
 * @param {Point[]} points oldest first
 * @param {Frame} frame
 */
export function linePath(points, frame) {
  return runs(points)
    .map((run) => {
      const [first, ...rest] = run.map(([at, value]) => `${round(xOf(frame, at))} ${round(yOf(frame, value))}`);
      return `M${first}${rest.length === 0 ? 'h0.01' : rest.map((place) => `L${place}`).join('')}`;
    })
    .join('');
}

/** Under the line, down to 0. @param {Point[]} points @param {Frame} frame */
export function areaPath(points, frame) {
  return runs(points)
    .filter((run) => run.length > 1)
    .map((run) => {
      const line = run.map(([at, value]) => `${round(xOf(frame, at))} ${round(yOf(frame, value))}`).join('L');
      const [left, right] = [run[0], run[run.length - 1]].map(([at]) => round(xOf(frame, at)));
      return `M${left} ${frame.height}L${line}L${right} ${frame.height}Z`;
    })
    .join('');
}

/** The time of the point nearest to `x`, or null. @param {Point[]} points @param {Frame} frame @param {number} x */
export function nearest(points, frame, x) {
  /** @type {Point | null} */
  let found = null;
  for (const point of points) {
    if (point[1] === null) continue;
    if (!found || Math.abs(xOf(frame, point[0]) - x) < Math.abs(xOf(frame, found[0]) - x)) found = point;
  }
  return found && found[0];
}

/** @param {Point[]} points @param {number | null} at */
export const valueAt = (points, at) => points.find(([time]) => time === at)?.[1] ?? null;

/** The newest value. @param {Point[]} points */
export const lastOf = (points) => points.at(-1)?.[1] ?? null;

/** Stretches without a break. @param {Point[]} points @returns {[number, number][][]} */
function runs(points) {
  /** @type {[number, number][][]} */
  const found = [];
  let before = -Infinity;
  for (const [at, value] of points) {
    if (value === null) before = -Infinity;
    else {
      if (at - before > LONGEST_STEP_MS) found.push([]);
      found[found.length - 1].push([at, value]);
      before = at;
    }
  }
  return found;
}

/** @param {number} value */
const round = (value) => Math.round(value * 100) / 100;
