/** The pointer over the map: names the plane below it, and chooses it. */

import { airlineName, delayText } from './format.js';

/**
 * @param {HTMLCanvasElement} canvas
 * @param {HTMLElement} tip
 * @param {import('./map.js').FlightMap} map
 * @param {import('./reference.js').Reference} reference
 * @param {(key: string) => void} choose
 */
export function pointAtPlanes(canvas, tip, map, reference, choose) {
  const planeAt = (/** @type {MouseEvent} */ { offsetX, offsetY }) => map.hit(offsetX, offsetY);
  canvas.addEventListener('pointermove', (event) => {
    const plane = planeAt(event);
    tip.hidden = !plane;
    canvas.style.cursor = plane ? 'pointer' : '';
    if (!plane) return;
    const { flight, key, x, y } = plane;
    const airline = airlineName(reference.airlines[flight.carrier] ?? '');
    tip.textContent = `${flight.carrier} ${flight.flight} · ${key.split('/')[0]} → ${flight.dest} · ${airline} · ${delayText(flight.dep_delay)} min`;
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(Math.max(x, half + 8), canvas.clientWidth - half - 8) + canvas.offsetLeft}px`;
    tip.style.top = `${y + canvas.offsetTop - 14}px`;
  });
  canvas.addEventListener('pointerleave', () => (tip.hidden = true));
  canvas.addEventListener('click', (event) => {
    const plane = planeAt(event);
    if (plane) choose(plane.key);
  });
}
