/** Draws what does not move on the map: the sphere, its grid, and the country as its airports. */

import { vector } from './globe.js';

/** @typedef {import('./globe.js').View} View */

/**
 * @param {CanvasRenderingContext2D} context
 * @param {View} view
 * @param {{width: number, height: number}} size
 * @param {Record<string, string>} colors
 * @param {{dots: [number, number][], places: import('./globe.js').Vector[]}} data
 */
export function drawGlobe(context, view, { width, height }, colors, { dots, places }) {
  context.clearRect(0, 0, width, height);
  drawSphere(context, view, colors);
  drawGraticule(context, view, colors);
  drawDots(context, view, colors.land, dots.map(([lat, lon]) => vector(lat, lon)), width < 480 ? 0.7 : 1.05);
  drawDots(context, view, colors.place, places, width < 480 ? 1.3 : 1.9);
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Record<string, string>} colors */
function drawSphere(context, { centerX, centerY, radius }, colors) {
  const shade = context.createRadialGradient(
    centerX - radius * 0.1, centerY - radius * 0.25, radius * 0.1,
    centerX, centerY, radius,
  );
  shade.addColorStop(0, colors.ocean);
  shade.addColorStop(1, colors['ocean-edge']);
  context.fillStyle = shade;
  context.beginPath();
  context.arc(centerX, centerY, radius, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = colors.graticule;
  context.lineWidth = 1;
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {Record<string, string>} colors */
function drawGraticule(context, view, colors) {
  context.strokeStyle = colors.graticule;
  context.lineWidth = 0.6;
  context.beginPath();
  for (let lat = -45; lat <= 75; lat += 15) line(context, view, (n) => vector(lat, -180 + 3 * n), 120);
  for (let lon = -180; lon < 180; lon += 15) line(context, view, (n) => vector(-75 + 3 * n, lon), 50);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {(n: number) => import('./globe.js').Vector} place @param {number} count */
function line(context, view, place, count) {
  let isDrawing = false;
  for (let n = 0; n <= count; n += 1) {
    const { x, y, z } = view.project(place(n));
    if (z > 0 && isDrawing) context.lineTo(x, y);
    else if (z > 0) context.moveTo(x, y);
    isDrawing = z > 0;
  }
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {string} color @param {import('./globe.js').Vector[]} places @param {number} radius */
function drawDots(context, view, color, places, radius) {
  context.fillStyle = color;
  context.beginPath();
  for (const place of places) {
    const { x, y, z } = view.project(place);
    if (z <= 0) continue;
    context.moveTo(x + radius, y);
    context.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fill();
}
