/** The time of day, finer than `Date.now()` where the engine has it finer. */

/** How far `performance` may be off the time of day before it is set right. */
const MOST_DRIFT_MS = 50;

/**
 * A function that tells Unix milliseconds, with fractions where there is a `performance`.
 *
 * @param {{timeOrigin: number, now: () => number} | undefined} performance
 * @param {() => number} wallMs
 * @returns {() => number}
 */
export function makeClock(performance, wallMs) {
  if (!performance?.timeOrigin) return wallMs;
  let origin = performance.timeOrigin;
  return () => {
    const wall = wallMs();
    const fine = origin + performance.now();
    if (Math.abs(wall - fine) <= MOST_DRIFT_MS) return fine;
    origin += wall - fine; // the machine slept, which stops `performance`, or its clock was set
    return wall;
  };
}

export const now = makeClock(globalThis.performance, () => Date.now());
