/** What one row of the stream means: status, expected times, place in the air. Pure. */

export const STATUSES = /** @type {const} */ ({
  scheduled: 'Scheduled',
  delayed: 'Delayed',
  departed: 'In the air',
  arrived: 'Landed',
  cancelled: 'Cancelled',
  diverted: 'Diverted',
});

/** Minutes for which a flight that has left stays among the departures. */
const LEFT_MINUTES = 20;

/** @typedef {Record<string, any>} Flight data of an event on stream `flights` */

/** @param {Flight} flight */
export const isInAir = (flight) => flight.status === 'departed' && Number.isFinite(flight.dep);

/** When it left or, as far as is known, will leave. @param {Flight} flight */
export function departureAt(flight) {
  if (Number.isFinite(flight.dep)) return flight.dep;
  return flight.sched_dep + (flight.dep_delay ?? 0) * 60_000;
}

/** When it landed or, at the scheduled pace, will land. @param {Flight} flight */
export function arrivalAt(flight) {
  if (Number.isFinite(flight.arr)) return flight.arr;
  return departureAt(flight) + (flight.sched_arr - flight.sched_dep);
}

/** How much of the way lies behind it, 0 to 1; not quite 1 before it has landed. @param {Flight} flight @param {number} now */
export function progress(flight, now) {
  const departed = departureAt(flight);
  const share = (now - departed) / (arrivalAt(flight) - departed);
  return Math.min(Math.max(share, 0), 0.985);
}

/** @typedef {'departures' | 'air' | 'landed' | 'disrupted' | 'all'} View */

export const VIEWS = /** @type {const} */ ({
  departures: 'Next',
  air: 'In the air',
  landed: 'Landed',
  disrupted: 'Disrupted',
  all: 'All',
});

/** @param {View} view @param {Flight} flight @param {number} now simulated */
export function isInView(view, flight, now) {
  switch (view) {
    case 'air':
      return flight.status === 'departed';
    case 'landed':
      return flight.status === 'arrived' || flight.status === 'diverted';
    case 'disrupted':
      return isDisrupted(flight);
    case 'departures':
      return isNext(flight, now);
    default:
      return true;
  }
}

/** @param {Flight} flight */
function isDisrupted(flight) {
  if (flight.status === 'cancelled' || flight.status === 'diverted') return true;
  return (flight.dep_delay ?? 0) >= 60 && flight.status !== 'arrived';
}

/** @param {Flight} flight @param {number} now */
function isNext(flight, now) {
  if (flight.status === 'arrived' || flight.status === 'diverted') return false;
  if (flight.status === 'departed') return !(now - flight.dep > LEFT_MINUTES * 60_000);
  return true;
}
