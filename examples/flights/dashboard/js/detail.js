/** The line about the chosen flight. */

import { arrivalAt } from './flight.js';
import { airlineName, airportName, clockTime, delayText } from './format.js';

/** @param {string} key @param {import('./flight.js').Flight} flight @param {import('./reference.js').Reference} reference @returns {HTMLElement[]} */
export function detailText(key, flight, reference) {
  const [origin] = key.split('/');
  const dest = reference.airports[flight.dest];
  const title = document.createElement('b');
  title.textContent = `${flight.carrier ?? ''} ${flight.flight ?? key} · ${origin} → ${airportName(dest?.name ?? flight.dest ?? '?')}`;
  const facts = [
    airlineName(reference.airlines[flight.carrier] ?? ''),
    flight.tail && `aircraft ${flight.tail}`,
    flight.distance && `${flight.distance.toLocaleString('en-US')} miles`,
    arrivalText(flight, dest?.tz),
    flight.diverted && 'diverted on the way',
  ];
  const line = document.createElement('span');
  line.textContent = facts.filter(Boolean).join(' · ');
  return [title, line];
}

/** @param {import('./flight.js').Flight} flight @param {string} [timeZone] */
function arrivalText(flight, timeZone) {
  if (!timeZone || !Number.isFinite(flight.sched_arr) || flight.status === 'cancelled') return null;
  if (flight.status === 'diverted') return 'no arrival recorded';
  const time = `${clockTime(arrivalAt(flight), timeZone)} local time`;
  return flight.status === 'arrived' ? `landed ${time} (${delayText(flight.arr_delay)} min)` : `expected ${time}`;
}
